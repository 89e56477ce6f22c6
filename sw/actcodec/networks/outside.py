"""Networks from outside, each put on a data set that is named beside it.

torchvision:NAME[,weights=W]                  torchvision.models, where torchvision is installed
timm:NAME[,pretrained=yes]                    timm's, where timm is installed
onnx:PATH[,mean=…][,std=…][,drop=N]           an ONNX file, quantized or not, with its weights
tflite:PATH[,mean=…][,std=…][,drop=N]         a TensorFlow Lite file, quantized or not, with its weights
package.module:factory                        a network of one's own
"""

from __future__ import annotations

import copy
import hashlib
import importlib
import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from safetensors.torch import save
from torch import nn

from actcodec.data import DATASETS, DatasetInfo, dataset_info
from actcodec.errors import ActcodecError
from actcodec.networks.imported import ImportedNetwork, load_onnx, load_tflite
from actcodec.networks.spec import NetworkSpec
from actcodec.networks.tracing import reason
from actcodec.sources import parse_source

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
INPUT_ATTRIBUTE = "actcodec_input"
"""Attribute of a module of one's own: ``{"mean": (…), "std": (…)}`` of x/255, a value a channel."""

_TIMM_INPUT = (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD))

_Numbers = tuple[float, ...]
_FILES: dict[str, Callable[[Path, int], ImportedNetwork]] = {"onnx": load_onnx, "tflite": load_tflite}


def outside_network(name: str, dataset: str | None) -> NetworkSpec:
    """Return the specification of network ``name``, which has a colon, on ``dataset``.

    Raises ActcodecError where what it names is not there, cannot be built, or does not fit the data set.
    """
    info = _given(name, dataset)
    scheme = name.partition(":")[0]
    if scheme == "torchvision":
        return _torchvision(name, info)
    if scheme == "timm":
        return _timm(name, info)
    return _file(name, info) if scheme in _FILES else _own(name, info)


def state_digest(model: nn.Module) -> str:
    """Return the SHA-256 of the weights of ``model``, as a safetensors file would hold them."""
    return hashlib.sha256(save({name: value.contiguous() for name, value in model.state_dict().items()})).hexdigest()


def _given(name: str, dataset: str | None) -> DatasetInfo:
    """Return what is known of ``dataset``; a network that is not of the project's has none of its own."""
    if dataset is None:
        raise ActcodecError(f"network {name}", f"has no data set; give --dataset, one of: {', '.join(DATASETS)}")
    try:
        return dataset_info(dataset)
    except ActcodecError as error:
        if error.where != "dataset":
            raise
        problem = f"has the unknown data set {dataset!r}; give --dataset, one of: {', '.join(DATASETS)}"
        raise ActcodecError(f"network {name}", problem) from error


def _library(name: str, library: str, module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except Exception as error:  # A library that does not fit torch fails in many ways.
        problem = f"needs {library}, which cannot be imported: {reason(error)}"
        raise ActcodecError(f"network {name}", problem) from error


def _torchvision(name: str, info: DatasetInfo) -> NetworkSpec:
    source = parse_source(name, ("weights",))
    models, weights = _library(name, "torchvision", "torchvision.models"), source.options.get("weights")
    return NetworkSpec(
        name=name,
        dataset=info.name,
        input_shape=info.shape,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        build=_builder(name, lambda: models.get_model(source.target, weights=weights, num_classes=info.classes)),
        digest=state_digest if weights else None,
    )


def _timm(name: str, info: DatasetInfo) -> NetworkSpec:
    source = parse_source(name, ("pretrained",))
    timm, pretrained = _library(name, "timm", "timm"), source.flag("pretrained", False)
    channels = info.shape[0]
    build = _builder(
        name,
        lambda: timm.create_model(source.target, pretrained=pretrained, num_classes=info.classes, in_chans=channels),
    )
    # timm's networks carry the normalisation that their weights were trained with.
    config = getattr(build(), "pretrained_cfg", {})
    mean, std = (tuple(map(float, config.get(key, default))) for key, default in _TIMM_INPUT)
    if channels != len(mean):
        mean, std = (tuple([sum(values) / len(values)] * channels) for values in (mean, std))
    return NetworkSpec(
        name=name,
        dataset=info.name,
        input_shape=info.shape,
        mean=mean,
        std=std,
        build=build,
        digest=state_digest if pretrained else None,
    )


def _file(name: str, info: DatasetInfo) -> NetworkSpec:
    source = parse_source(name, ("mean", "std", "drop"))
    found = _FILES[source.scheme](Path(source.target), source.number("drop", 0) or 0)
    where = f"network {name}"
    if found.input_shape != info.shape:
        raise ActcodecError(where, f"takes images C×H×W {found.input_shape}; those of {info.name} are {info.shape}")
    if found.logits != info.classes:
        problem = f"has {found.logits} outputs for {info.classes} classes"
        hint = "; drop=1 leaves out the first, background" if found.logits == info.classes + 1 else ""
        raise ActcodecError(where, problem + hint)
    channels = info.shape[0]
    mean = source.numbers("mean") or (None if found.mean is None else (found.mean,) * channels)
    std = source.numbers("std") or (None if found.std is None else (found.std,) * channels)
    if mean is None or std is None:
        problem = f"does not say how images are normalised; name it: {source.text},mean=0.5/…,std=0.5/… of images/255"
        raise ActcodecError(where, problem)
    _check_normalisation(where, mean, std, channels)
    return NetworkSpec(
        name=name,
        dataset=info.name,
        input_shape=info.shape,
        mean=mean,
        std=std,
        build=lambda: copy.deepcopy(found.model),
        digest=lambda _model: found.sha256,
    )


def _builder(name: str, factory: Callable[[], Any]) -> Callable[[], nn.Module]:
    """Return ``factory`` with its failures named."""

    def build() -> nn.Module:
        try:
            model = factory()
        except Exception as error:  # Code of the user's.
            raise ActcodecError(f"network {name}", f"cannot be built: {reason(error)}") from error
        if not isinstance(model, nn.Module):
            raise ActcodecError(f"network {name}", f"the factory returned a {type(model).__name__}, not a Module")
        return model

    return build


def _own(name: str, info: DatasetInfo) -> NetworkSpec:
    build = _builder(name, _factory(name))
    mean, std = normalisation(f"network {name}", build(), info.shape[0])
    return NetworkSpec(name=name, dataset=info.name, input_shape=info.shape, mean=mean, std=std, build=build)


def _factory(name: str) -> Callable[[], Any]:
    """Import what ``package.module:factory`` names; the current folder is looked in as well."""
    module_name, _, attribute = name.partition(":")
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # Whatever the module raises when it is imported.
        raise ActcodecError(f"network {name}", f"{module_name} cannot be imported: {reason(error)}") from error
    finally:
        if folder in sys.path:
            sys.path.remove(folder)
    factory = getattr(module, attribute, None)
    if not callable(factory):
        raise ActcodecError(f"network {name}", f"{module_name} has no function or class {attribute!r}")
    return factory  # type: ignore[no-any-return]


def normalisation(where: str, model: nn.Module, channels: int) -> tuple[_Numbers, _Numbers]:
    """Return mean and std that ``model`` has as its attribute ``actcodec_input``; ActcodecError where it has none."""
    convention = getattr(model, INPUT_ATTRIBUTE, None)
    try:
        mean = tuple(float(value) for value in convention["mean"])  # type: ignore[index]
        std = tuple(float(value) for value in convention["std"])  # type: ignore[index]
    except (TypeError, KeyError, ValueError):
        problem = f"its module needs the attribute {INPUT_ATTRIBUTE} = {{'mean': (…), 'std': (…)}} of images/255"
        raise ActcodecError(where, problem) from None
    _check_normalisation(where, mean, std, channels, INPUT_ATTRIBUTE)
    return mean, std


def _check_normalisation(where: str, mean: _Numbers, std: _Numbers, channels: int, what: str = "normalisation") -> None:
    if len(mean) != channels or len(std) != channels or not all(map(math.isfinite, mean)) or not min(std) > 0:
        problem = f"{what} needs {channels} means and {channels} positive stds, got mean {mean}, std {std}"
        raise ActcodecError(where, problem)
