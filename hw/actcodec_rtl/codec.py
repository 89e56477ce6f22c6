"""The codec block: encoder and decoder side by side, the top of the exported Verilog."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out, connect

from actcodec.params import CodecParams
from actcodec_rtl.decoder import Decoder
from actcodec_rtl.encoder import Encoder


class Codec(wiring.Component):
    """An `Encoder` on ports ``encoder.*`` and a `Decoder` on ports ``decoder.*``; they share clock and reset only."""

    def __init__(self, params: CodecParams) -> None:
        self._params = params
        super().__init__(
            {
                "encoder": Out(Encoder(params).signature),
                "decoder": Out(Decoder(params).signature),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.encoder = encoder = Encoder(self._params)
        m.submodules.decoder = decoder = Decoder(self._params)
        connect(m, encoder, wiring.flipped(self.encoder))
        connect(m, decoder, wiring.flipped(self.decoder))
        return m
