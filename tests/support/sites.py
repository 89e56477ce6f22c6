"""Random sites and activations for tests: a Hypothesis strategy over shapes, builds, transforms and orders."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from actcodec.params import MAX_LEFT_SHIFT, MAX_SHIFT, CodecParams
from actcodec.tables import SiteTable, Tables
from actcodec.tables.synthetic import synthetic_site, synthetic_tables

TINY = CodecParams(lanes=4, rows=2, block=8, max_channels=64, max_coefficients=64, max_side=256)

BUILDS = (
    TINY,
    CodecParams(),
    CodecParams(lanes=1, rows=1, block=1),
    CodecParams(lanes=3, rows=3, block=3, word_bits=128),
    CodecParams(lanes=16, rows=8, block=16, acc_bits=32),
    CodecParams(lanes=2, rows=8, block=64, word_bits=512, acc_bits=32),
)


def changed(site: SiteTable, **fields: Any) -> SiteTable:
    """The site with some arrays (given as arrays) or fields of its info replaced; checked again."""
    arrays = {name: value for name, value in fields.items() if isinstance(value, np.ndarray)}
    params = fields.pop("params", site.params)
    info = {name: value for name, value in fields.items() if name not in arrays}
    return SiteTable(site.info.model_copy(update=info), replace(site.arrays, **arrays), params)


def with_extreme_numbers(site: SiteTable, rng: np.random.Generator) -> SiteTable:
    """The site with every shift from 0 to the largest and biases that need accumulators of 32 bits."""
    K, C = site.coefficients, site.info.channels
    low, high = int(rng.integers(0, site.info.zero + 1)), int(rng.integers(site.info.zero, 256))
    return changed(
        site,
        params=site.params.model_copy(update={"acc_bits": 32}),
        bias=rng.integers(-(1 << 29), 1 << 29, K).astype(np.int32),
        bias_out=rng.integers(-(1 << 29), 1 << 29, C).astype(np.int32),
        shift=rng.integers(0, MAX_SHIFT + 1, K).astype(np.uint8),
        left_shift=rng.integers(0, MAX_LEFT_SHIFT + 1, K).astype(np.uint8),
        low=low,
        high=high,
        output_shift=int(rng.integers(0, MAX_SHIFT + 1)),
    )


def thinned(site: SiteTable, rng: np.random.Generator) -> SiteTable:
    """The site with most entries of P and R gone, whole tiles of the schedule among them."""
    return changed(
        site,
        P=site.arrays.P * (rng.random(site.arrays.P.shape) < 0.1),
        R=site.arrays.R * (rng.random(site.arrays.R.shape) < 0.1),
    )


@st.composite
def sites(draw: st.DrawFn, builds: tuple[CodecParams, ...] = BUILDS, max_side: int = 4) -> SiteTable:
    """Sites of any build, shape, transform, order, alignment and width."""
    params = draw(st.sampled_from(builds))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    shape = (draw(st.integers(1, max_side)), draw(st.integers(1, max_side)), draw(st.integers(1, 40)))
    transform = draw(st.sampled_from(["project", "project", "identity", "bypass"]))
    site = synthetic_site(
        rng,
        params,
        "drawn",
        shape,
        transform=transform,
        order=draw(st.sampled_from(["position-major", "block-major"])),
        align_bits=params.word_bits * draw(st.sampled_from([1, 1, 2, 3])),
        keep=draw(st.sampled_from([0.0, 0.3, 0.8, 1.0])),
        max_width=draw(st.integers(0, 8)),
    )
    if transform == "project" and draw(st.integers(0, 3)) == 0:
        site = thinned(site, rng)
    return with_extreme_numbers(site, rng) if transform != "bypass" and draw(st.booleans()) else site


def activations(site: SiteTable, seed: int, images: int | None = None) -> NDArray[np.uint8]:
    """Random activations of a site with many 0 and 255 among them: (H, W, C) or (images, H, W, C)."""
    rng = np.random.default_rng(seed)
    shape = (site.info.height, site.info.width, site.info.channels)
    shape = shape if images is None else (images, *shape)
    x = rng.integers(0, 256, shape)
    kind = rng.integers(0, 6, shape)
    return np.where(kind == 0, 0, np.where(kind == 1, 255, x)).astype(np.uint8)


def small_tables(seed: int = 1) -> Tables:
    """Eight sites of every transform and order, in the smallest build."""
    params = TINY.model_copy(update={"max_sites": 8})
    made = synthetic_tables(seed, params, side=3)
    bypass = synthetic_site(np.random.default_rng(seed), params, "bypass", (2, 2, 9), transform="bypass")
    block_major = synthetic_site(np.random.default_rng(seed), params, "tiled", (3, 2, 20), order="block-major")
    return Tables(params, (*made.sites[:4], made.sites[7], block_major, bypass), made.provenance)


def one_project_site(seed: int = 3, shape: tuple[int, int, int] = (2, 3, 12), **options: Any) -> SiteTable:
    """A project site of two blocks in the smallest build."""
    return synthetic_site(np.random.default_rng(seed), TINY, "conv1", shape, keep=1.0, **options)
