"""The input driver: a vector's bit slices into the array, most significant first."""

from __future__ import annotations

from amaranth.hdl import Array, Module, Mux, Signal, unsigned
from amaranth.lib.wiring import In, Out

from actcodec.pim.params import MAX_WIDTH, WIDTHS, PimParams
from actcodec.tables.records import bits_for
from actcodec_rtl.component import Block, register
from actcodec_rtl.pim.layouts import mode_layout, slice_control_layout


class InputDriver(Block):
    """Reads a vector from the input buffer, a bit slice a cycle, into the register that drives the rows.

    Ports: ``full``, ``mode``, ``place``, ``bits``, ``release``, those of `InputBuffer`; ``hold_off``, no vector begins;
    ``advance``, slices move on, else everything stands still; ``inputs``, the slice that drives the rows, ``valid``,
    it belongs to a vector, and its ``control`` (`slice_control_layout`); ``idle``, nothing drives the rows and no
    vector has begun. Latency: one cycle.
    """

    LATENCY = 1

    def __init__(self, params: PimParams) -> None:
        self._params = params
        super().__init__(
            {
                "full": In(1),
                "mode": In(mode_layout()),
                "place": Out(unsigned(bits_for(MAX_WIDTH - 1))),
                "bits": In(unsigned(params.rows)),
                "release": Out(1),
                "hold_off": In(1),
                "advance": In(1),
                "inputs": Out(unsigned(params.rows)),
                "valid": Out(1),
                "control": Out(slice_control_layout()),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        number = Signal(range(MAX_WIDTH))
        go, is_last = Signal(), Signal()
        inputs = register(unsigned(self._params.rows), "inputs_register")
        control = register(slice_control_layout(), "control_register")
        valid = Signal()
        is_first = number == 0
        m.d.comb += [
            # Bits − 1 less the number, without a subtraction: all ones less any part of them.
            self.place.eq(number ^ Array(bits - 1 for bits in WIDTHS)[self.mode.input_bits]),
            is_last.eq(self.place == 0),
            go.eq(self.full & ~(is_first & self.hold_off)),
            self.release.eq(self.advance & go & is_last),
            self.inputs.eq(inputs),
            self.control.eq(control),
            self.valid.eq(valid),
            self.idle.eq(is_first & ~valid),
        ]
        with m.If(self.advance):
            m.d.sync += valid.eq(go)
            with m.If(go):
                m.d.sync += [
                    number.eq(Mux(is_last, 0, number + 1)),
                    inputs.eq(self.bits),
                    control.first.eq(is_first),
                    control.last.eq(is_last),
                    control.subtract.eq(is_first & self.mode.input_signed),
                    control.mode.eq(self.mode),
                ]
        return m
