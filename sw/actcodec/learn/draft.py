"""A site's geometry and byte counts before its integers exist, by the format's own functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actcodec.learn.calibrate import block_slices
from actcodec.learn.quantize8 import ActivationRange
from actcodec.networks import SiteSpec
from actcodec.params import CodecParams, Order, Transform
from actcodec.tables import Block, SiteArrays, SiteInfo, SiteTable

Widths = NDArray[np.uint8]
PROJECTED: tuple[Transform, ...] = ("project", "folded")
"""Transforms that mix the channels of a block, and whose tables list the stored coefficients only."""


def folded_build(params: CodecParams) -> CodecParams:
    """The build for the folded sites of a plan that is made for ``params``: its encoder takes accumulators."""
    return CodecParams.model_validate(params.as_json() | {"transforms": ["folded"], "shared_array": False})


@dataclass(frozen=True)
class StreamSettings:
    """How streams are laid out and counted; ``align_bits`` of None is the codec's bus word."""

    params: CodecParams
    order: Order = "position-major"
    align_bits: int | None = None
    transaction_bytes: int = 64

    @property
    def align(self) -> int:
        """Bits that a row's pitch is a multiple of."""
        return self.params.word_bits if self.align_bits is None else self.align_bits


def draft_info(
    site: SiteSpec, range_: ActivationRange, transform: Transform, widths: Widths, settings: StreamSettings
) -> SiteInfo:
    """Return the geometry of ``site`` with ``widths`` (C,), one a channel's place in its block.

    A projection stores only its coefficients of width > 0; the others keep one a channel. The decoder's shift
    is export's to choose and stands at 0 here.
    """
    blocks, first = [], 0
    for part in block_slices(site.channels, settings.params.block):
        kept = part.stop - part.start
        if transform in PROJECTED:
            kept = int(np.count_nonzero(widths[part]))
        blocks.append(Block(channels=(part.start, part.stop), coefficients=(first, first + kept)))
        first += kept
    return SiteInfo(
        name=site.name,
        channels=site.channels,
        height=site.height,
        width=site.width,
        transform=transform,
        order=settings.order,
        align_bits=settings.align,
        scale=range_.scale,
        zero=range_.zero,
        low=range_.low,
        high=range_.high,
        output_shift=0,
        readers=site.readers,
        blocks=tuple(blocks),
    )


def stored_widths(transform: Transform, widths: Widths) -> Widths:
    """Return the widths of the coefficients that the table lists: (K,) of the (C,) given."""
    return widths[widths > 0] if transform in PROJECTED else widths


def draft_table_bytes(info: SiteInfo, widths: Widths, params: CodecParams) -> int:
    """Return the table bytes of a site with the stored ``widths`` (K,), as the format accounts for them."""
    if info.transform == "bypass":
        return 0
    K, C, b = len(widths), info.channels, params.block
    folded = info.transform == "folded"
    empty = SiteArrays(
        P=np.zeros((K, b), np.int8),
        R=np.zeros((C, b), np.int8),
        bias=np.zeros(K, np.int32),
        shift=np.zeros(K, np.uint8),
        width=widths,
        left_shift=np.zeros(K, np.uint8),
        group=np.zeros(K, np.uint16),
        bias_out=np.zeros(C, np.int32),
        channel_order=np.arange(C, dtype=np.uint16),
        acc_range=np.zeros((K, 2), np.int64) if folded else None,
    )
    return SiteTable(info, empty, folded_build(params) if folded else params).table_bytes
