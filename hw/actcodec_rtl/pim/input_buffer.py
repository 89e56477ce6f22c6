"""The input buffer: words of codes in, bit slices of all rows out."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Module, Mux, Signal, Value, unsigned
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from actcodec.pim.params import MAX_WIDTH, WIDTHS, PimParams
from actcodec.tables.records import bits_for
from actcodec_rtl.component import Block, register
from actcodec_rtl.pim.layouts import mode_layout, word_layout

BANKS = 2


class InputBuffer(Block):
    """Two banks of rows × 16 bits: one is filled by words while the other one is read bit by bit.

    Ports: ``i``, stream of words (`word_layout`); ``full``, the bank that is read holds a vector, of ``mode``;
    ``place``, a bit of its codes, and ``bits``, that bit of every row, within the cycle; ``release``, strobe: it is
    read. ``holds``: a word was taken that is not released.

    A vector of b-bit codes takes b words. It can be read in the cycle after its last word was taken, and its bank
    be filled in the cycle after it was released. Bits above a narrow code keep what they were.
    """

    def __init__(self, params: PimParams) -> None:
        self._params = params
        super().__init__(
            {
                "i": In(stream.Signature(word_layout(params))),
                "full": Out(1),
                "mode": Out(mode_layout()),
                "place": In(unsigned(bits_for(MAX_WIDTH - 1))),
                "bits": Out(unsigned(params.rows)),
                "release": In(1),
                "holds": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self._params
        number = Signal(range(MAX_WIDTH))
        filled, read = Signal(), Signal()
        is_full = Signal(BANKS)
        modes = [register(mode_layout(), f"mode_{bank}") for bank in range(BANKS)]
        codes = [
            [register(unsigned(MAX_WIDTH), f"codes_{bank}_{row}") for row in range(p.rows)] for bank in range(BANKS)
        ]

        take = Signal()
        mode: Any = Signal(mode_layout())
        m.d.comb += [
            self.i.ready.eq(~Mux(filled, is_full[1], is_full[0])),
            take.eq(self.i.valid & self.i.ready),
            mode.eq(Mux(number == 0, self.i.payload.mode, Mux(filled, modes[1], modes[0]))),
        ]
        is_last = number == Array(bits - 1 for bits in WIDTHS)[mode.input_bits]
        with m.If(take):
            m.d.sync += number.eq(Mux(is_last, 0, number + 1))
            with m.If(is_last):
                m.d.sync += filled.eq(~filled)
        for bank in range(BANKS):
            with m.If(take & (filled == bank)):
                with m.If(number == 0):
                    m.d.sync += modes[bank].eq(self.i.payload.mode)
                with m.If(is_last):
                    m.d.sync += is_full[bank].eq(1)
            with m.If(self.release & (read == bank)):
                m.d.sync += is_full[bank].eq(0)
        with m.If(self.release):
            m.d.sync += read.eq(~read)

        # Rows that every width puts into one word are written together.
        together = p.codes_per_word(MAX_WIDTH)
        for group in range(MAX_WIDTH):
            own_word = Array(group * bits // MAX_WIDTH for bits in WIDTHS)[mode.input_bits]
            write = Signal(BANKS, name=f"write_{group}")
            m.d.comb += write.eq(Mux(take & (number == own_word), Mux(filled, 2, 1), 0))
            for row in range(group * together, (group + 1) * together):
                code = self._code(m, row, mode)
                for bank in range(BANKS):
                    with m.If(write[bank]):
                        m.d.sync += codes[bank][row].eq(code)

        m.d.comb += [
            self.full.eq(Mux(read, is_full[1], is_full[0])),
            self.mode.eq(Mux(read, modes[1], modes[0])),
            self.holds.eq(is_full.any() | (number != 0)),
        ]
        # One line a bit and bank for all rows: where it is 0 nothing behind the register moves.
        lines = [Signal(MAX_WIDTH, name=f"lines_{bank}") for bank in range(BANKS)]
        for bank in range(BANKS):
            m.d.comb += lines[bank].eq(Mux(read == bank, 1 << self.place, 0))
        for row in range(p.rows):
            m.d.comb += self.bits[row].eq(((codes[0][row] & lines[0]) | (codes[1][row] & lines[1])).any())
        return m

    def _code(self, m: Module, row: int, mode: Any) -> Value:
        """The code of ``row`` in the word that comes in, by the bits of the inputs."""
        code = Signal(MAX_WIDTH, name=f"code_{row}")
        by_width = []
        for bits in WIDTHS:
            place = row % self._params.codes_per_word(bits) * bits
            by_width.append(self.i.payload.data[place : place + bits])
        m.d.comb += code.eq(Array(by_width)[mode.input_bits])
        return code
