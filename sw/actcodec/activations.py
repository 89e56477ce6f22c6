"""The stored activations of a network as the codec sees them: bytes in, through the golden model, bytes out.

Folded sites are computed as the hardware does it: the composed convolution on the bytes that the codec gave back for
the site before, its sums coded by the golden model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from actcodec.errors import ActcodecError
from actcodec.golden import Input, SiteCodec
from actcodec.learn.quantize8 import ActivationRange
from actcodec.networks import Network, SitedNetwork, SiteSpec, foldable_sites, sited_network
from actcodec.networks.patches import patches_between
from actcodec.tables import SiteTable, Tables, load_tables
from actcodec.tables.convolutions import Convolution, load_convolutions

_FLOAT32_EXACT = 1 << 24


@dataclass(frozen=True, eq=False)
class FoldedTables:
    """Tables of folded sites with the convolutions that compute them, in the order of the tables' sites."""

    tables: Tables
    convolutions: tuple[Convolution, ...]


def load_folded(directory: Path) -> FoldedTables:
    """Read the tables of folded sites. Raises ActcodecError as `load_tables` and `load_convolutions` do."""
    tables = load_tables(directory)
    return FoldedTables(tables, load_convolutions(directory, tables))


@torch.no_grad()
def accumulate(convolution: Convolution, x: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Return the sums (N, H, W, K) of a composed convolution on bytes x (N, H, W, C), in exact integers."""
    weight = torch.from_numpy(convolution.weight)
    # No partial sum is larger than the sum of all magnitudes.
    reach = int(weight.double().abs().sum((1, 2, 3)).max()) * 255
    number = torch.float32 if reach < _FLOAT32_EXACT else torch.float64
    given = torch.from_numpy(x).permute(0, 3, 1, 2).to(number) - convolution.zero
    c = convolution
    sums = functional.conv2d(given, weight.to(number), None, c.stride, c.padding, c.dilation)
    return np.ascontiguousarray(sums.permute(0, 2, 3, 1).to(torch.int32).numpy())


class SiteTap:
    """What a site's readers get: its 8-bit reference, ``coded`` through the integer golden model as well."""

    def __init__(self, table: SiteTable, coded: bool) -> None:
        info = table.info
        self._range = ActivationRange(info.scale, info.zero, info.low, info.high)
        self._codec = SiteCodec(table) if coded else None
        self.stored: Input | None = None
        """What the encoder got for the last batch that reached the site, (N, H, W, ·); only where coded."""
        self.streams: NDArray[np.uint8] | None = None
        """The streams that it made of it, (N, bytes)."""
        self.decoded: NDArray[np.uint8] | None = None
        """What the decoder gave back for it."""

    def __call__(self, activation: Tensor) -> Tensor:
        """Replace an activation (N, C, H, W) by what is read back."""
        if self._codec is None:
            return self._range.dequantize(self._range.quantize(activation))
        self.stored = self._input(activation)
        self.streams = self._codec.encode(self.stored)
        self.decoded = self._codec.decode(self.streams)
        return self._range.dequantize(torch.from_numpy(self.decoded).permute(0, 3, 1, 2).to(torch.float32))

    def _input(self, activation: Tensor) -> Input:
        x = self._range.quantize(activation)
        return np.ascontiguousarray(x.permute(0, 2, 3, 1).numpy().astype(np.uint8))


class FoldedTap(SiteTap):
    """A folded site through the golden model: what reaches it from the float network is not looked at."""

    def __init__(self, table: SiteTable, convolution: Convolution, source: SiteTap) -> None:
        super().__init__(table, coded=True)
        self._convolution, self._source = convolution, source

    def _input(self, activation: Tensor) -> Input:
        assert self._source.decoded is not None, "the convolution reads a site that comes before"
        return accumulate(self._convolution, self._source.decoded)


def stored_patches(
    sites: Sequence[SiteSpec], tables: Tables | None, folded: FoldedTables | None = None
) -> dict[int, int]:
    """Return the patches by which ``tables`` store ``sites``, a network's own (`actcodec.networks.patches`).

    Raises ActcodecError where others than these sites are folded: their convolutions read pixels.
    """
    listed = () if tables is None else tables.sites
    patches = patches_between(sites, {t.info.name: (t.info.channels, t.info.height, t.info.width) for t in listed})
    if patches and folded is not None:
        raise ActcodecError("folded tables", "go with sites that are stored by the pixel, not in patches")
    return patches


def network_of_tables(network: Network, tables: Tables, folded: FoldedTables | None = None) -> SitedNetwork:
    """Return ``network`` with channels and pixels in the order that ``tables`` store them in."""
    sited = sited_network(network)
    patches = stored_patches(sited.sites, tables, folded)
    return sited_network(network, orders=tables.orders, patches=patches) if patches or tables.orders else sited


def site_taps(
    tables: Tables | None,
    network: Network,
    sited: SitedNetwork,
    *,
    coded: bool,
    folded: FoldedTables | None = None,
) -> list[SiteTap]:
    """A tap for every site of the network, in the order of its sites; ``folded`` are those that ``tables`` lack.

    Raises ActcodecError where the tables are missing, another network's or of different plans.
    """
    if tables is None:
        raise ActcodecError("tables", "are needed for every mode but float")
    parts = [tables] if folded is None else [tables, folded.tables]
    for part in parts:
        if part.provenance.checkpoint_sha256 != network.checkpoint_sha256:
            raise ActcodecError("tables", f"were made for another checkpoint than {network.name}'s")
        if part.provenance.plan_sha256 != tables.provenance.plan_sha256:
            raise ActcodecError("folded tables", "were made of another plan than the other ones")
    listed = [table for part in parts for table in part.sites]
    if len(listed) != len(sited.sites):
        raise ActcodecError("tables", f"have {len(listed)} sites, {network.name} has {len(sited.sites)}")
    if folded is not None:
        places = {site.name: site.index for site in sited.sites}
        listed.sort(key=lambda table: places.get(table.info.name, -1))
    for table, site in zip(listed, sited.sites, strict=True):
        given = (table.info.name, table.info.channels, table.info.height, table.info.width)
        expected = (site.name, site.channels, site.height, site.width)
        if given != expected:
            raise ActcodecError("tables", f"site {given} does not fit {network.name}'s {expected}")
    if folded is None or not coded:
        return [SiteTap(table, coded) for table in listed]
    return _with_folded(listed, network, folded)


def _with_folded(listed: Sequence[SiteTable], network: Network, folded: FoldedTables) -> list[SiteTap]:
    sources = {conv.site: conv.source for conv in foldable_sites(network)}
    convolutions = dict(zip((t.info.name for t in folded.tables.sites), folded.convolutions, strict=True))
    taps: list[SiteTap] = []
    for number, table in enumerate(listed):
        convolution = convolutions.get(table.info.name)
        if convolution is None:
            taps.append(SiteTap(table, coded=True))
        elif sources.get(number, number) >= number:
            raise ActcodecError(f"site {table.info.name}", f"cannot be folded in {network.name}")
        else:
            taps.append(FoldedTap(table, convolution, taps[sources[number]]))
    return taps


def folded_indices(sited: SitedNetwork, folded: FoldedTables | None) -> tuple[int, ...]:
    """The indices of the network's sites that are folded."""
    names = set() if folded is None else {table.info.name for table in folded.tables.sites}
    return tuple(site.index for site in sited.sites if site.name in names)


@torch.no_grad()
def stored_activations(
    network: Network, tables: Tables, images: NDArray[np.uint8], folded: FoldedTables | None = None
) -> dict[str, Input]:
    """What the encoder of every site gets for ``images`` (N, H, W, C), by the site's name.

    uint8 (N, H, W, C), of a folded site int32 (N, H, W, K). Every site reads what the golden model decoded upstream.
    Raises ActcodecError as `site_taps` does.
    """
    plain = network_of_tables(network, tables, folded)
    taps = site_taps(tables, network, plain, coded=True, folded=folded)
    indices = folded_indices(plain, folded)
    sited = sited_network(network, folded=indices) if indices else plain
    sited(network.inputs(images), lambda index, tensor: taps[index](tensor))
    found: dict[str, Input] = {}
    for site, tap in zip(sited.sites, taps, strict=True):
        if tap.stored is None:
            raise ActcodecError(f"site {site.name}", "is not reached by the network")
        found[site.name] = tap.stored
    return found
