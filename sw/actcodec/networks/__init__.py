"""Networks: definitions, checkpoints, the activation sites inside them, BatchNorm folding."""

from __future__ import annotations

from actcodec.networks.fold import fold_batchnorm
from actcodec.networks.folding import FoldableConvolution
from actcodec.networks.registry import Network, foldable_sites, load_network, sited_network
from actcodec.networks.sites import SitedNetwork, SiteSpec, find_sites, network_macs
from actcodec.networks.specs import NETWORKS, NetworkSpec, network_spec

__all__ = [
    "NETWORKS",
    "FoldableConvolution",
    "Network",
    "NetworkSpec",
    "SiteSpec",
    "SitedNetwork",
    "find_sites",
    "fold_batchnorm",
    "foldable_sites",
    "load_network",
    "network_macs",
    "network_spec",
    "sited_network",
]
