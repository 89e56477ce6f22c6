"""Patches of pixels as one position of a site.

What a position's coefficients are computed from is what the projection can decorrelate: of one pixel its channels, of
a p×p patch neighbouring pixels as well. A site of C×H×W is then stored as p²C × H/p × W/p, where channel c of pixel
(dy, dx) of a patch is channel c·p² + dy·p + dx (torch's ``pixel_unshuffle``): a codec's block of b channels holds all
pixels of b/p² channels. For the codec it is a site like any other; only the order in which activations reach it is
another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from torch import Tensor

from actcodec.errors import ActcodecError

if TYPE_CHECKING:
    from actcodec.networks.sites import SiteSpec

Patches = Mapping[int, int]
"""The side p of the patches, by the site's index; sites without one are stored by the pixel."""


def patches_that_fit(sites: Iterable[SiteSpec], side: int) -> dict[int, int]:
    """Return patches of ``side``×``side`` pixels for the sites whose height and width it divides."""
    if side == 1:
        return {}
    return {site.index: side for site in sites if site.height % side == 0 and site.width % side == 0}


def patches_between(sites: Iterable[SiteSpec], shapes: Mapping[str, tuple[int, int, int]]) -> dict[int, int]:
    """Return the patches by which ``sites`` take the stored ``shapes`` (C, H, W), given by the sites' names.

    Sites whose stored shape is their own, or cannot come of patches, have none.
    """
    found = {}
    for site in sites:
        channels, height, width = shapes.get(site.name, (0, 0, 0))
        side = site.height // height if height else 1
        if side > 1 and (site.channels * side**2, site.height, site.width) == (channels, height * side, width * side):
            found[site.index] = side
    return found


def stored_sites(sites: Sequence[SiteSpec], patches: Patches) -> tuple[SiteSpec, ...]:
    """Return ``sites`` in the shapes that they are stored in; ActcodecError where a patch does not divide one."""
    return tuple(_stored(site, patches.get(site.index, 1)) for site in sites)


def _stored(site: SiteSpec, side: int) -> SiteSpec:
    if site.height % side or site.width % side:
        raise ActcodecError(f"site {site.name}", f"of {site.height}×{site.width} pixels has no {side}×{side} patches")
    return replace(site, channels=site.channels * side**2, height=site.height // side, width=site.width // side)


def to_patches(x: Tensor, side: int) -> Tensor:
    """Return x, N×C×H×W, as N × p²C × H/p × W/p, in memory channels last."""
    if side == 1:
        return x
    images, channels, height, width = x.shape
    split = x.reshape(images, channels, height // side, side, width // side, side).permute(0, 2, 4, 1, 3, 5)
    return split.reshape(images, height // side, width // side, channels * side**2).permute(0, 3, 1, 2)


def to_pixels(x: Tensor, side: int) -> Tensor:
    """Return x, N × p²C × H/p × W/p, as N×C×H×W, in memory channels last."""
    if side == 1:
        return x
    images, channels, height, width = x.shape
    split = x.permute(0, 2, 3, 1).reshape(images, height, width, channels // side**2, side, side)
    pixels = split.permute(0, 1, 4, 2, 5, 3).reshape(images, height * side, width * side, channels // side**2)
    return pixels.permute(0, 3, 1, 2)
