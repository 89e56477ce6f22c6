"""The stored activations of a network as the codec sees them: bytes in, through the golden model, bytes out."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from actcodec.errors import ActcodecError
from actcodec.golden import SiteCodec
from actcodec.learn.quantize8 import ActivationRange
from actcodec.networks import Network, SitedNetwork, sited_network
from actcodec.tables import SiteTable, Tables


class SiteTap:
    """What a site's readers get: its 8-bit reference, ``coded`` through the integer golden model as well."""

    def __init__(self, table: SiteTable, coded: bool) -> None:
        info = table.info
        self._range = ActivationRange(info.scale, info.zero, info.low, info.high)
        self._codec = SiteCodec(table) if coded else None
        self.stored: NDArray[np.uint8] | None = None
        """The last batch that reached the site, (N, H, W, C), before encoding; only where coded."""

    def __call__(self, activation: Tensor) -> Tensor:
        """Replace an activation (N, C, H, W) by what is read back."""
        x = self._range.quantize(activation)
        if self._codec is not None:
            self.stored = np.ascontiguousarray(x.permute(0, 2, 3, 1).numpy().astype(np.uint8))
            decoded = self._codec.decode(self._codec.encode(self.stored))
            x = torch.from_numpy(decoded).permute(0, 3, 1, 2).to(torch.float32)
        return self._range.dequantize(x)


def site_taps(tables: Tables | None, network: Network, sited: SitedNetwork, *, coded: bool) -> list[SiteTap]:
    """A tap for every site of the network, in the order of its sites.

    Raises ActcodecError where the tables are missing or another network's.
    """
    if tables is None:
        raise ActcodecError("tables", "are needed for every mode but float")
    if tables.provenance.checkpoint_sha256 != network.checkpoint_sha256:
        raise ActcodecError("tables", f"were made for another checkpoint than {network.name}'s")
    if len(tables.sites) != len(sited.sites):
        raise ActcodecError("tables", f"have {len(tables.sites)} sites, {network.name} has {len(sited.sites)}")
    for table, site in zip(tables.sites, sited.sites, strict=True):
        given = (table.info.name, table.info.channels, table.info.height, table.info.width)
        expected = (site.name, site.channels, site.height, site.width)
        if given != expected:
            raise ActcodecError("tables", f"site {given} does not fit {network.name}'s {expected}")
    return [SiteTap(table, coded) for table in tables.sites]


@torch.no_grad()
def stored_activations(network: Network, tables: Tables, images: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
    """What the encoder of every site gets for ``images`` (N, H, W, C), by the site's name: uint8 (N, H, W, C).

    Every site reads what the golden model decoded upstream. Raises ActcodecError as `site_taps` does.
    """
    sited = sited_network(network, orders=tables.orders)
    taps = site_taps(tables, network, sited, coded=True)
    sited(network.inputs(images), lambda index, tensor: taps[index](tensor))
    found: dict[str, NDArray[np.uint8]] = {}
    for table, tap in zip(tables.sites, taps, strict=True):
        if tap.stored is None:
            raise ActcodecError(f"site {table.info.name}", "is not reached by the network")
        found[table.info.name] = tap.stored
    return found
