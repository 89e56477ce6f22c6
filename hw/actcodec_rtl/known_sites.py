"""Which sites can be asked for: those whose tables are loaded, whole."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib.wiring import In, Out

from actcodec.params import CodecParams
from actcodec.tables.records import bits_for
from actcodec_rtl.component import Block, register


class KnownSites(Block):
    """Keeps the range of sites of each bank's image.

    A bank's sites are forgotten when an image for it begins and known when it has ended well. An image of bank 0 that
    reaches into the upper half of a memory is the end of bank 1's, and an image of bank 1 the end of that one.

    Ports: the loader's ``opens``, ``closes``, ``bank``, ``reaches``: an entry of bank 0 in an upper half was written;
    ``adds``: the entry of site ``number`` was written. ``asked_site`` and ``asked_bank``: the question, ``known``: its
    answer in the same cycle.
    """

    def __init__(self, params: CodecParams) -> None:
        self._banks = params.banks
        site = unsigned(bits_for(params.max_sites - 1))
        super().__init__(
            {
                **{name: In(1) for name in ("opens", "closes", "bank", "reaches", "adds")},
                "number": In(site),
                "asked_site": In(site),
                "asked_bank": In(1),
                "known": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        complete = Signal(self._banks)
        # The image that is being loaded, whose sites are not known yet.
        any_site, spread = Signal(), Signal()
        answers = []
        for bank in range(self._banks):
            first = register(self.number.shape(), f"first_{bank}")
            last = register(self.number.shape(), f"last_{bank}")
            mine = Signal(name=f"mine_{bank}")
            m.d.comb += mine.eq(self.bank == bank)
            with m.If(mine & self.adds):
                m.d.sync += last.eq(self.number)
                with m.If(~any_site):
                    m.d.sync += first.eq(self.number)
            with m.If(self.opens & (mine | spread) | self.reaches & (bank == 1)):
                m.d.sync += complete[bank].eq(0)
            with m.Elif(self.closes & mine):
                m.d.sync += complete[bank].eq(any_site | self.adds)
            answers.append(complete[bank] & (first <= self.asked_site) & (self.asked_site <= last))
        with m.If(self.opens | self.closes):
            m.d.sync += any_site.eq(0)
        with m.Elif(self.adds):
            m.d.sync += any_site.eq(1)
        if self._banks > 1:
            with m.If(self.opens):
                m.d.sync += spread.eq(0)
            with m.Elif(self.reaches):
                m.d.sync += spread.eq(1)
            m.d.comb += self.known.eq(Mux(self.asked_bank, answers[1], answers[0]))
        else:
            m.d.comb += self.known.eq(~self.asked_bank & answers[0])
        return m
