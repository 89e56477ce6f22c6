"""Random but valid tables: for verification, where odd shapes matter more than what they compress."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from actcodec.params import MAX_LEFT_SHIFT, MAX_WIDTH, CodecParams, Order, Transform
from actcodec.tables.model import Block, Provenance, SiteArrays, SiteInfo, SiteTable, Tables


def synthetic_site(
    rng: np.random.Generator,
    params: CodecParams,
    name: str,
    shape: tuple[int, int, int],
    *,
    transform: Transform = "project",
    order: Order = "position-major",
    align_bits: int | None = None,
    keep: float = 0.75,
    max_width: int = MAX_WIDTH,
    block_sizes: Sequence[int] | None = None,
) -> SiteTable:
    """A site of (H, W, C) = ``shape`` with random integers: all widths 0…``max_width``, K ≤ C in every block.

    ``block_sizes`` are the channels of every block; full blocks, the last one smaller, where none are given.
    ``keep`` is the expected share K/C of project sites. Shifts are such that codes and outputs use their range.
    """
    height, width, channels = shape
    folded = transform == "folded"
    diagonal = transform in ("identity", "bypass")
    blocks: list[Block] = []
    if block_sizes is None:
        block_sizes = [min(params.block, channels - c0) for c0 in range(0, channels, params.block)]
    for c0, size in zip(accumulate(block_sizes, initial=0), block_sizes, strict=False):
        count = size if diagonal else int(rng.binomial(size, keep))
        k0 = blocks[-1].coefficients[1] if blocks else 0
        if folded and c0 + size == channels:
            # One that stores nothing at all is no folded site.
            count = max(count, int(k0 == 0))
        blocks.append(Block(channels=(c0, c0 + size), coefficients=(k0, k0 + count)))
    K = blocks[-1].coefficients[1]
    zero = int(rng.choice([0, int(rng.integers(0, 256))]))
    P = np.zeros((K, params.block), dtype=np.int8)
    R = np.zeros((channels, params.block), dtype=np.int8)
    for block in blocks:
        (c0, c1), (k0, k1) = block.channels, block.coefficients
        P[k0:k1, : c1 - c0] = rng.integers(-127, 128, (k1 - k0, c1 - c0))
        R[c0:c1, : k1 - k0] = rng.integers(-127, 128, (c1 - c0, k1 - k0))
        if diagonal:
            P[k0:k1, : c1 - c0] *= np.eye(c1 - c0, dtype=np.int8)
            R[c0:c1, : c1 - c0] *= np.eye(c1 - c0, dtype=np.int8)
    widths = rng.integers(int(folded), max_width + 1, K).astype(np.uint8)
    # A sum of 16 products of ±127 and 0…255 has a spread of about 2^16: the shift maps it onto b bits.
    shift = np.clip(rng.integers(15, 19, K) - widths.astype(np.int64), 0, 31).astype(np.uint8)
    bias = rng.integers(-(1 << 16), 1 << 16, K).astype(np.int32)
    left = np.minimum(rng.integers(0, MAX_LEFT_SHIFT + 1, K), 9 - np.maximum(widths.astype(np.int64), 2))
    left_shift = np.maximum(left, 0).astype(np.uint8)
    bias_out = rng.integers(-(1 << 14), 1 << 14, channels).astype(np.int32)
    output_shift = int(rng.integers(6, 10))
    low, high = (zero, 255) if rng.integers(2) else (0, max(zero, 200))
    if transform == "bypass":
        rows = np.arange(channels)
        place = np.concatenate([np.arange(size) for size in block_sizes])
        P[rows, place], R[rows, place] = 1, 1
        widths[:], shift[:], left_shift[:] = MAX_WIDTH, 0, 0
        bias[:], bias_out[:], output_shift = zero, -zero, 0
        low, high = 0, 255
    acc_range = None
    if folded:
        P[:] = 0
        # Bias and rounding constant take less than 2^18.
        limit = (1 << (params.acc_bits - 1)) - (1 << 18)
        acc_range = np.stack([-rng.integers(limit // 2, limit, K), rng.integers(limit // 2, limit, K)], axis=1)
    info = SiteInfo(
        name=name,
        channels=channels,
        height=height,
        width=width,
        transform=transform,
        order=order,
        align_bits=align_bits or params.word_bits,
        scale=1.0 / 32,
        zero=zero,
        low=low,
        high=high,
        output_shift=output_shift,
        readers=int(rng.integers(1, 3)),
        blocks=tuple(blocks),
    )
    arrays = SiteArrays(
        P=P,
        R=R,
        bias=bias,
        shift=shift,
        width=widths,
        left_shift=left_shift,
        group=np.arange(K, dtype=np.uint16) // 4,
        bias_out=bias_out,
        channel_order=np.arange(channels, dtype=np.uint16),
        acc_range=acc_range,
    )
    return SiteTable(info, arrays, params)


def synthetic_input(rng: np.random.Generator, site: SiteTable) -> NDArray[np.uint8] | NDArray[np.int32]:
    """Random input of the site's encoder: uniform bytes (H, W, C); of a folded site accumulators (H, W, K) int32.

    Most accumulators are as large as what the quantizer tells apart, an eighth of them at an end of their range.
    """
    if site.arrays.acc_range is None:
        return rng.integers(0, 256, site.encoder_shape).astype(np.uint8)
    low, high = site.arrays.acc_range.T
    reach = np.int64(1) << (site.arrays.width.astype(np.int64) + site.arrays.shift)
    usual = rng.integers(-reach, 2 * reach, site.encoder_shape) - site.arrays.bias
    ends = np.where(rng.integers(0, 2, site.encoder_shape) == 0, low, high)
    drawn = np.where(rng.integers(0, 8, site.encoder_shape) == 0, ends, usual)
    return np.clip(drawn, low, high).astype(np.int32)


def synthetic_tables(seed: int, params: CodecParams, *, side: int = 6) -> Tables:
    """Tables of sites that between them have every transform, order and odd shape: what co-simulation runs on.

    Where the encoder takes accumulators all sites are folded.
    """
    rng = np.random.default_rng(seed)
    b, lanes, word = params.block, params.lanes, params.word_bits
    cases: list[tuple[tuple[int, int, int], dict[str, object]]] = [
        ((side, side, b), {}),
        ((side, side - 1, 2 * b), {}),
        ((3, side, b + 1), {}),
        ((side, 3, lanes + 1), {"keep": 1.0}),
        ((2, 5, 2 * b + lanes), {"order": "block-major"}),
        ((side, side, 3 * b), {"order": "block-major", "align_bits": 512}),
        ((3, side, b), {"align_bits": max(512, 2 * word)}),
        ((side, side, b + 3), {"transform": "identity"}),
        ((4, 4, b), {"transform": "identity", "order": "block-major"}),
        ((3, 4, b + lanes), {"transform": "bypass"}),
        ((2, 3, b), {"keep": 0.1}),
        ((3, 3, 2 * b), {"max_width": 1}),
        ((1, 1, 1), {"keep": 1.0}),
    ]
    only: dict[str, object] = {"transform": "folded"} if params.takes_accumulators else {}
    sites = tuple(
        synthetic_site(rng, params, f"synthetic{number}", shape, **(options | only))  # type: ignore[arg-type]
        for number, (shape, options) in enumerate(cases[: params.max_sites])
    )
    provenance = Provenance(
        network="synthetic",
        dataset="random",
        method="synthetic",
        seed=seed,
        target_bits=8.0,
        table_batch=1,
        checkpoint_sha256="0" * 64,
        plan_sha256="0" * 64,
        network_macs=0,
        codec_mac_share=0.0,
        actcodec_version="",
    )
    return Tables(params, sites, provenance)
