"""The sequencer: operations in the order of `actcodec.tables.program`, each with its entries of the tables."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from amaranth.hdl import Elaboratable, Module, Value
from amaranth.sim import SimulatorContext

from actcodec.params import CodecParams, load_params
from actcodec.tables.cycles import PLANE_GAP
from actcodec.tables.image import decoder_image, encoder_image
from actcodec.tables.model import SiteTable
from actcodec.tables.program import Step, decoder_steps, encoder_steps, padding_operations
from actcodec.tables.records import decoder_records, encoder_records
from actcodec_rtl.sequencer import Sequencer
from actcodec_rtl.store import TableStore
from support.frames import CONFIGS, integers, tables_with_edges
from support.streams import Bench, Sink, Source, fields, simulate


@dataclass(frozen=True)
class Kind:
    records: Callable[[CodecParams], Any]
    image: Callable[..., Any]
    steps: Callable[..., list[Step]]
    largest_index: Callable[[CodecParams], int]
    closes: Callable[[SiteTable, int, int | None, bool], bool]
    """Site, plane, step (None for padding), whether it is padding: the frame's output ends there."""


def encoder_closes(site: SiteTable, plane: int, step: int | None, padding: bool) -> bool:
    """The last padding of the last plane that stores bits; where it has none, the last step that keeps a code."""
    storing = [n for n, p in enumerate(site.planes) if p.position_bits]
    if not storing or plane != storing[-1] or padding != any(padding_operations(site, site.planes[plane])):
        return False
    codes = [bool(s.members) for s in encoder_steps(site, site.planes[plane])]
    return padding or (step is not None and codes[step] and not any(codes[step + 1 :]))


def decoder_closes(site: SiteTable, plane: int, step: int | None, padding: bool) -> bool:
    """The last step of the last plane, whatever padding follows."""
    last = len(decoder_steps(site, site.planes[plane])) - 1
    return plane == len(site.planes) - 1 and step == last and not padding


KINDS = {
    "encoder": Kind(encoder_records, encoder_image, encoder_steps, lambda p: p.beats_per_block, encoder_closes),
    "decoder": Kind(decoder_records, decoder_image, decoder_steps, lambda p: p.steps_per_block, decoder_closes),
}


class SequencerWithTables(Elaboratable):
    """A sequencer that reads its entries from a table store."""

    def __init__(self, kind: Kind, params: CodecParams) -> None:
        records = kind.records(params)
        self.store = TableStore(params, records)
        self.sequencer = Sequencer(params, records, kind.largest_index(params))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.store = store = self.store
        m.submodules.sequencer = sequencer = self.sequencer
        sequencer.read_tables(m, store)
        return m


@dataclass(frozen=True)
class Operation:
    """What is to be seen with one operation; the matrix is None for padding."""

    fields: dict[str, int]
    matrix: int | None
    begins_plane: bool = False


def operations(kind: Kind, site: SiteTable) -> Iterator[Operation]:
    """Operations of one frame, written from the schedule's definition."""
    height, width = site.info.height, site.info.width
    for number, plane in enumerate(site.planes):
        steps = kind.steps(site, plane)
        bits, words = padding_operations(site, plane)
        pads = [count for count in (bits, *[site.params.word_bits] * words) if count]
        for y in range(height):
            final_row = y == height - 1
            for x in range(width):
                for place, step in enumerate(steps):
                    for index in range(step.first, step.last + 1):
                        last_here = final_row and x == width - 1 and index == step.last
                        values = {
                            "pad": 0,
                            "index": index,
                            "fresh": index >= step.fresh,
                            "first": index == step.first,
                            "last": index == step.last,
                            "closes": last_here and kind.closes(site, number, place, False),
                        }
                        entries = step.matrix[index - step.first].ravel()
                        packed = int.from_bytes(entries.astype("int8").tobytes(), "little")
                        begins = y == x == 0 and step is steps[0] and index == step.first
                        yield Operation(values, packed, begins)
            for n, count in enumerate(pads):
                closes = final_row and n == len(pads) - 1 and kind.closes(site, number, None, True)
                yield Operation({"pad": 1, "pad_bits": count, "closes": closes}, None)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_operations_and_matrix_entries_come_in_the_order_of_the_program(config: str, kind: Kind, stall: float) -> None:
    params = load_params(config)
    sites = tables_with_edges(config, 4).sites
    dut = SequencerWithTables(kind, params)
    layout = dut.sequencer.operation.payload.shape()
    coefficient = Value.cast(dut.store.coefficient_data)

    async def testbench(ctx: SimulatorContext) -> None:
        words = Source(dut.store.load, integers(kind.image(params, sites)))
        await Bench(ctx, words).until(lambda: words.done)
        ctx.set(dut.store.load.valid, 0)
        start = Source(dut.sequencer.start, range(len(sites)))
        sink = Sink(dut.sequencer.operation, stall)
        bench = Bench(ctx, start, sink)
        for number, site in enumerate(sites):
            ended, matrix = bench.cycle, None
            for count, operation in enumerate(operations(kind, site)):
                taken, plane_starts = len(sink.taken), []
                while len(sink.taken) == taken:
                    if ctx.get(dut.sequencer.plane_start):
                        plane_starts.append(bench.cycle)
                    # The entry meets the operation in the next pipeline stage and stays there while that waits.
                    assert matrix in (None, ctx.get(coefficient)), (site.info, count)
                    await bench.step()
                got = fields(layout, sink.taken[-1])
                assert {name: got[name] for name in operation.fields} == operation.fields, (site.info, count)
                matrix = operation.matrix
                assert len(plane_starts) == operation.begins_plane
                if not stall:
                    gap = PLANE_GAP if operation.begins_plane else 0
                    if not count:
                        assert start.taken_at[number] == ended
                        gap = Sequencer.START_LATENCY
                    assert sink.taken_at[-1] == ended + gap
                    ended = sink.taken_at[-1] + 1

    simulate(dut, testbench)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_first_operation_is_offered_the_latency_after_the_start(kind: Kind) -> None:
    params = load_params("tiny")
    dut = SequencerWithTables(kind, params)

    async def testbench(ctx: SimulatorContext) -> None:
        words = Source(dut.store.load, integers(kind.image(params, tables_with_edges("tiny", 4).sites)))
        await Bench(ctx, words).until(lambda: words.done)
        start, sink = Source(dut.sequencer.start, [1]), Sink(dut.sequencer.operation)
        bench = Bench(ctx, start, sink)
        await bench.until(lambda: bool(sink.taken))
        assert sink.taken_at[0] - start.taken_at[0] == Sequencer.START_LATENCY

    simulate(dut, testbench)
