"""The shell's parts by themselves: TKEEP, the job queue, the table router."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module, unsigned
from amaranth.lib.wiring import In, Out
from amaranth.sim import SimulatorContext

from actcodec.params import load_params
from actcodec.tables.image import IMAGE_DIRECTIONS, framed_image
from actcodec_rtl.axi.job_queue import JobQueue
from actcodec_rtl.axi.keep import KeepDecoder, keep_up_to
from actcodec_rtl.axi.table_router import TableRouter
from actcodec_rtl.component import Block
from support.axi import axis
from support.streams import Bench, Sink, Source, simulate

TINY = load_params("tiny")
WORD = TINY.word_bytes


class Mask(Block):
    def __init__(self, count: int) -> None:
        self._count = count
        super().__init__({"last": In(unsigned(max(1, (count - 1).bit_length()))), "keep": Out(count)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.keep.eq(keep_up_to(self.last, self._count))
        return m


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_keep_and_last_lane_say_the_same(count: int) -> None:
    decoder, mask = KeepDecoder(count), Mask(count)
    rows = {(1 << n + 1) - 1: n for n in range(count)}

    async def decode(ctx: SimulatorContext) -> None:
        for keep in range(1 << count):
            ctx.set(decoder.keep, keep)
            await ctx.delay(1e-9)
            assert ctx.get(decoder.broken) == (keep not in rows)
            if keep in rows:
                assert ctx.get(decoder.last) == rows[keep]

    async def encode(ctx: SimulatorContext) -> None:
        for keep, last in rows.items():
            ctx.set(mask.last, last)
            await ctx.delay(1e-9)
            assert ctx.get(mask.keep) == keep

    simulate(decoder, decode, clocked=False)
    simulate(mask, encode, clocked=False)


@pytest.mark.parametrize(("depth", "slow_in", "slow_out"), [(1, 0.0, 0.0), (4, 0.7, 0.0), (4, 0.0, 0.7), (2, 0.4, 0.4)])
def test_the_queue_keeps_order_and_knows_its_level(depth: int, slow_in: float, slow_out: float) -> None:
    dut = JobQueue(unsigned(9), depth)
    payloads = [random.Random(depth).getrandbits(9) for _ in range(60)]

    async def testbench(ctx: SimulatorContext) -> None:
        source, sink = Source(dut.i, payloads, slow_in), Sink(dut.o, slow_out, 1)
        bench, full = Bench(ctx, source, sink), False
        while len(sink.taken) < len(payloads):
            await bench.step()
            assert ctx.get(dut.level) == len(source.taken_at) - len(sink.taken)
            full |= ctx.get(dut.level) == depth
        assert sink.taken == payloads and full == (slow_out > 0 or depth == 1)

    simulate(dut, testbench)


def test_a_depth_that_is_no_power_of_two_is_named() -> None:
    with pytest.raises(ValueError, match="depth = 3"):
        JobQueue(unsigned(1), 3)


def image(seed: int, words: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (words, WORD), dtype=np.uint8)


def packet_of(words: np.ndarray, keep: Sequence[int] = ()) -> list[int]:
    """Payloads of one packet: data, keep, last; ``keep`` overrides that of the first words."""
    found = []
    for n, row in enumerate(words):
        kept = keep[n] if n < len(keep) else (1 << WORD) - 1
        found.append(int.from_bytes(row.tobytes(), "little") | kept << 8 * WORD | (n == len(words) - 1) << 9 * WORD)
    return found


def routed(packets: Sequence[int], directions: tuple[str, ...], stall: float = 0.0) -> dict[str, Any]:
    """What comes out for the packets: per direction its words with bank and last, and counts of every event."""
    dut = TableRouter(TINY, directions)
    words: dict[str, list[tuple[int, int, int]]] = {name: [] for name in directions}
    counts = {name: dict.fromkeys(("word", "loaded", "loading", "bank", "bad", "keep"), 0) for name in directions}

    async def testbench(ctx: SimulatorContext) -> None:
        source = Source(axis(dut.axis), packets, stall, 7)
        bench = Bench(ctx, source)
        ends = 4
        while ends:
            source.drive(ctx)
            source.sample(ctx)
            for name in directions:
                load, events = getattr(dut, f"{name}_load"), getattr(dut, f"{name}_events")
                if ctx.get(load.valid):
                    assert ctx.get(dut.axis.tvalid) and ctx.get(dut.axis.tready)
                    payload = load.payload
                    words[name].append((ctx.get(payload.data), ctx.get(payload.bank), ctx.get(payload.last)))
                for event in counts[name]:
                    value = ctx.get(getattr(events, event))
                    counts[name][event] = value if event in ("loading", "bank") else counts[name][event] + value
            await ctx.tick()
            source.settle(bench.cycle)
            ends -= source.done
        assert source.done

    simulate(dut, testbench)
    return {name: (words[name], counts[name]) for name in directions}


def expected(words: np.ndarray, bank: int) -> list[tuple[int, int, int]]:
    return [(int.from_bytes(row.tobytes(), "little"), bank, int(n == len(words) - 1)) for n, row in enumerate(words)]


def events(**values: int) -> dict[str, int]:
    return {**dict.fromkeys(("word", "loaded", "loading", "bank", "bad", "keep"), 0), **values}


@pytest.mark.parametrize("stall", [0.0, 0.6])
def test_images_of_a_packet_go_to_their_directions_and_banks(stall: float) -> None:
    first, second, third = image(1, 5), image(2, 1), image(3, 9)
    one = packet_of(np.concatenate([framed_image("encoder", first, 1), framed_image("decoder", second)]))
    found = routed([*one, *packet_of(framed_image("decoder", third, 1))], IMAGE_DIRECTIONS, stall)
    assert found["encoder"] == (expected(first, 1), events(word=5, loaded=1, bank=1))
    assert found["decoder"] == (expected(second, 0) + expected(third, 1), events(word=10, loaded=2, bank=1))


def header(change: str) -> np.ndarray:
    words = framed_image("decoder", image(4, 3))
    if change == "magic":
        words[0, 1] ^= 0x20
    elif change == "direction":
        words[0, 3] ^= 0x02
    elif change == "bank":
        words[0, 3] ^= 0x20
    elif change == "count":
        words[0, 4:] = 0
    return words[:1] if change == "alone" else words


@pytest.mark.parametrize("change", ["magic", "direction", "bank", "count", "alone"])
def test_a_packet_with_a_bad_header_is_dropped_whole(change: str) -> None:
    good = image(5, 4)
    found = routed([*packet_of(header(change)), *packet_of(framed_image("encoder", good))], IMAGE_DIRECTIONS)
    assert found["encoder"] == (expected(good, 0), events(word=4, loaded=1, bad=1))
    assert found["decoder"] == ([], events(bad=1))


def test_a_direction_that_the_build_lacks_is_a_bad_header() -> None:
    good = image(6, 2)
    packets = packet_of(framed_image("encoder", image(5, 4))) + packet_of(framed_image("decoder", good))
    assert routed(packets, ("decoder",)) == {"decoder": (expected(good, 0), events(word=2, loaded=1, bad=1))}


def test_an_image_that_is_cut_off_ends_for_the_tables_as_well() -> None:
    cut, good = image(7, 6), image(8, 2)
    found = routed(
        [*packet_of(framed_image("encoder", cut)[:4]), *packet_of(framed_image("encoder", good, 1))], IMAGE_DIRECTIONS
    )
    assert found["encoder"][0] == expected(cut[:3], 0) + expected(good, 1)
    assert found["encoder"][1] == events(word=5, loaded=1, bank=1, bad=1)
    assert found["decoder"] == ([], events())


@pytest.mark.parametrize("place", [0, 1, 3])
def test_bytes_that_are_not_kept_spoil_the_image(place: int) -> None:
    words = image(9, 3)
    keep = [0xFF] * place + [0x7F]
    found = routed(packet_of(framed_image("encoder", words), keep), IMAGE_DIRECTIONS)
    if place == 0:
        assert found["encoder"] == ([], events(bad=1)) and found["decoder"] == ([], events(bad=1))
    else:
        assert found["encoder"] == (expected(words, 0), events(word=3, bad=1, keep=1))
        assert found["decoder"] == ([], events())
