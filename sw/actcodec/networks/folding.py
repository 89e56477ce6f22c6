"""Which sites can be computed as coefficients: P inside the convolution before them, the activation in the decoder.

    convolution → ReLU or ReLU6, nothing between them, no groups; what it reads is a stored site

The convolution then computes the rows Σ_c P[k,c]·W[c] instead of W[c], and the decoder's clamp is the activation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, fx, nn

from actcodec.networks.fusion import stored_groups
from actcodec.networks.sites import SitedNetwork, SiteSpec
from actcodec.networks.tracing import module_of

RECTIFIED = ("relu", "relu6")


@dataclass(frozen=True)
class Geometry:
    """Stride, padding with zeros and dilation of a convolution, each (rows, columns)."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]


@dataclass(frozen=True, eq=False)
class FoldableConvolution:
    """The convolution of site ``site``, BatchNorm folded: what it reads, site ``source``, and what it computes."""

    site: int
    source: int
    module: str
    geometry: Geometry

    def weight(self, sited: SitedNetwork) -> Tensor:
        """(C, C_in, rows, columns)."""
        return self._module(sited).weight.detach()

    def bias(self, sited: SitedNetwork) -> Tensor:
        """(C,); zeros where the convolution has none."""
        module = self._module(sited)
        return module.weight.new_zeros(module.out_channels) if module.bias is None else module.bias.detach()

    def _module(self, sited: SitedNetwork) -> nn.Conv2d:
        module = sited.network.get_submodule(self.module)
        assert isinstance(module, nn.Conv2d)
        return module


def foldable_convolutions(folded: fx.GraphModule, sites: Sequence[SiteSpec]) -> tuple[FoldableConvolution, ...]:
    """Return the convolutions that P can be part of, in the order of their sites.

    ``folded`` is a network after `fold_batchnorm`, ``sites`` are what `find_sites` found in it.
    """
    groups = stored_groups(folded)
    stored = {group.nodes[-1]: number for number, group in enumerate(groups)}
    found = []
    for site in sites:
        group = groups[site.index]
        conv = module_of(folded, group.nodes[0])
        source = stored.get(group.nodes[0].all_input_nodes[0])
        if len(group.nodes) != 2 or site.activation not in RECTIFIED or source is None:
            continue
        geometry = _geometry(conv)
        if geometry is not None:
            found.append(FoldableConvolution(site.index, source, site.name, geometry))
    return tuple(found)


def _geometry(conv: nn.Module | None) -> Geometry | None:
    """The geometry of a plain convolution; None for one with groups, or with another padding than some zeros."""
    if not isinstance(conv, nn.Conv2d) or conv.groups != 1 or conv.padding_mode != "zeros":
        return None
    if isinstance(conv.padding, str):
        return None
    pairs = ((int(pair[0]), int(pair[1])) for pair in (conv.stride, conv.padding, conv.dilation))
    return Geometry(*pairs)
