"""The sequencer: walks over planes, rows, positions and steps of a site, one operation a cycle."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, ShapeLike, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from actcodec.params import CodecParams
from actcodec.tables.records import PAD_WORD_BITS, Record, bits_for
from actcodec_rtl.component import Block
from actcodec_rtl.layouts import operation_layout, record_layout
from actcodec_rtl.store import TableStore

MEMORIES = ("site", "plane", "step")
"""Memories whose read ports the sequencer drives."""


def _operation_fields(payload: data.View[data.Layout]) -> list[tuple[str, ShapeLike]]:
    """Name and shape of every field of the operation."""
    return [(str(key), field.shape) for key, field in payload.shape()]


class Sequencer(Block):
    """Turns a site number into the operations of one frame (`actcodec.tables.program` gives their order).

    Ports: ``start``, stream of site numbers, ready between frames; ``operation``, stream of `operation_layout`;
    for the memories site, plane and step a read port (``NAME_en``, ``NAME_addr``, ``NAME_data``);
    ``coefficient_en``/``coefficient_addr``, read of the matrix entry of the operation that is transferred in
    the same cycle, so that its data meets the operation in the next pipeline stage; ``plane_start``, high for
    the one cycle before a plane's first operation, with ``plane_data`` valid.

    Timing: the first operation is offered three cycles after the start command is accepted, the first one of
    a further plane two cycles after the last one of the plane before.
    """

    START_LATENCY = 3

    def __init__(self, params: CodecParams, records: dict[str, Record], largest_index: int) -> None:
        self._params = params
        self._largest_index = largest_index
        members: dict[str, wiring.Member] = {
            "start": In(stream.Signature(unsigned(bits_for(params.max_sites - 1)))),
            "operation": Out(stream.Signature(operation_layout(params, largest_index))),
            "coefficient_en": Out(1),
            "coefficient_addr": Out(unsigned(bits_for(params.coefficient_depth - 1))),
            "plane_start": Out(1),
        }
        for name in MEMORIES:
            members[f"{name}_en"] = Out(1)
            members[f"{name}_addr"] = Out(unsigned(bits_for(records[name].depth - 1)))
            members[f"{name}_data"] = In(record_layout(records[name]))
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        site, plane, step = self.site_data, self.plane_data, self.step_data
        # Assembled in a signal of its own fields: reading back a part of the port's vector would close a loop
        # through the whole vector for tools that do not split it.
        op = {name: Signal(shape, name=name) for name, shape in _operation_fields(self.operation.payload)}

        plane_number = Signal.like(self.plane_addr)
        step_number = Signal.like(self.step_addr)
        coefficient = Signal.like(self.coefficient_addr)
        x = Signal(bits_for(self._params.max_side - 1))
        y = Signal(bits_for(self._params.max_side - 1))
        pad_word = Signal(PAD_WORD_BITS)
        # Index within the step; at a step's beginning it comes from the step's own entry.
        next_index = Signal(bits_for(self._largest_index))
        step_begins = Signal()
        index = Signal.like(next_index)

        row_end = Signal()
        last_row = Signal()
        position_done = Signal()
        fire = Signal()
        m.d.comb += [
            index.eq(Mux(step_begins, step.first, next_index)),
            row_end.eq(x == site.last_x),
            last_row.eq(y == site.last_y),
            fire.eq(self.operation.valid & self.operation.ready),
            self.coefficient_addr.eq(coefficient),
            op["index"].eq(index),
            *(getattr(self.operation.payload, name).eq(value) for name, value in op.items()),
        ]

        with m.FSM(name="state"):
            with m.State("IDLE"):
                m.d.comb += [self.start.ready.eq(1), self.site_en.eq(1), self.site_addr.eq(self.start.payload)]
                with m.If(self.start.valid):
                    m.next = "SITE"
            with m.State("SITE"):
                m.d.comb += [self.plane_en.eq(1), self.plane_addr.eq(site.first_plane)]
                m.d.sync += plane_number.eq(site.first_plane)
                m.next = "PLANE"
            with m.State("PLANE"):
                m.d.comb += [self.plane_start.eq(1), self.step_en.eq(1), self.step_addr.eq(plane.first_step)]
                m.d.sync += [
                    step_number.eq(plane.first_step),
                    coefficient.eq(plane.first_coefficient),
                    step_begins.eq(1),
                    x.eq(0),
                    y.eq(0),
                ]
                m.next = "MAC"
            with m.State("MAC"):
                m.d.comb += [
                    self.operation.valid.eq(1),
                    op["fresh"].eq(index >= step.fresh),
                    op["first"].eq(step_begins),
                    op["last"].eq(index == step.last),
                    position_done.eq(op["last"] & step.position_end),
                    op["closes"].eq(op["last"] & step.closes & row_end & last_row & plane.closes_step),
                    self.coefficient_en.eq(fire),
                    self.step_en.eq(fire & op["last"]),
                    self.step_addr.eq(Mux(step.position_end, plane.first_step, step_number + 1)),
                ]
                with m.If(fire):
                    m.d.sync += [
                        next_index.eq(index + 1),
                        step_begins.eq(op["last"]),
                        coefficient.eq(Mux(position_done, plane.first_coefficient, coefficient + 1)),
                    ]
                    with m.If(op["last"]):
                        m.d.sync += step_number.eq(self.step_addr)
                    with m.If(position_done):
                        m.d.sync += x.eq(Mux(row_end, 0, x + 1))
                        with m.If(row_end):
                            with m.If(plane.pad_bits != 0):
                                m.next = "PAD_BITS"
                            with m.Elif(plane.pad_words != 0):
                                m.next = "PAD_WORDS"
                            with m.Else():
                                self._finish_row(m, plane_number, y)
            with m.State("PAD_BITS"):
                m.d.comb += [
                    self.operation.valid.eq(1),
                    op["pad"].eq(1),
                    op["pad_bits"].eq(plane.pad_bits),
                    op["closes"].eq(plane.closes_pad & last_row & (plane.pad_words == 0)),
                ]
                with m.If(fire):
                    with m.If(plane.pad_words != 0):
                        m.next = "PAD_WORDS"
                    with m.Else():
                        self._finish_row(m, plane_number, y)
            with m.State("PAD_WORDS"):
                m.d.comb += [
                    self.operation.valid.eq(1),
                    op["pad"].eq(1),
                    op["pad_bits"].eq(self._params.word_bits),
                    op["closes"].eq(plane.closes_pad & last_row & (pad_word + 1 == plane.pad_words)),
                ]
                with m.If(fire):
                    m.d.sync += pad_word.eq(pad_word + 1)
                    with m.If(pad_word + 1 == plane.pad_words):
                        m.d.sync += pad_word.eq(0)
                        self._finish_row(m, plane_number, y)
        return m

    def read_tables(self, m: Module, store: TableStore) -> None:
        """Connect the memories' read ports; the data of the coefficients goes to the pipeline."""
        for name in MEMORIES:
            m.d.comb += [
                getattr(store, f"{name}_en").eq(getattr(self, f"{name}_en")),
                getattr(store, f"{name}_addr").eq(getattr(self, f"{name}_addr")),
                getattr(self, f"{name}_data").eq(getattr(store, f"{name}_data")),
            ]
        m.d.comb += [
            store.coefficient_en.eq(self.coefficient_en),
            store.coefficient_addr.eq(self.coefficient_addr),
        ]

    def _finish_row(self, m: Module, plane_number: Signal, y: Signal) -> None:
        """Statements for the cycle of a row's last operation: next row, next plane or end of the frame."""
        site = self.site_data
        with m.If(y != site.last_y):
            m.d.sync += y.eq(y + 1)
            m.next = "MAC"
        with m.Elif(plane_number == site.last_plane):
            m.next = "IDLE"
        with m.Else():
            m.d.comb += [self.plane_en.eq(1), self.plane_addr.eq(plane_number + 1)]
            m.d.sync += plane_number.eq(plane_number + 1)
            m.next = "PLANE"
