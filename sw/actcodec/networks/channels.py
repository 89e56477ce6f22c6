"""Networks with fewer channels than their name says: channels cut out of layers, and checkpoints that tell so.

A checkpoint of a pruned network has the output channels of every layer in its header; a network built by its name is
cut to them before the weights are loaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from actcodec.errors import ActcodecError
from actcodec.networks.permutation import channel_ties
from actcodec.networks.tracing import trace

_CHANNELS = "actcodec.channels"


def channel_metadata(channels: Mapping[str, int] | None) -> dict[str, str] | None:
    """Return what a checkpoint's header says of a network pruned to ``channels`` outputs by layer; None: nothing."""
    return None if channels is None else {_CHANNELS: json.dumps(channels, sort_keys=True)}


def pruned_channels(checkpoint: bytes, where: object) -> dict[str, int] | None:
    """Return the channels in the header of ``checkpoint``, a valid safetensors file; None where it has none.

    Raises ActcodecError, naming ``where``, where they are no counts by layer.
    """
    size = int.from_bytes(checkpoint[:8], "little")
    metadata = json.loads(checkpoint[8 : 8 + size]).get("__metadata__") or {}
    if _CHANNELS not in metadata:
        return None
    try:
        channels = json.loads(metadata[_CHANNELS])
    except json.JSONDecodeError:
        channels = None
    if not isinstance(channels, dict) or not all(type(count) is int for count in channels.values()):
        raise ActcodecError(where, f"{_CHANNELS} in its header is {metadata[_CHANNELS][:80]!r}, no counts by layer")
    return channels


def prune_model(model: nn.Module, channels: Mapping[str, int], where: object) -> None:
    """Cut ``model`` in place to the first ``channels`` outputs of every layer: room for a pruned network's weights.

    Raises ActcodecError, naming ``where``, for a layer that has none or cannot have that many.
    """
    for tie in channel_ties(trace(model)):
        producer = next((path for path, axis in tie.modules if axis == 0 and path in channels), None)
        if producer is None:
            raise ActcodecError(where, f"does not say how many channels {tie.modules[0][0]} has")
        present = len(model.get_parameter(f"{producer}.weight"))
        wanted = channels[producer]
        if not 1 <= wanted <= present:
            raise ActcodecError(where, f"layer {producer} has {wanted} channels, the network at most {present}")
        if wanted < present:
            for path, axis in tie.modules:
                cut_channels(model.get_submodule(path), axis, torch.arange(wanted), present)


def cut_channels(
    module: nn.Module, axis: int, keep: Tensor, present: int, optimizer: torch.optim.Optimizer | None = None
) -> None:
    """Keep ``keep`` (ascending, int64) of the ``present`` channels along ``axis`` of the module's tensors, in place.

    A channel may have several neighbouring entries (features of a flattened map). ``optimizer``'s moments are cut too.
    """

    def kept(tensor: Tensor) -> Tensor:
        k = tensor.shape[axis] // present
        places = (keep[:, None] * k + torch.arange(k)).reshape(-1)
        cut = tensor.index_select(axis, places.to(tensor.device))
        return cut.contiguous(memory_format=torch.channels_last) if cut.ndim == 4 else cut

    for parameter in module.parameters(recurse=False):
        if parameter.ndim <= axis:
            continue
        parameter.data = kept(parameter.data)
        parameter.grad = None
        if optimizer is not None:
            moments = optimizer.state[parameter]
            for name, value in moments.items():
                if value.ndim:
                    moments[name] = kept(value)
    for name, buffer in list(module.named_buffers(recurse=False)):
        if buffer.ndim > axis:
            setattr(module, name, kept(buffer))
    _describe(module)


def _describe(module: nn.Module) -> None:
    """Bring a module's stated sizes in line with its tensors."""
    if isinstance(module, nn.Conv2d):
        depthwise = module.groups > 1
        module.out_channels = module.weight.shape[0]
        # Of grouped convolutions only depthwise ones have channels that can be cut (`channel_ties`).
        module.in_channels = module.out_channels if depthwise else module.weight.shape[1]
        module.groups = module.out_channels if depthwise else 1
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif isinstance(module, nn.BatchNorm2d):
        module.num_features = len(module.running_mean)  # type: ignore[arg-type]
