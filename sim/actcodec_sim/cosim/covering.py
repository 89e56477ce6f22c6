"""Tables drawn at random until they cover what can be covered: the sites that close functional coverage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from actcodec.errors import ActcodecError
from actcodec.params import MAX_WIDTH, CodecParams
from actcodec.tables import SiteTable, Tables
from actcodec.tables.image import decoder_image, encoder_image
from actcodec.tables.synthetic import synthetic_site, synthetic_tables
from actcodec_sim.cosim.coverage import bins_of, site_samples

CANDIDATES = 40
"""Sites drawn for each one that is taken."""
PATIENCE = 10
"""Draws of candidates without anything new that end the search."""


def covering_tables(params: CodecParams, seed: int, most_sites: int | None = None) -> Tables:
    """Tables of small sites that between them hit as many bins as were found, stalls apart.

    Of every ``CANDIDATES`` random sites the one that adds most is taken, up to ``most_sites`` (the codec's limit),
    while the codec's memories hold them.
    """
    rng = np.random.default_rng(seed)
    taken: list[SiteTable] = []
    covered: set[str] = set()
    patience = PATIENCE
    while patience and len(taken) < (most_sites or params.max_sites):
        drawn = [_draw(rng, params, f"covering{len(taken)}") for _ in range(CANDIDATES)]
        gains = [_bins(site) - covered for site in drawn]
        best = max(range(CANDIDATES), key=lambda number: len(gains[number]))
        if not gains[best] or not _fit(params, [*taken, drawn[best]]):
            patience -= 1
            continue
        taken.append(drawn[best])
        covered |= gains[best]
        patience = PATIENCE
    return Tables(params, tuple(taken), synthetic_tables(seed, params).provenance)


def _bins(site: SiteTable) -> set[str]:
    # Whatever stalls, a site meets it with all that it has.
    return bins_of({**sample, "stalls": "both"} for sample in site_samples(site))


def _fit(params: CodecParams, sites: list[SiteTable]) -> bool:
    try:
        encoder_image(params, sites)
        decoder_image(params, sites)
    except ActcodecError:
        return False
    return True


def _draw(rng: np.random.Generator, params: CodecParams, name: str) -> SiteTable:
    """A small site; some have blocks of odd sizes, some have blocks that store nothing, some fill their words."""
    sizes = [
        int(rng.choice([params.block, params.lanes, int(rng.integers(1, params.block + 1))]))
        for _ in range(int(rng.integers(1, 4)))
    ]
    fills_words = bool(rng.integers(2))
    width = params.word_bits // MAX_WIDTH if fills_words else int(rng.integers(1, 6))
    site = synthetic_site(
        rng,
        params,
        name,
        (int(rng.integers(1, 3)), width, sum(sizes)),
        transform=str(rng.choice(params.transforms)),  # type: ignore[arg-type]
        order=str(rng.choice(params.orders)),  # type: ignore[arg-type]
        align_bits=params.word_bits * int(rng.choice([1, 4])),
        keep=float(rng.choice([0.1, 0.5, 1.0])),
        max_width=int(rng.choice([1, MAX_WIDTH])),
        block_sizes=sizes,
    )
    if site.info.transform == "bypass":
        return site
    widths = site.arrays.width.copy()
    for block in site.info.blocks:
        k0, k1 = block.coefficients
        if rng.integers(5) == 0:
            widths[k0:k1] = 0
        elif fills_words and k0 < k1 and rng.integers(4):
            # A multiple of 8 bits a position, and a row of word_bits / 8 positions: whole words.
            widths[k1 - 1] = -int(widths[k0 : k1 - 1].sum()) % MAX_WIDTH
    left_shift = np.minimum(site.arrays.left_shift, 9 - np.maximum(widths, 2))
    return SiteTable(site.info, replace(site.arrays, width=widths, left_shift=left_shift), params)
