"""The codec block: encoder and decoder side by side, or one of them; the top of the exported Verilog."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from actcodec.params import CodecParams
from actcodec_rtl.component import Block
from actcodec_rtl.decoder import Decoder
from actcodec_rtl.encoder import Encoder
from actcodec_rtl.interface import direction_ports
from actcodec_rtl.layouts import beat_layout, encoder_beat_layout, word_layout
from actcodec_rtl.multipliers import SharedMultipliers, Turns

_DIRECTIONS = {"encoder": Encoder, "decoder": Decoder}


def codec_members(params: CodecParams) -> dict[str, wiring.Member]:
    """The ports of the directions that the build has."""
    word = word_layout(params)
    streams = {"encoder": (encoder_beat_layout(params), word), "decoder": (word, beat_layout(params))}
    return {name: Out(wiring.Signature(direction_ports(params, *streams[name]))) for name in params.directions}


class Codec(Block):
    """The directions of the build: an `Encoder` on ports ``encoder.*``, a `Decoder` on ports ``decoder.*``.

    They share clock and reset, and in a build with a shared array their multipliers (`SharedMultipliers`): a job
    then waits for its direction's turn (`Turns`).
    """

    def __init__(self, params: CodecParams) -> None:
        self._params = params
        self._parts = {name: _DIRECTIONS[name](params) for name in params.directions}
        super().__init__(codec_members(params))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for name, part in self._parts.items():
            m.submodules[name] = part
            outside = getattr(self, name)
            for port, member in outside.signature.members.items():
                inner, outer = getattr(part, port), getattr(outside, port)
                if member.is_port:
                    m.d.comb += inner.eq(outer) if member.flow == In else outer.eq(inner)
                elif port != "start" or not self._params.shared_array:
                    connect(m, inner, wiring.flipped(outer))
        if self._params.shared_array:
            self._share(m)
        return m

    def _share(self, m: Module) -> None:
        """One array of multipliers, and jobs taken in turns."""
        m.submodules.turns = turns = Turns()
        m.submodules.multipliers = multipliers = SharedMultipliers(self._params)
        m.d.comb += multipliers.decoder_owns.eq(turns.decoder_owns)
        for name, part in self._parts.items():
            connect(m, part.multipliers, getattr(multipliers, name))
            job, turn = getattr(self, name).start, getattr(turns, name)
            m.d.comb += [
                part.start.payload.eq(job.payload),
                part.start.valid.eq(job.valid & turn.may_start),
                job.ready.eq(part.start.ready & turn.may_start),
                turn.asks.eq(job.valid),
                turn.started.eq(job.valid & job.ready),
                turn.busy.eq(part.busy),
            ]
