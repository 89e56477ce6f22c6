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
from support.streams import Bench, Source, Strobes, simulate

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


def image(word_bits: int, words: list[int], bank: int = 0, whole: bool = True) -> list[int]:
    """Payloads of the table stream, in one image."""
    payloads = [word | bank << word_bits for word in words]
    return [*payloads[:-1], payloads[-1] | whole << word_bits + 1]


async def load(
    ctx: SimulatorContext, dut: TableStore, words: list[int], stall: float = 0.0, bank: int = 0, whole: bool = True
) -> int:
    """Load one image, or with ``whole`` = False the beginning of one; how often it was found malformed."""
    word_bits = len(dut.load.payload.data)
    source, bad = Source(dut.load, image(word_bits, words, bank, whole), stall), Strobes(dut.bad)
    await Bench(ctx, source, bad).until(lambda: source.done)
    # The loader is always ready.
    assert stall or source.taken_at == list(range(len(words)))
    ctx.set(dut.load.valid, 0)
    await ctx.tick().repeat(TableStore.WRITE_LATENCY - 1)
    return bad.counts[""]


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
            assert not await load(ctx, dut, [header | noise, *content], stall)
            expected.update({(name, first + n): entry for n, entry in enumerate(entries)})
        for (name, address), entry in expected.items():
            assert await read(ctx, dut, name, address) == entry, (name, address)

    simulate(dut, testbench)


@pytest.mark.parametrize("config", CONFIGS)
def test_a_section_of_an_unknown_memory_and_what_follows_it_are_dropped(config: str) -> None:
    params, rng = load_params(config), random.Random(2)
    word, known = params.word_bits, records(params.word_bits)
    dut = TableStore(params, known)

    async def testbench(ctx: SimulatorContext) -> None:
        kept = {name: [rng.getrandbits(rec.bits) for _ in range(rec.depth)] for name, rec in known.items()}
        for number, (name, rec) in enumerate(known.items()):
            # What is passed over looks like sections of this memory.
            trap = section(word, number, 0, [(1 << rec.bits) - 1], 1)
            for unknown in (len(known), 100, 255):
                assert await load(ctx, dut, section(word, unknown, 0, 3 * trap, 1) + trap) == 1
            assert not await load(ctx, dut, section(word, number, 0, kept[name], rec.words(word)))
            for unknown in (len(known), 100, 255):
                assert await load(ctx, dut, section(word, unknown, 1, 3 * trap, 1) + trap) == 1
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
        assert not await load(ctx, dut, words)
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
            assert not await load(ctx, dut, whole[:cut], whole=False)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            assert not await load(ctx, dut, section(64, 1, cut % 8, [cut], 1) + whole)
            assert await read(ctx, dut, "word", cut % 8) == cut
            assert [await read(ctx, dut, "large", n) for n in range(2)] == [5 << 190 | 7, 6 << 190 | 8]

    simulate(ResetInserter(reset)(dut), testbench)


def halves(word_bits: int) -> dict[str, Record]:
    """Memories that can be halved, one of them that of the sites."""
    return {"site": record("site", 8, 20), "large": record("large", 4, 2 * word_bits + 1)}


@pytest.mark.parametrize("bank", [0, 1])
def test_an_image_lies_in_its_bank(bank: int) -> None:
    params, rng = load_params("tiny"), random.Random(3)
    dut = TableStore(params, halves(64))

    async def testbench(ctx: SimulatorContext) -> None:
        kept = [rng.getrandbits(129) for _ in range(4)]
        assert not await load(ctx, dut, section(64, 1, 0, kept, 3))
        new = [rng.getrandbits(129) for _ in range(2)]
        # The bank is that of the first word.
        first, *rest = section(64, 1, 0, new, 3)
        assert not await load(ctx, dut, [first | bank << 64, *(word | (1 - bank) << 64 for word in rest)])
        kept[2 * bank : 2 * bank + 2] = new
        assert [await read(ctx, dut, "large", n) for n in range(4)] == kept

    simulate(dut, testbench)


@pytest.mark.parametrize(("banks", "bank", "first"), [(2, 0, 3), (2, 1, 1), (1, 0, 3), (1, 1, 0), (2, 0, 1 << 20)])
def test_an_entry_beyond_its_bank_is_not_written_nor_is_what_follows(banks: int, bank: int, first: int) -> None:
    params, rng = load_params("tiny").model_copy(update={"banks": banks}), random.Random(4)
    dut = TableStore(params, halves(64))

    async def testbench(ctx: SimulatorContext) -> None:
        kept = [rng.getrandbits(129) for _ in range(4)]
        assert not await load(ctx, dut, section(64, 1, 0, kept, 3))
        new = [rng.getrandbits(129) for _ in range(3)]
        trap = section(64, 1, 0, new, 3)
        assert await load(ctx, dut, section(64, 1, first, new, 3) + trap, stall=0.3, bank=bank) == 1
        # What fits is written.
        if (first < 4 and banks == 2) or (bank == 0 and first < 4):
            kept[first + 2 * bank] = new[0]
        assert [await read(ctx, dut, "large", n) for n in range(4)] == kept
        assert not await load(ctx, dut, section(64, 1, 0, [7], 3))
        assert await read(ctx, dut, "large", 0) == 7

    simulate(dut, testbench)


def test_an_image_that_ends_within_a_section_is_flagged_and_the_next_one_is_read_from_its_beginning() -> None:
    dut = TableStore(load_params("tiny"), halves(64))

    async def testbench(ctx: SimulatorContext) -> None:
        whole = section(64, 1, 0, [3 << 126, 5 << 126], 3)
        for cut in range(1, len(whole)):
            assert await load(ctx, dut, whole[:cut]) == 1
            assert not await load(ctx, dut, section(64, 1, 0, [cut, cut + 1], 3))
            assert [await read(ctx, dut, "large", n) for n in range(2)] == [cut, cut + 1]
        assert not await load(ctx, dut, section(64, 1, 0, [], 3))

    simulate(dut, testbench)


@pytest.mark.parametrize("banks", [1, 2])
def test_known_are_the_sites_of_the_last_image_of_a_bank_that_ended_well(banks: int) -> None:
    params, rng = load_params("tiny").model_copy(update={"banks": banks}), random.Random(5)
    dut, reset = TableStore(params, halves(64)), Signal()

    async def testbench(ctx: SimulatorContext) -> None:
        known: dict[int, set[int]] = {0: set(), 1: set()}
        spread = False

        async def check() -> None:
            for bank in range(2):
                for site in range(8):
                    ctx.set(dut.asked_site, site)
                    ctx.set(dut.asked_bank, bank)
                    assert ctx.get(dut.known) == (site in known[bank]), (bank, site)
            await ctx.tick()

        await check()
        for _ in range(80):
            bank = rng.randrange(2)
            limit = 8 // banks if bank else 8
            first = rng.randrange(limit)
            sites = range(first, rng.randint(first, limit))
            large = rng.choice([[], [1], [1, 2, 3]])
            words = section(64, 0, first, [0] * len(sites), 1) + section(64, 1, 0, large, 3)
            bad = (bank >= banks and bool(sites or large)) or (bank == 1 and len(large) > 2)
            if rng.random() < 0.2:
                words, bad = words + section(64, 9, 0, [], 1), True
            split = rng.randrange(1, len(words))
            flagged = await load(ctx, dut, words[:split], bank=bank, whole=False)
            # An image of bank 0 that reaches into the upper half is lost as soon as one of bank 1 begins, and the
            # other way round when it gets there.
            known[bank] = set()
            if spread:
                known[1 - bank] = set()
            spread = banks == 2 and bank == 0 and bool((sites and sites.stop > 4) or len(large) > 2)
            if not spread:
                await check()
            assert flagged + await load(ctx, dut, words[split:], bank=bank) == bad
            if spread:
                known[1] = set()
            if not bad:
                known[bank] = set(sites)
            await check()
            if rng.random() < 0.1:
                ctx.set(reset, 1)
                await ctx.tick()
                ctx.set(reset, 0)
                known, spread = {0: set(), 1: set()}, False
                await check()

    simulate(ResetInserter(reset)(dut), testbench)


def test_a_site_is_known_as_soon_as_its_entry_can_be_read() -> None:
    dut = TableStore(load_params("tiny"), halves(64))

    async def testbench(ctx: SimulatorContext) -> None:
        ctx.set(dut.asked_site, 3)
        for entry in (5, 6):
            # The entry is the image's last word.
            for payload in image(64, section(64, 0, 3, [entry], 1)):
                ctx.set(Value.cast(dut.load.payload), payload)
                ctx.set(dut.load.valid, 1)
                await ctx.tick()
            ctx.set(dut.load.valid, 0)
            waited = 1
            while not ctx.get(dut.known):
                await ctx.tick()
                waited += 1
            assert waited == TableStore.WRITE_LATENCY
            assert await read(ctx, dut, "site", 3) == entry

    simulate(dut, testbench)


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
