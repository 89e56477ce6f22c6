"""The codec behind AXI4-Stream and AXI4-Lite."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, ResetInserter, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from actcodec.params import CodecParams
from actcodec_rtl.axi.bank import RegisterBank, register_ports
from actcodec_rtl.axi.control import DirectionControl
from actcodec_rtl.axi.core import Core
from actcodec_rtl.axi.keep import KeepDecoder, keep_up_to
from actcodec_rtl.axi.lite import AxiLite
from actcodec_rtl.axi.signatures import axi_lite, axi_stream
from actcodec_rtl.axi.table_router import TableRouter
from actcodec_rtl.component import Block
from actcodec_rtl.registers import codec_registers


class AxiShell(Block):
    """The codec's core, with the registers of `actcodec_rtl.registers.codec_map` on ``s_axil``.

    Ports
    -----
    s_axil
        AXI4-Lite (`axi_lite`), registers and jobs.
    s_axis_tables
        Framed table images (`actcodec.tables.image.framed_image`), words of the bus.
    s_axis_act, m_axis_stream
        Encoder: beats of ``lanes`` activations in, words of the stream out; a packet is a frame. Of a build that takes
        accumulators beats of ``codes`` of them, each sign-extended to whole bytes.
    s_axis_stream, m_axis_act
        Decoder: words of the stream in, beats out; a packet is a frame (or a window of one).
        A build of one direction has the streams and registers of that one.
    irq
        Level: an enabled interrupt of any direction is pending.

    TKEEP of activations marks the lanes that hold channels (all bytes of those that hold accumulators), of all other
    streams every byte; where an input's differs the beat is taken as it is and ``keep`` of ERRORS is set. No VALID or
    READY of an output depends combinationally on an input: all of them come from registers. ``digest``, 32 bits, is
    what the register GENERATOR reads.
    """

    def __init__(self, params: CodecParams, digest: int = 0) -> None:
        self._params = params
        self._core = Core(params)
        self._directions = params.directions
        self._registers = codec_registers(params, digest)
        lanes, word = axi_stream(params.lanes), axi_stream(params.word_bytes)
        inputs = axi_stream(params.encoder_lanes * params.encoder_lane_bytes)
        members: dict[str, Any] = {"s_axil": In(axi_lite()), "s_axis_tables": In(word), "irq": Out(1)}
        if "encoder" in self._directions:
            members |= {"s_axis_act": In(inputs), "m_axis_stream": Out(word)}
        if "decoder" in self._directions:
            members |= {"s_axis_stream": In(word), "m_axis_act": Out(lanes)}
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.lite = lite = AxiLite()
        m.submodules.bank = bank = RegisterBank(self._registers)
        connect(m, wiring.flipped(self.s_axil), lite.axil)
        connect(m, lite.access, bank.access)

        soft_reset = Signal()
        m.d.comb += soft_reset.eq(bank.soft_reset.core)
        m.submodules.core = core = self._core
        m.d.comb += core.soft_reset.eq(soft_reset)
        router = TableRouter(self._params, self._directions)
        m.submodules.router = ResetInserter(soft_reset)(router)
        connect(m, wiring.flipped(self.s_axis_tables), router.axis)

        connect_streams = {"encoder": self._connect_encoder, "decoder": self._connect_decoder}
        requests = []
        for name in self._directions:
            control = DirectionControl(self._params, self._registers.groups[1])
            m.submodules[f"{name}_control"] = ResetInserter(soft_reset)(control)
            self._connect_direction(m, name, control, bank, router)
            connect_streams[name](m, control.keep_error)
            requests.append(control.irq)
            m.d.comb += getattr(bank.irq_pending, name).eq(control.irq)
        m.d.sync += self.irq.eq(Cat(requests).any())
        return m

    def _connect_direction(
        self, m: Module, name: str, control: DirectionControl, bank: RegisterBank, router: TableRouter
    ) -> None:
        """Registers, jobs, events and tables of a direction."""
        part = getattr(self._core, name)
        for register in self._registers.groups[1].registers:
            for port, member in register_ports(register, register.name).items():
                mine, theirs = Value.cast(getattr(control, port)), Value.cast(getattr(bank, f"{name}_{port}"))
                m.d.comb += theirs.eq(mine) if member.flow == In else mine.eq(theirs)
        connect(m, control.job, part.start)
        connect(m, getattr(router, f"{name}_load"), part.load)
        m.d.comb += [
            control.enable.eq(getattr(bank.control, f"{name}_enable")),
            control.core_errors.eq(part.errors),
            control.done.eq(part.done),
            control.busy.eq(part.busy),
            control.counters.eq(part.counters),
            part.clear.eq(control.clear),
            control.tables.eq(getattr(router, f"{name}_events")),
        ]

    def _connect_encoder(self, m: Module, keep_error: Value) -> None:
        beats, words, part = self.s_axis_act, self.m_axis_stream, self._core.encoder
        p, size = self._params, self._params.encoder_lane_bytes
        m.submodules.act_keep = keep = KeepDecoder(p.encoder_lanes, size)
        given = [beats.tdata[8 * size * lane :][: p.encoder_lane_bits] for lane in range(p.encoder_lanes)]
        m.d.comb += [
            keep.keep.eq(beats.tkeep),
            part.i.valid.eq(beats.tvalid),
            part.i.payload.last.eq(beats.tlast),
            part.i.payload.last_lane.eq(keep.last),
            Value.cast(part.i.payload.data).eq(Cat(given)),
            beats.tready.eq(part.i.ready),
            words.tvalid.eq(part.o.valid),
            words.tdata.eq(part.o.payload.data),
            words.tkeep.eq(Const(1).replicate(len(words.tkeep))),
            words.tlast.eq(part.o.payload.last),
            part.o.ready.eq(words.tready),
        ]
        m.d.sync += keep_error.eq(beats.tvalid & beats.tready & keep.broken)

    def _connect_decoder(self, m: Module, keep_error: Value) -> None:
        words, beats, part = self.s_axis_stream, self.m_axis_act, self._core.decoder
        m.d.comb += [
            part.i.valid.eq(words.tvalid),
            part.i.payload.last.eq(words.tlast),
            part.i.payload.data.eq(words.tdata),
            words.tready.eq(part.i.ready),
            beats.tvalid.eq(part.o.valid),
            beats.tdata.eq(Value.cast(part.o.payload.data)),
            beats.tkeep.eq(keep_up_to(part.o.payload.last_lane, len(beats.tkeep))),
            beats.tlast.eq(part.o.payload.last),
            part.o.ready.eq(beats.tready),
        ]
        m.d.sync += keep_error.eq(words.tvalid & words.tready & ~words.tkeep.all())
