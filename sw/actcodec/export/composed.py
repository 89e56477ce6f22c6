"""P inside the convolution before a site: rows that give codes instead of activations.

    row_k = Σ_c P[k,c]·W[c]·(scale of its input / scale of the site)          bias_k = bias + Σ_c P[k,c]·b[c] / scale

W and b are the convolution's, BatchNorm folded. A row times 2^s_k, rounded to int8, is what the hardware computes, and
dividing by its power of two is the encoder's shift.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actcodec.errors import ActcodecError
from actcodec.export.rounding import TOP, whole
from actcodec.learn.plan import Plan, SitePlan
from actcodec.networks import FoldableConvolution, Network, SitedNetwork, foldable_sites, sited_network
from actcodec.tables.convolutions import Convolution

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ComposedRows:
    """A convolution with P in it, in real numbers: ``code = rows·(x − zero) + bias``, x the bytes that it reads."""

    rows: FloatArray
    """(K, n), n = C_in·rows·columns"""
    bias: FloatArray
    """(K,)"""
    shape: tuple[int, int, int]
    """C_in, rows, columns"""
    source: FoldableConvolution
    zero: int
    low: int
    high: int
    """Zero point and range of the bytes that it reads."""

    def convolution(self, site: str, shift: NDArray[np.int64]) -> Convolution:
        """The convolution in integers: rows times 2^shift (K,). ActcodecError where one does not fit int8."""
        weight = whole(site, "composed weight", self.rows * 2.0 ** shift[:, None], TOP).astype(np.int8)
        g = self.source.geometry
        return Convolution(weight.reshape(-1, *self.shape), g.stride, g.padding, g.dilation, self.zero)


def compose(plan: Plan, network: Network) -> dict[str, ComposedRows]:
    """Return the composed convolutions of the plan's folded sites, by the site's name.

    Raises ActcodecError where a site of the plan is not the network's, or its convolution cannot be folded.
    """
    sited = sited_network(network)
    names = [site.info.name for site in plan.sites]
    if names != [site.name for site in sited.sites]:
        raise ActcodecError("plan", f"has other sites than {network.name}")
    foldable = {conv.site: conv for conv in foldable_sites(network)}
    found = {}
    for number, site in enumerate(plan.sites):
        if site.info.transform != "folded":
            continue
        if number not in foldable:
            raise ActcodecError(
                f"site {site.info.name}", "cannot be folded: no plain convolution right before its ReLU"
            )
        conv = foldable[number]
        found[site.info.name] = _composed(site, plan.sites[conv.source], conv, sited)
    return found


def _composed(site: SitePlan, source: SitePlan, conv: FoldableConvolution, sited: SitedNetwork) -> ComposedRows:
    weight, bias = (tensor.double().numpy() for tensor in (conv.weight(sited), conv.bias(sited)))
    C, K = site.info.channels, site.info.blocks[-1].coefficients[1]
    P = np.zeros((K, C))
    for block in site.info.blocks:
        c, k = slice(*block.channels), slice(*block.coefficients)
        P[k, c] = site.arrays.P[k, : c.stop - c.start]
    return ComposedRows(
        rows=P @ weight.reshape(C, -1) * (source.info.scale / site.info.scale),
        bias=site.arrays.bias + P @ bias / site.info.scale,
        shape=weight.shape[1:],
        source=conv,
        zero=source.info.zero,
        low=source.info.low,
        high=source.info.high,
    )
