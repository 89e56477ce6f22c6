"""The multipliers of a MAC array: an array of a direction's own, or one that both directions use in turns."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from actcodec.params import ACTIVATION_BITS, CODE_VALUE_BITS, COEFFICIENT_BITS, CodecParams, Direction
from actcodec_rtl.component import Block, register

FACTOR_BITS: dict[Direction, int] = {"encoder": ACTIVATION_BITS, "decoder": CODE_VALUE_BITS}
"""Bits of what a matrix entry is multiplied by, unsigned."""


def multipliers_signature(params: CodecParams, direction: Direction) -> wiring.Signature:
    """The multipliers as a MAC array sees them, lanes × rows of each, row r and lane l at r·lanes + l.

    ``products`` are those of ``matrix`` and ``factors`` in the last cycle before in which ``en`` was 1.
    """
    count, bits = params.lanes * params.rows, FACTOR_BITS[direction]
    return wiring.Signature(
        {
            "en": Out(1),
            "matrix": Out(data.ArrayLayout(signed(COEFFICIENT_BITS), count)),
            "factors": Out(data.ArrayLayout(unsigned(bits), count)),
            "products": In(data.ArrayLayout(signed(COEFFICIENT_BITS + bits), count)),
        }
    )


def shared_members(params: CodecParams, direction: Direction) -> dict[str, wiring.Member]:
    """What a direction of a build with a shared array has besides other ports: ``multipliers``, which are outside."""
    if not params.shared_array:
        return {}
    return {"multipliers": Out(multipliers_signature(params, direction))}


class Multipliers(Block):
    """The multipliers of one direction, port ``array`` (`multipliers_signature`). Latency: one cycle."""

    LATENCY = 1

    def __init__(self, params: CodecParams, direction: Direction) -> None:
        super().__init__({"array": In(multipliers_signature(params, direction))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        products = register(self.array.products.shape(), "products")
        m.d.comb += self.array.products.eq(products)
        with m.If(self.array.en):
            m.d.sync += [
                products[number].eq(self.array.matrix[number] * self.array.factors[number])
                for number in range(len(self.array.matrix))
            ]
        return m


class SharedMultipliers(Block):
    """Multipliers for both directions, as wide as the decoder's, which use them in turns.

    Ports: ``encoder`` and ``decoder`` (`multipliers_signature`), ``decoder_owns``: whose operands are multiplied. The
    products are those of the owner; the other direction must have none on their way. Latency: one cycle.
    """

    LATENCY = Multipliers.LATENCY

    def __init__(self, params: CodecParams) -> None:
        self._params = params
        super().__init__(
            {
                "encoder": In(multipliers_signature(params, "encoder")),
                "decoder": In(multipliers_signature(params, "decoder")),
                "decoder_owns": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.multipliers = shared = Multipliers(self._params, "decoder")
        array, encoder, decoder = shared.array, self.encoder, self.decoder
        m.d.comb += array.en.eq(Mux(self.decoder_owns, decoder.en, encoder.en))
        for number in range(len(array.matrix)):
            m.d.comb += [
                array.matrix[number].eq(Mux(self.decoder_owns, decoder.matrix[number], encoder.matrix[number])),
                array.factors[number].eq(Mux(self.decoder_owns, decoder.factors[number], encoder.factors[number])),
                decoder.products[number].eq(array.products[number]),
                # The encoder's factors are shorter: the upper bits repeat the sign.
                encoder.products[number].eq(array.products[number]),
            ]
        return m


class Turns(Block):
    """Which direction owns what only one can use: a half-duplex codec's turns, frame by frame.

    Ports, for ``encoder`` and ``decoder`` each: ``asks``, a job waits; ``started``, it is taken in this cycle;
    ``busy``, from the cycle after that until it is done or refused; ``may_start``, it can be taken. And
    ``decoder_owns``.

    The owner keeps its turn while the other direction does not ask. Where that asks, a direction that has started a
    job in its turn starts no other one, and the turn changes when it is no longer busy: two directions that always
    ask alternate job by job, and a job that is refused ends its turn like one that is done. No combinational path
    leads from one direction's ``asks`` to the other's ``may_start``. From a job to an idle codec whose turn is the
    other direction's until it can be taken pass ``CHANGE_LATENCY`` cycles.
    """

    CHANGE_LATENCY = 2

    def __init__(self) -> None:
        side = wiring.Signature({"asks": Out(1), "busy": Out(1), "started": Out(1), "may_start": In(1)})
        super().__init__({"encoder": In(side), "decoder": In(side), "decoder_owns": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        decoder_owns, has_started = Signal(), Signal()
        encoder_asked, decoder_asked = Signal(), Signal()
        other_asked = Mux(decoder_owns, encoder_asked, decoder_asked)
        busy = Mux(decoder_owns, self.decoder.busy, self.encoder.busy)
        started = Mux(decoder_owns, self.decoder.started, self.encoder.started)
        may_start = ~(has_started & other_asked)
        m.d.comb += [
            self.decoder_owns.eq(decoder_owns),
            self.encoder.may_start.eq(~decoder_owns & may_start),
            self.decoder.may_start.eq(decoder_owns & may_start),
        ]
        m.d.sync += [encoder_asked.eq(self.encoder.asks), decoder_asked.eq(self.decoder.asks)]
        with m.If(other_asked & ~busy & ~started):
            m.d.sync += [decoder_owns.eq(~decoder_owns), has_started.eq(0)]
        with m.Elif(started):
            m.d.sync += has_started.eq(1)
        return m
