"""Trained networks: a specification with the weights of a checkpoint."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from actcodec.data.roots import data_root
from actcodec.errors import ActcodecError
from actcodec.files import read_bytes
from actcodec.networks.channels import prune_model, pruned_channels
from actcodec.networks.fold import check_weights, fold_batchnorm, round_weights
from actcodec.networks.folding import FoldableConvolution, foldable_convolutions
from actcodec.networks.patches import Patches
from actcodec.networks.permutation import permute_channels
from actcodec.networks.sites import SitedNetwork, find_sites
from actcodec.networks.spec import NetworkSpec
from actcodec.networks.specs import network_spec


@dataclass(frozen=True)
class Network:
    """A trained network in evaluation mode, its input conventions, the SHA-256 of the file of its weights.

    ``site_modules`` names the modules whose outputs are stored; empty: they are found by tracing. ``channels`` of a
    pruned network are the outputs of every layer.
    """

    name: str
    model: nn.Module
    dataset: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    input_shape: tuple[int, int, int]
    checkpoint_sha256: str
    site_modules: tuple[str, ...] = ()
    channels: Mapping[str, int] | None = None

    def inputs(self, images: NDArray[np.uint8]) -> Tensor:
        """Return (images/255 − mean)/std as float32 N×C×H×W, channels last in memory.

        ``images`` is uint8 N×H×W×C; ActcodecError where their shape is not the network's.
        """
        channels, height, width = self.input_shape
        if images.shape[1:] != (height, width, channels):
            problem = f"takes images {(height, width, channels)}, got {images.shape[1:]}"
            raise ActcodecError(f"network {self.name}", problem)
        return normalised(images, self.mean, self.std)


def normalised(images: NDArray[np.uint8], mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Return (images/255 − mean)/std, uint8 N×H×W×C to float32 N×C×H×W, channels last in memory."""
    x = torch.from_numpy(np.ascontiguousarray(images)).to(torch.float32).div_(255)
    # A view of N×H×W×C memory as N×C×H×W is the channels-last layout that convolutions run fastest in.
    return x.sub_(torch.tensor(mean)).div_(torch.tensor(std)).permute(0, 3, 1, 2)


def load_network(
    name: str,
    root: Path | None = None,
    checkpoint: Path | None = None,
    *,
    dataset: str | None = None,
    site_modules: tuple[str, ...] = (),
) -> Network:
    """Build ``name`` (see `network_spec`) and load its weights.

    They are those of ``checkpoint`` (safetensors), else those that the network is built with, as from a file of another
    tool, else of the package or the data folder ``root``. ``dataset`` is needed for a network of one's own;
    ``site_modules`` names its sites where it cannot be traced. Where the checkpoint says so the network has fewer
    channels (`networks.channels`).
    Raises ActcodecError where the name is unknown or the checkpoint is missing or does not fit.
    """
    spec = network_spec(name, dataset)
    model = spec.build()
    channels = None
    if checkpoint is None and spec.digest is not None:
        digest = spec.digest(model)
    else:
        path, content = _checkpoint(spec, root, checkpoint)
        try:
            state = load(content)
        except SafetensorError as error:
            raise ActcodecError(path, f"is not a safetensors file: {error}") from error
        channels = pruned_channels(content, path)
        if channels is not None:
            prune_model(model, channels, path)
        load_state(model, spec.state_of(state), path)
        digest = hashlib.sha256(content).hexdigest()
    model.eval().requires_grad_(False)
    return Network(
        name=name,
        model=model.to(memory_format=torch.channels_last),  # type: ignore[call-overload]
        dataset=spec.dataset,
        mean=spec.mean,
        std=spec.std,
        input_shape=spec.input_shape,
        checkpoint_sha256=digest,
        site_modules=site_modules,
        channels=channels,
    )


def network_with(network: Network, checkpoint: bytes) -> Network:
    """Return ``network`` with the weights of ``checkpoint``, the content of a safetensors file.

    Raises ActcodecError where it does not fit.
    """
    model = copy.deepcopy(network.model)
    load_state(model, load(checkpoint), Path(f"weights of {network.name}"))
    return replace(network, model=model, checkpoint_sha256=hashlib.sha256(checkpoint).hexdigest())


def _checkpoint(spec: NetworkSpec, root: Path | None, checkpoint: Path | None) -> tuple[Path, bytes]:
    """Return the path and the bytes of the weights."""
    if checkpoint is not None:
        return checkpoint, read_bytes(checkpoint)
    if spec.checkpoint is None:
        dataset = f" --dataset {spec.dataset}" if ":" in spec.name else ""
        train = f"actcodec train --model {spec.name}{dataset} --out FILE"
        raise ActcodecError(f"network {spec.name}", f"has no weights here; give --checkpoint FILE, or run `{train}`")
    if spec.embedded:
        with as_file(files("actcodec") / "checkpoints" / spec.checkpoint) as path:
            return path, read_bytes(path)
    path = data_root(root) / "pretrained" / spec.checkpoint
    return path, read_bytes(path)


def sited_network(
    network: Network,
    weights: str = "float",
    orders: Mapping[int, NDArray[np.int64]] | None = None,
    folded: Collection[int] = (),
    patches: Patches = MappingProxyType({}),
) -> SitedNetwork:
    """Return ``network`` with its BatchNorm folded, ``weights`` float or w8, and a tap at every site.

    ``orders`` are channel orders of sites, folded into the weights (`permute_channels`). Sites with an index in
    ``folded`` (`foldable_sites`) have their tap in front of the activation, those with ``patches`` are stored in them.
    With ``site_modules`` the network is taken as it is: nothing is folded.
    Raises ActcodecError as `fold_batchnorm`, `find_sites` and `permute_channels` do.
    """
    if not network.site_modules:
        model = fold_batchnorm(network.model, weights)
        sites = find_sites(model, network.input_shape)
        permuted = permute_channels(model, sites, orders) if orders else model
        return SitedNetwork(permuted, sites, folded=folded, patches=patches)
    check_weights(weights)
    if orders:
        raise ActcodecError(f"network {network.name}", "has sites named by module; their channels cannot be reordered")
    sites = find_sites(network.model, network.input_shape, network.site_modules)
    hooked = copy.deepcopy(network.model)
    if weights == "w8":
        round_weights(hooked)
    return SitedNetwork(hooked, sites, by_module=True, patches=patches)


def foldable_sites(network: Network) -> tuple[FoldableConvolution, ...]:
    """Return the sites that the convolution before them can compute as coefficients (`foldable_convolutions`).

    None where sites are named by module: their network is not traced.
    """
    if network.site_modules:
        return ()
    model = fold_batchnorm(network.model)
    return foldable_convolutions(model, find_sites(model, network.input_shape))


def load_state(model: nn.Module, state: dict[str, Tensor], where: Path) -> None:
    """Copy ``state`` into ``model``; ActcodecError names a tensor that is missing, unknown or misshapen.

    BatchNorm's ``num_batches_tracked`` plays no part in inference and may be absent.
    """
    expected = {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    given = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    for name in expected:
        if name not in given:
            raise ActcodecError(where, f"tensor {name} is missing")
        if given[name].shape != expected[name].shape:
            problem = f"has shape {tuple(given[name].shape)}, expected {tuple(expected[name].shape)}"
            raise ActcodecError(where, f"tensor {name} {problem}")
    for name in given:
        if name not in expected:
            raise ActcodecError(where, f"tensor {name} is unknown to the network")
    model.load_state_dict(given, strict=False)
