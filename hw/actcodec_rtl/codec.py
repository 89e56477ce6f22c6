"""The codec block: encoder and decoder side by side, or one of them; the top of the exported Verilog."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out, connect

from actcodec.params import CodecParams
from actcodec_rtl.component import Block
from actcodec_rtl.decoder import Decoder
from actcodec_rtl.encoder import Encoder
from actcodec_rtl.multipliers import SharedMultipliers, Turns

_DIRECTIONS = {"encoder": Encoder, "decoder": Decoder}


_INSIDE = ("multipliers", "busy")
"""Ports of a direction with a shared array that are no ports of the codec."""


def _outside(signature: wiring.Signature) -> wiring.Signature:
    return wiring.Signature({name: member for name, member in signature.members.items() if name not in _INSIDE})


class Codec(Block):
    """The directions of the build: an `Encoder` on ports ``encoder.*``, a `Decoder` on ports ``decoder.*``.

    They share clock and reset, and in a build with a shared array their multipliers (`SharedMultipliers`): a start
    command then waits for its direction's turn (`Turns`).
    """

    def __init__(self, params: CodecParams) -> None:
        self._params = params
        self._parts = {name: _DIRECTIONS[name](params) for name in params.directions}
        super().__init__({name: Out(_outside(part.signature)) for name, part in self._parts.items()})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for name, part in self._parts.items():
            m.submodules[name] = part
            outside = getattr(self, name)
            for port, member in outside.signature.members.items():
                if member.is_port:
                    m.d.comb += getattr(outside, port).eq(getattr(part, port))
                elif port != "start" or not self._params.shared_array:
                    connect(m, getattr(part, port), wiring.flipped(getattr(outside, port)))
        if self._params.shared_array:
            self._share(m)
        return m

    def _share(self, m: Module) -> None:
        """One array of multipliers, and start commands taken in turns."""
        m.submodules.turns = turns = Turns()
        m.submodules.multipliers = multipliers = SharedMultipliers(self._params)
        m.d.comb += multipliers.decoder_owns.eq(turns.decoder_owns)
        for name, part in self._parts.items():
            connect(m, part.multipliers, getattr(multipliers, name))
            command, turn = getattr(self, name).start, getattr(turns, name)
            m.d.comb += [
                part.start.payload.eq(command.payload),
                part.start.valid.eq(command.valid & turn.may_start),
                command.ready.eq(part.start.ready & turn.may_start),
                turn.asks.eq(command.valid),
                turn.started.eq(command.valid & command.ready),
                turn.busy.eq(part.busy),
            ]
