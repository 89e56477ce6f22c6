"""The table loader: sections fill the memories that their headers name, and nothing else."""

import random

import pytest
from amaranth.hdl import ResetInserter, Signal, Value
from amaranth.sim import SimulatorContext

from actcodec.params import load_params
from actcodec.tables.image import decoder_image, encoder_image
from actcodec.tables.records import Field, Record, decoder_records, encoder_records
from actcodec_rtl.memory import TableMemory
from actcodec_rtl.store import TableStore
from support.frames import CONFIGS, integers, tables_of
from support.images import entries_of, section
from support.streams import Bench, Source, simulate

DIRECTIONS = {"encoder": (encoder_records, encoder_image), "decoder": (decoder_records, decoder_image)}


def record(name: str, depth: int, bits: int) -> Record:
    return Record(name, depth, (Field("value", bits),))


def records(word_bits: int) -> dict[str, Record]:
    """Memories whose entries are far below, just at, just above and far above a word."""
    return {
        "bit": record("bit", 9, 1),
        "word": record("word", 8, word_bits),
        "above": record("above", 5, word_bits + 1),
        "large": record("large", 6, 3 * word_bits + 7),
    }


async def load(ctx: SimulatorContext, dut: TableStore, words: list[int], stall: float = 0.0) -> None:
    source = Source(dut.load, words, stall)
    await Bench(ctx, source).until(lambda: source.done)
    # The loader is always ready.
    assert stall or source.taken_at == list(range(len(words)))
    ctx.set(dut.load.valid, 0)
    await ctx.tick().repeat(TableStore.WRITE_LATENCY - 1)


async def read(ctx: SimulatorContext, dut: TableStore, memory: str, address: int) -> int:
    ctx.set(getattr(dut, f"{memory}_addr"), address)
    ctx.set(getattr(dut, f"{memory}_en"), 1)
    await ctx.tick().repeat(TableMemory.LATENCY)
    ctx.set(getattr(dut, f"{memory}_en"), 0)
    # Held whatever the address does.
    ctx.set(getattr(dut, f"{memory}_addr"), address ^ 1)
    await ctx.tick()
    return int(ctx.get(Value.cast(getattr(dut, f"{memory}_data"))))


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("stall", [0.0, 0.6])
def test_sections_in_any_order_fill_their_entries(config: str, stall: float) -> None:
    params, rng = load_params(config), random.Random(1)
    word, known = params.word_bits, records(params.word_bits)
    dut = TableStore(params, known)

    async def testbench(ctx: SimulatorContext) -> None:
        expected: dict[tuple[str, int], int] = {}
        for _ in range(30):
            number = rng.randrange(len(known))
            name, rec = list(known.items())[number]
            first = rng.randrange(rec.depth)
            entries = [rng.getrandbits(rec.bits) for _ in range(rng.randint(0, rec.depth - first))]
            # Bits above an entry and above the header are passed over.
            size = rec.words(word)
            dirty = [entry | rng.getrandbits(size * word - rec.bits + 1) >> 1 << rec.bits for entry in entries]
            header, *content = section(word, number, first, dirty, size)
            noise = rng.getrandbits(word) >> 64 << 64
            await load(ctx, dut, [header | noise, *content], stall)
            expected.update({(name, first + n): entry for n, entry in enumerate(entries)})
        for (name, address), entry in expected.items():
            assert await read(ctx, dut, name, address) == entry, (name, address)

    simulate(dut, testbench)


@pytest.mark.parametrize("config", CONFIGS)
def test_a_section_of_an_unknown_memory_is_passed_over_word_by_word(config: str) -> None:
    params, rng = load_params(config), random.Random(2)
    word, known = params.word_bits, records(params.word_bits)
    dut = TableStore(params, known)

    async def testbench(ctx: SimulatorContext) -> None:
        kept = {name: [rng.getrandbits(rec.bits) for _ in range(rec.depth)] for name, rec in known.items()}
        for number, (name, rec) in enumerate(known.items()):
            # What is passed over looks like sections of this memory.
            trap = section(word, number, 0, [(1 << rec.bits) - 1], 1)
            for unknown in (len(known), 100, 255):
                await load(ctx, dut, section(word, unknown, 0, 3 * trap, 1))
            await load(ctx, dut, section(word, number, 0, kept[name], rec.words(word)))
            for unknown in (len(known), 100, 255):
                await load(ctx, dut, section(word, unknown, 1, 3 * trap, 1))
        for name, entries in kept.items():
            assert [await read(ctx, dut, name, n) for n in range(len(entries))] == entries

    simulate(dut, testbench)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("direction", ["encoder", "decoder"])
def test_images_of_sites_arrive_whole(config: str, direction: str) -> None:
    params = load_params(config)
    records_of, image_of = DIRECTIONS[direction]
    known, words = records_of(params), integers(image_of(params, tables_of(params, 1).sites))
    dut = TableStore(params, known)
    expected = entries_of(words, params.word_bits, known)
    assert all(expected.values())

    async def testbench(ctx: SimulatorContext) -> None:
        await load(ctx, dut, words)
        for name, entries in expected.items():
            for address, entry in entries.items():
                assert await read(ctx, dut, name, address) == entry, (name, address)

    simulate(dut, testbench)


def test_a_reset_in_the_middle_of_a_section_ends_it() -> None:
    params, reset = load_params("tiny"), Signal()
    known = records(params.word_bits)
    dut = TableStore(params, known)

    async def testbench(ctx: SimulatorContext) -> None:
        whole = section(64, 3, 0, [5 << 190 | 7, 6 << 190 | 8], 4)
        for cut in range(1, len(whole)):
            await load(ctx, dut, whole[:cut])
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            await load(ctx, dut, section(64, 1, cut % 8, [cut], 1) + whole)
            assert await read(ctx, dut, "word", cut % 8) == cut
            assert [await read(ctx, dut, "large", n) for n in range(2)] == [5 << 190 | 7, 6 << 190 | 8]

    simulate(ResetInserter(reset)(dut), testbench)


def test_an_entry_is_read_while_another_is_written() -> None:
    dut = TableMemory(record("any", 4, 8), 64)

    async def testbench(ctx: SimulatorContext) -> None:
        ctx.set(dut.read_en, 1)
        for cycle in range(12):
            ctx.set(dut.write_en, 1)
            ctx.set(dut.write_addr, cycle % 4)
            ctx.set(dut.write_data, cycle + 1)
            ctx.set(dut.read_addr, (cycle - 1) % 4)
            await ctx.tick()
            if cycle:
                assert ctx.get(dut.read_data) == cycle

    simulate(dut, testbench)
