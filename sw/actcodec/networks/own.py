"""A torch module that a program already holds, as a network of this package."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn

from actcodec.data import dataset_info
from actcodec.errors import ActcodecError
from actcodec.networks.outside import normalisation, state_digest
from actcodec.networks.registry import Network


def module_network(
    module: nn.Module,
    dataset: str | None,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    name: str | None = None,
    site_modules: tuple[str, ...] = (),
) -> Network:
    """Return a copy of ``module``, N×C×H×W in and logits out, as a network on ``dataset``, under the name of its class.

    Images are normalised by ``mean`` and ``std`` of images/255, or by the module's attribute ``actcodec_input``.
    Raises ActcodecError where there is no data set, or no normalisation for its channels.
    """
    where = f"network {name or type(module).__name__}"
    if dataset is None:
        raise ActcodecError(where, "needs a data set")
    info, model = dataset_info(dataset), copy.deepcopy(module).eval().requires_grad_(False)
    if mean is not None and std is not None:
        model.actcodec_input = {"mean": tuple(mean), "std": tuple(std)}  # type: ignore[assignment]
    means, stds = normalisation(where, model, info.shape[0])
    return Network(
        name=name or type(module).__name__,
        model=model.to(memory_format=torch.channels_last),  # type: ignore[call-overload]
        dataset=info.name,
        mean=means,
        std=stds,
        input_shape=info.shape,
        checkpoint_sha256=state_digest(model),
        site_modules=site_modules,
    )
