"""The registers behind the AXI4-Lite port, made from their description."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from actcodec_rtl.axi.lite import register_bus
from actcodec_rtl.component import Block
from actcodec_rtl.registers.model import Place, Register, RegisterMap


def fields_layout(register: Register) -> data.StructLayout:
    """The fields of a register side by side, without the bits between them."""
    return data.StructLayout({field.name: field.bits for field in register.fields})


def register_ports(register: Register, name: str) -> dict[str, wiring.Member]:
    """Ports of a register called ``name``, seen from the bank that holds it."""
    layout = fields_layout(register)
    if register.fixed:
        return {}
    if register.access == "ro":
        return {name: In(layout)}
    if register.access == "w1c":
        return {name: Out(layout), f"{name}_set": In(layout)}
    initial = {field.name: field.reset for field in register.fields}
    return {name: Out(layout, init=initial)}  # type: ignore[call-arg]  # the stubs leave it out


def _word(register: Register, fields: Any) -> Value:
    """The register as software reads it."""
    parts: list[Value] = []
    for field in register.fields:
        # Reserved bits read 0.
        gap = field.offset - sum(len(part) for part in parts)
        if gap:
            parts.append(Const(0, gap))
        parts.append(Value.cast(getattr(fields, field.name)))
    return Cat(*parts)


class RegisterBank(Block):
    """Holds what software writes and shows it what the hardware says.

    Ports: ``access``, the accesses (`register_bus`); and for every register, named by its path in the map:
    ``ro`` an input (none where it is fixed), its fields; ``rw`` an output, its fields; ``w1c`` an input ``PATH_set``
    that sets bits, and an output of what is set, a set in the cycle of a clear winning; ``wo`` an output, ones for one
    cycle, the one after the write. Byte strobes are honoured. Unmapped addresses are refused, and writes to ``ro``.
    """

    def __init__(self, registers: RegisterMap) -> None:
        self._map = registers
        members: dict[str, wiring.Member] = {"access": In(register_bus())}
        for place in registers.places():
            members |= register_ports(place.register, place.path)
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        access = self.access
        with m.Switch(access.read_address):
            for place in self._map.places():
                with m.Case(place.address // 4):
                    m.d.comb += access.read_data.eq(self._readable(place))
            with m.Default():
                m.d.comb += access.read_error.eq(1)
        mask = Cat(bit.replicate(8) for bit in access.write_strobe)
        writable = [place for place in self._map.places() if place.register.access != "ro"]
        m.d.comb += access.write_error.eq(1)
        for place in writable:
            selected = Signal(name=f"writes_{place.path}")
            m.d.comb += selected.eq(access.write_address == place.address // 4)
            with m.If(selected):
                m.d.comb += access.write_error.eq(0)
            self._write(m, place, selected & access.write, mask)
        return m

    def _readable(self, place: Place) -> Value | int:
        if place.register.fixed:
            return place.register.reset
        return 0 if place.register.access == "wo" else _word(place.register, getattr(self, place.path))

    def _write(self, m: Module, place: Place, write: Value, mask: Value) -> None:
        fields, access = getattr(self, place.path), place.register.access
        for field in place.register.fields:
            bits = slice(field.offset, field.offset + field.bits)
            value, wanted, touched = getattr(fields, field.name), self.access.write_data[bits], mask[bits]
            ones = wanted & touched & write.replicate(field.bits)
            if access == "wo":
                m.d.sync += value.eq(ones)
            elif access == "w1c":
                m.d.sync += value.eq((value & ~ones) | getattr(getattr(self, f"{place.path}_set"), field.name))
            else:
                with m.If(write):
                    m.d.sync += value.eq((wanted & touched) | (value & ~touched))
