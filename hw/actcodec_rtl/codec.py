"""The codec block: encoder and decoder side by side, or one of them; the top of the exported Verilog."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out, connect

from actcodec.params import CodecParams
from actcodec_rtl.component import Block
from actcodec_rtl.decoder import Decoder
from actcodec_rtl.encoder import Encoder

_DIRECTIONS = {"encoder": Encoder, "decoder": Decoder}


class Codec(Block):
    """The directions of the build: an `Encoder` on ports ``encoder.*``, a `Decoder` on ports ``decoder.*``.

    They share clock and reset only.
    """

    def __init__(self, params: CodecParams) -> None:
        self._parts = {name: _DIRECTIONS[name](params) for name in params.directions}
        super().__init__({name: Out(part.signature) for name, part in self._parts.items()})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for name, part in self._parts.items():
            m.submodules[name] = part
            connect(m, part, wiring.flipped(getattr(self, name)))
        return m
