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
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from actcodec.errors import ActcodecError

if TYPE_CHECKING:
    from actcodec.networks.sites import SiteSpec

_SIDE = 2
"""Side of the patches that there are compiled loops for."""

Patches = Mapping[int, int]
"""The side p of the patches, by the site's index; sites without one are stored by the pixel."""


def patches_that_fit(sites: Iterable[SiteSpec], side: int, most_channels: int) -> dict[int, int]:
    """Return patches of ``side``×``side`` pixels for the sites whose height and width it divides.

    Sites that would be stored in more than ``most_channels`` channels have none.
    """
    if side == 1:
        return {}
    return {
        site.index: side
        for site in sites
        if site.height % side == 0 and site.width % side == 0 and site.channels * side**2 <= most_channels
    }


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
    return _turned(x, side, True)


def to_pixels(x: Tensor, side: int) -> Tensor:
    """Return x, N × p²C × H/p × W/p, as N×C×H×W, in memory channels last."""
    return _turned(x, side, False)


def _turned(x: Tensor, side: int, to_patches: bool) -> Tensor:
    # torch's Function.apply has no types.
    return x if side == 1 else _Turn.apply(x, side, to_patches)  # type: ignore[no-untyped-call]


class _Turn(torch.autograd.Function):
    """Each of the two turns; the gradient is turned back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, side: int, to_patches: bool) -> Tensor:
        ctx.side, ctx.to_patches = side, to_patches
        return _gathered(x, side) if to_patches else _spread(x, side)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _turned(gradients[0], ctx.side, not ctx.to_patches), None, None


def _compiled(x: Tensor, side: int) -> bool:
    """Whether the loops for the usual case apply: torch takes five times as long to move single channels."""
    return side == _SIDE and x.device.type == "cpu" and x.dtype == torch.float32


def _rows(x: Tensor) -> NDArray[np.float32]:
    """Return x, N×C×H×W, as an array (N, H, W, C) that is laid out so."""
    rows: NDArray[np.float32] = x.detach().permute(0, 2, 3, 1).contiguous().numpy()
    return rows


def _gathered(x: Tensor, side: int) -> Tensor:
    images, channels, height, width = x.shape
    shape = (images, height // side, width // side, channels * side**2)
    if _compiled(x, side):
        out = torch.empty(shape)
        gather(_rows(x), out.numpy())
        return out.permute(0, 3, 1, 2)
    split = x.reshape(images, channels, height // side, side, width // side, side)
    return split.permute(0, 2, 4, 1, 3, 5).reshape(shape).permute(0, 3, 1, 2)


def _spread(x: Tensor, side: int) -> Tensor:
    images, channels, height, width = x.shape
    shape = (images, height * side, width * side, channels // side**2)
    if _compiled(x, side):
        out = torch.empty(shape)
        spread(_rows(x), out.numpy())
        return out.permute(0, 3, 1, 2)
    split = x.permute(0, 2, 3, 1).reshape(images, height, width, channels // side**2, side, side)
    return split.permute(0, 1, 4, 2, 5, 3).reshape(shape).permute(0, 3, 1, 2)


@numba.njit(inline="always")
def _interleave(a: Any, b: Any, c: Any, d: Any, out: Any) -> None:
    for k in range(len(a)):
        out[4 * k] = a[k]
        out[4 * k + 1] = b[k]
        out[4 * k + 2] = c[k]
        out[4 * k + 3] = d[k]


@numba.njit(inline="always")
def _part(x: Any, a: Any, b: Any, c: Any, d: Any) -> None:
    for k in range(len(a)):
        a[k] = x[4 * k]
        b[k] = x[4 * k + 1]
        c[k] = x[4 * k + 2]
        d[k] = x[4 * k + 3]


@numba.njit(cache=True, nogil=True)
def gather(x: Any, out: Any) -> None:
    """Copy x (N, H, W, C) into 2×2 patches, ``out`` (N, H/2, W/2, 4·C)."""
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            for j in range(out.shape[2]):
                above, below = x[n, 2 * i], x[n, 2 * i + 1]
                _interleave(above[2 * j], above[2 * j + 1], below[2 * j], below[2 * j + 1], out[n, i, j])


@numba.njit(cache=True, nogil=True)
def spread(x: Any, out: Any) -> None:
    """Copy 2×2 patches x (N, H, W, 4·C) into pixels, ``out`` (N, 2·H, 2·W, C)."""
    for n in range(x.shape[0]):
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                above, below = out[n, 2 * i], out[n, 2 * i + 1]
                _part(x[n, i, j], above[2 * j], above[2 * j + 1], below[2 * j], below[2 * j + 1])
