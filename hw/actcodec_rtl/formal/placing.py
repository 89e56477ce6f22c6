"""The shifters: joined codes lie where they should, and are cut apart again."""

from __future__ import annotations

from amaranth.hdl import Const, Elaboratable, Module, Signal, Value

from actcodec.params import MAX_WIDTH, WIDTH_BITS
from actcodec_rtl.formal.bench import Bench, bit_of
from actcodec_rtl.formal.claims import Claims
from actcodec_rtl.formal.opened import Mutant
from actcodec_rtl.placing import begins, join, split


class Joiner(Elaboratable):
    """`placing.join` as a block."""

    def __init__(self, codes: list[Signal], widths: list[Signal]) -> None:
        self.codes, self.widths = codes, widths
        self.bits = Signal(len(codes) * MAX_WIDTH)
        self.count = Signal(range(len(codes) * MAX_WIDTH + 1))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        joined = join(m, self.codes, self.widths)
        m.d.comb += [self.bits.eq(joined.bits), self.count.eq(joined.count)]
        return m


class Splitter(Elaboratable):
    """`placing.begins` and `placing.split` as a block."""

    def __init__(self, bits: Value, widths: list[Signal]) -> None:
        self.bits, self.widths = bits, widths
        self.codes = [Signal(MAX_WIDTH, name=f"code_{n}") for n in range(len(widths))]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        cuts = split(m, self.bits, begins(m, self.widths), self.widths)
        for code, cut in zip(self.codes, cuts, strict=True):
            m.d.comb += code.eq(cut)
        return m


class PlacingBench(Bench):
    """Codes of all widths 0…8 and all values below 2^width are joined, followed by anything, and cut apart.

    Bit ``index`` of code k must lie at the sum of the widths before k, plus ``index``.
    """

    def __init__(self, codes: int, mutant: Mutant | None = None) -> None:
        super().__init__(mutant)
        self._codes = [Signal(MAX_WIDTH, name=f"code_{n}") for n in range(codes)]
        self._widths = [Signal(WIDTH_BITS, name=f"width_{n}") for n in range(codes)]
        self._window = Signal(codes * MAX_WIDTH)
        self._behind = Signal.like(self._window)
        self._index = Signal(range(MAX_WIDTH))
        self.joiner = Joiner(self._codes, self._widths)
        self.splitter = Splitter(self._window, self._widths)
        free = (*self._codes, *self._widths, self._behind, self._index)
        self.free = {signal.name.removeprefix("_"): signal for signal in free}

    def describe(self, m: Module, claims: Claims) -> None:
        self.put(m, "joiner", self.joiner)
        self.put(m, "splitter", self.splitter)
        bits, count = self.joiner.bits, self.joiner.count
        m.d.comb += self._window.eq(bits | (self._behind << count))
        claims.promise("nothing_is_above_the_count", (bits >> count) == 0)
        place: Value = Const(0)
        for n, (code, width) in enumerate(zip(self._codes, self._widths, strict=True)):
            claims.rule(f"width_{n}_is_a_width", width <= MAX_WIDTH)
            claims.rule(f"code_{n}_has_its_width", (code >> width) == 0)
            here, inside = Signal(range(len(bits)), name=f"place_{n}"), self._index < width
            m.d.comb += here.eq(place)
            put, cut = bit_of(code, self._index), bit_of(self.splitter.codes[n], self._index)
            at = here + self._index
            claims.promise(f"code_{n}_is_joined_in_its_place", ~inside | (bit_of(bits, at) == put))
            claims.promise(f"code_{n}_is_cut_from_its_place", cut == (inside & bit_of(self._window, at)))
            claims.promise(f"code_{n}_is_cut_out_again", cut == put)
            place = here + width
        claims.promise("the_count_is_the_sum", count == place)
        claims.sight("widths_differ", (self._widths[0] == 3) & (self._widths[-1] == 7) & (self._codes[-1] == 99))
