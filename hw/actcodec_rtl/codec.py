"""The codec block: encoder and decoder side by side, the top of the exported Verilog."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out, connect

from actcodec.params import CodecParams
from actcodec_rtl.component import Block
from actcodec_rtl.decoder import Decoder
from actcodec_rtl.encoder import Encoder


class Codec(Block):
    """An `Encoder` on ports ``encoder.*`` and a `Decoder` on ports ``decoder.*``; they share clock and reset only."""

    def __init__(self, params: CodecParams) -> None:
        self._encoder = Encoder(params)
        self._decoder = Decoder(params)
        super().__init__({"encoder": Out(self._encoder.signature), "decoder": Out(self._decoder.signature)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.encoder = self._encoder
        m.submodules.decoder = self._decoder
        connect(m, self._encoder, wiring.flipped(self.encoder))
        connect(m, self._decoder, wiring.flipped(self.decoder))
        return m
