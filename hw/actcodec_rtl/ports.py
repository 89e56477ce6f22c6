"""The codec's ports as data: names, directions and payload layouts, for testbenches and integrators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Shape, Value
from amaranth.lib import data
from amaranth.lib.wiring import In

from actcodec_rtl.component import Block


@dataclass(frozen=True)
class Port:
    """One port of the exported module."""

    name: str
    value: Value
    is_input: bool
    layout: list[dict[str, Any]]
    """Fields of the vector: name, offset, bits, signed."""

    def as_json(self) -> dict[str, Any]:
        """The port as JSON values."""
        return {
            "name": self.name,
            "direction": "input" if self.is_input else "output",
            "bits": len(self.value),
            "fields": self.layout,
        }


def _fields(layout: data.Layout, prefix: str, base: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for key, field in layout:
        name = f"{prefix}{key}"
        if isinstance(field.shape, data.Layout):
            found += _fields(field.shape, f"{name}.", base + field.offset)
        else:
            shape = Shape.cast(field.shape)
            found.append({"name": name, "offset": base + field.offset, "bits": shape.width, "signed": shape.signed})
    return found


def ports_of(component: Block) -> list[Port]:
    """Every port of the component but clock and reset, named ``part_stream_member`` (``encoder_i_valid``)."""
    ports = []
    for path, member, value in component.signature.flatten(component):
        layout = _fields(value.shape(), "", 0) if isinstance(value, data.View) else []
        name = "_".join(str(part) for part in path)
        ports.append(Port(name, Value.cast(value), member.flow == In, layout))
    return ports
