"""Walker and dispatcher: entries in the order of `actcodec.tables.program`, each on its memory's output in time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Elaboratable, Module, Signal, Value
from amaranth.lib.wiring import connect
from amaranth.sim import SimulatorContext

from actcodec.params import CodecParams, load_params
from actcodec.tables.image import decoder_image, encoder_image
from actcodec.tables.model import SiteTable
from actcodec.tables.program import code_planes, code_records, decoder_operations, encoder_operations, padding
from actcodec.tables.records import decoder_records, encoder_records
from actcodec.tables.synthetic import synthetic_site
from actcodec_rtl.dispatcher import Dispatcher
from actcodec_rtl.layouts import job_layout, record_layout
from actcodec_rtl.store import TableStore
from actcodec_rtl.walker import Walker
from support.frames import CONFIGS, integers, load_payloads, tables_with_edges
from support.images import entries_of
from support.streams import Bench, Sink, Source, fields, pack_fields, simulate


@dataclass(frozen=True)
class Side:
    """One walker of a direction: which memories it reads, and how many entries and padding steps a plane has."""

    records: Callable[[CodecParams], Any]
    image: Callable[..., Any]
    plane: str
    entry: str
    planes: Callable[[SiteTable], list[tuple[int, list[bool]]]]
    """Of every plane: entries a position, and the padding steps of a row (True: a whole word)."""


def operations(of: Callable[..., Any]) -> Callable[[SiteTable], list[tuple[int, list[bool]]]]:
    return lambda site: [(len(of(site, plane)), []) for plane in site.planes]


def records(site: SiteTable) -> list[tuple[int, list[bool]]]:
    found = []
    for plane in code_planes(site):
        partial, words = padding(site, plane)
        found.append((len(code_records(site, plane)), [False] * partial + [True] * words))
    return found


SIDES = {
    "encoder operations": Side(encoder_records, encoder_image, "plane", "operation", operations(encoder_operations)),
    "decoder operations": Side(decoder_records, decoder_image, "plane", "operation", operations(decoder_operations)),
    "encoder codes": Side(encoder_records, encoder_image, "code_plane", "code", records),
    "decoder codes": Side(decoder_records, decoder_image, "code_plane", "code", records),
}


class WalkerWithTables(Elaboratable):
    """A dispatcher and one walker on a table store; the other command is taken at once."""

    def __init__(self, side: Side, params: CodecParams) -> None:
        self.side, self.known = side, side.records(params)
        self.store = TableStore(params, self.known)
        self.dispatcher = Dispatcher(params, self.known["site"], self.known.get("window"))
        seeks = side.plane == "code_plane" and "window" in self.known
        self.walker = Walker(params, self.known[side.plane], self.known[side.entry], seeks=seeks)
        self.entry = Signal(record_layout(self.known[side.entry]))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.store, m.submodules.dispatcher, m.submodules.walker = self.store, self.dispatcher, self.walker
        mine, other = self.dispatcher.work, self.dispatcher.codes
        if self.side.plane == "code_plane":
            mine, other = other, mine
        connect(m, mine, self.walker.command)
        m.d.comb += [
            other.ready.eq(other.valid),
            self.store.asked_site.eq(self.dispatcher.site),
            self.store.asked_bank.eq(self.dispatcher.site_bank),
            self.dispatcher.known.eq(self.store.known),
        ]
        # A frame counts as done a cycle after it was commanded.
        m.d.sync += self.dispatcher.done.eq(self.dispatcher.work.valid & self.dispatcher.work.ready)
        if "window" in self.known:
            self.store.connect_reads(
                m,
                window=(self.dispatcher.window_en, self.dispatcher.window_addr, self.dispatcher.window_data),
            )
        self.store.connect_reads(
            m,
            site=(self.dispatcher.site_en, self.dispatcher.site_addr, self.dispatcher.site_data),
            **{
                self.side.plane: (self.walker.plane_en, self.walker.plane_addr, self.walker.plane_data),
                self.side.entry: (self.walker.entry_en, self.walker.entry_addr, self.entry),
            },
        )
        return m


def expected(side: Side, site: SiteTable, first_entry: int) -> Iterator[tuple[dict[str, int], int | None]]:
    """Steps of a frame and the number of the entry that each has to come with."""
    planes = side.planes(site)
    for number, (entries, pads) in enumerate(planes):
        final_plane = number == len(planes) - 1
        for y in range(site.info.height):
            ends = final_plane and y == site.info.height - 1
            for x in range(site.info.width):
                row_end = x == site.info.width - 1
                for entry in range(entries):
                    last = ends and row_end and entry == entries - 1 and not pads
                    yield {"pad": 0, "whole": 0, "last": int(last)}, first_entry + entry
            for place, whole in enumerate(pads):
                yield {"pad": 1, "whole": int(whole), "last": int(ends and place == len(pads) - 1)}, None
        first_entry += entries


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("side", SIDES.values(), ids=SIDES)
@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_entries_come_in_the_order_of_the_program_without_a_gap(config: str, side: Side, stall: float) -> None:
    params = load_params(config)
    tables = tables_with_edges(config, 4)
    aligned = synthetic_site(
        np.random.default_rng(1), params, "aligned", (2, 3, 9), keep=1.0, align_bits=4 * params.word_bits
    )
    sites = (*tables.sites[: params.max_sites - 1], aligned)
    dut = WalkerWithTables(side, params)
    image = side.image(params, sites)
    entries = entries_of(integers(image), params.word_bits, dut.known)[side.entry]
    job, step_shape = job_layout(params), dut.walker.o.payload.shape()
    frames = [n for n, site in enumerate(sites) if side.planes(site)]

    async def testbench(ctx: SimulatorContext) -> None:
        load = Source(dut.store.load, load_payloads(params, image))
        await Bench(ctx, load).until(lambda: load.done)
        ctx.set(dut.store.load.valid, 0)
        start, sink = (
            Source(dut.dispatcher.start, [pack_fields(job, site=n) for n in frames]),
            Sink(dut.walker.o, stall),
        )
        bench = Bench(ctx, start, sink)
        first_entry, taken_at, before = 0, [], 0
        for number, site in enumerate(sites):
            for count, (step, entry) in enumerate(expected(side, site, first_entry)):
                taken = len(sink.taken)
                while len(sink.taken) == taken:
                    # The entry is there as long as its step waits.
                    seen = ctx.get(Value.cast(dut.entry))
                    await bench.step()
                got = fields(step_shape, sink.taken[-1])
                assert step.items() <= got.items() and not got.get("drop") and not got.get("place"), (site.info, count)
                assert entry is None or seen == entries[entry], (site.info, count)
                taken_at.append(sink.taken_at[-1])
            first_entry += sum(n for n, _ in side.planes(site))
            if not stall and number in frames:
                # A gap between frames only where the one before is over before the next one's records are read.
                length = sum(1 for _ in expected(side, site, 0))
                mine = taken_at[-length:]
                assert [b - a for a, b in pairwise(mine)] == [1] * (length - 1), site.info
                if before > 4:
                    assert mine[0] == taken_at[-length - 1] + 1, site.info
                before = length
        assert taken_at[0] - start.taken_at[0] == Dispatcher.LATENCY + Walker.START_LATENCY

    simulate(dut, testbench)
