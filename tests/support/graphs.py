"""Small layer graphs and accelerators for tests of the accelerator model."""

from __future__ import annotations

from typing import Any

from actcodec.graph import Axis, Layer, LayerGraph, Read, Tensor
from actcodec_sim.accelerator import Accelerator

Shape = tuple[int, int, int]


class GraphBuilder:
    """Layers one after another; the tensor of each is named after it and is a site, unless it is the last."""

    def __init__(self, shape: Shape) -> None:
        self.tensors = {"input": Tensor(name="input", channels=shape[0], height=shape[1], width=shape[2])}
        self.layers: list[Layer] = []

    def conv(
        self,
        name: str,
        source: str,
        channels: int,
        kernel: int = 3,
        stride: int = 1,
        shortcut: str | None = None,
        **more: Any,
    ) -> str:
        """A convolution with the usual padding; ``groups`` = channels makes it depthwise. ``shortcut`` is added."""
        given = self.tensors[source]
        groups, pad = more.get("groups", 1), more.get("pad", kernel // 2)
        height, width = ((size + 2 * pad - kernel) // stride + 1 for size in (given.height, given.width))
        axis = Axis(kernel=kernel, stride=stride, pad=pad)
        reads = [Read(tensor=source, rows=axis, columns=axis)]
        if shortcut is not None:
            skip = Axis(stride=self.tensors[shortcut].height // height)
            reads.append(Read(tensor=shortcut, role="shortcut", rows=skip, columns=skip))
        weights = channels * given.channels // groups * kernel * kernel
        self.layers.append(
            Layer(
                name=name,
                kind="depthwise" if groups > 1 else "conv",
                reads=tuple(reads),
                output=name,
                inputs=given.channels,
                outputs=channels,
                height=height,
                width=width,
                kernel=(kernel, kernel),
                stride=(stride, stride),
                padding=(pad, pad),
                groups=groups,
                macs=weights * height * width,
                weight_bytes=weights,
            )
        )
        self.tensors[name] = Tensor(name=name, channels=channels, height=height, width=width, site=name)
        return name

    def graph(self) -> LayerGraph:
        """The graph; its last output is no site."""
        last = self.layers[-1].output
        self.tensors[last] = self.tensors[last].model_copy(update={"site": None})
        return LayerGraph(network="test", tensors=tuple(self.tensors.values()), layers=tuple(self.layers))


def accelerator(
    inputs: int = 1 << 30,
    weights: int = 1 << 30,
    outputs: int = 1 << 30,
    array: dict[str, Any] | None = None,
    **schedule: Any,
) -> Accelerator:
    """Three memories of these bytes, a 4 × 4 channel-parallel array, 8-bit words; no slack of bytes."""
    source = "test"
    sizes = {"inputs": inputs, "weights": weights, "outputs": outputs}
    return Accelerator.model_validate(
        {
            "name": "test",
            "array": {"source": source, "rows": 4, "columns": 4, "dataflow": "channel-parallel", **(array or {})},
            "clock": {"source": source, "mhz": 1000.0},
            "words": {"source": source, "activation_bits": 8, "weight_bits": 8},
            "memory": [{"source": source, "name": use, "bytes": size, "holds": [use]} for use, size in sizes.items()],
            "schedule": {"source": source, "byte_slack": 0.0, **schedule},
        }
    )
