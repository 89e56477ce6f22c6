"""The AXI4-Lite port and the register bank behind it, on a small map of every access and on the codec's own."""

from __future__ import annotations

import itertools
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from amaranth.hdl import Elaboratable, Module, Signal, Value
from amaranth.lib.wiring import connect
from amaranth.sim import SimulatorContext

from actcodec.params import Direction, load_params
from actcodec_rtl.axi.bank import RegisterBank
from actcodec_rtl.axi.lite import AxiLite
from actcodec_rtl.registers import Field, Register, RegisterGroup, RegisterMap, codec_registers
from support.axi import OKAY, SLVERR, Lite
from support.streams import simulate

FIXED, RW, FLAGS, LEVELS, PULSE = 0x00, 0x04, 0x10, 0x14, 0x20
SMALL = RegisterMap(
    (
        RegisterGroup(
            "all",
            "",
            (("", 0),),
            (
                Register("fixed", FIXED, "ro", "", (Field("value", 0, 32, "", 0xCAFE1234),), fixed=True),
                Register("setup", RW, "rw", "", (Field("low", 0, 4, "", 9), Field("wide", 6, 18, "", 5))),
                Register("flags", FLAGS, "w1c", "", (Field("a", 0, 1, ""), Field("b", 17, 2, ""))),
                Register("levels", LEVELS, "ro", "", (Field("x", 3, 5, ""), Field("y", 30, 2, ""))),
                Register("pulse", PULSE, "wo", "", (Field("go", 0, 1, ""), Field("stop", 9, 1, ""))),
            ),
        ),
    )
)
RESET = 9 | 5 << 6


class Registers(Elaboratable):
    """Port and bank together; pulses are counted."""

    def __init__(self, registers: RegisterMap) -> None:
        self.lite, self.bank = AxiLite(), RegisterBank(registers)
        self.pulses = {name: Signal(8) for name in ("go", "stop")}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.lite, m.submodules.bank = self.lite, self.bank
        connect(m, self.lite.access, self.bank.access)
        if hasattr(self.bank, "pulse"):
            for name, count in self.pulses.items():
                m.d.sync += count.eq(count + getattr(self.bank.pulse, name))
        return m


def play(script: Callable[[Lite, Registers], Awaitable[None]], registers: RegisterMap = SMALL) -> None:
    dut = Registers(registers)
    lite = Lite(dut.lite.axil)

    async def testbench(ctx: SimulatorContext) -> None:
        lite.ctx = ctx
        await script(lite, dut)

    simulate(dut, testbench)


def test_reset_values_reads_and_refused_accesses() -> None:
    async def script(lite: Lite, dut: Any) -> None:
        lite.ctx.set(dut.bank.levels.x, 21)
        lite.ctx.set(dut.bank.levels.y, 2)
        _, found = await lite.access(reads=[FIXED, RW, FLAGS, LEVELS, PULSE, 0x08, 0xFFC])
        assert found == [
            (0xCAFE1234, OKAY),
            (RESET, OKAY),
            (0, OKAY),
            (21 << 3 | 2 << 30, OKAY),
            (0, OKAY),
            (0, SLVERR),
            (0, SLVERR),
        ]
        responses, _ = await lite.access([(address, 0xFFFFFFFF, 15) for address in (FIXED, LEVELS, 0x08, 0xFFC, RW)])
        assert responses == [SLVERR, SLVERR, SLVERR, SLVERR, OKAY]
        assert await lite.read(FIXED) == 0xCAFE1234
        # Reserved bits stay 0.
        assert await lite.read(RW) == 0xF | 0x3FFFF << 6

    play(script)


@pytest.mark.parametrize("strobe", range(16))
def test_byte_strobes(strobe: int) -> None:
    async def script(lite: Lite, dut: Any) -> None:
        written = 0xA5C3F096
        assert await lite.write(RW, written, strobe) == OKAY
        mask = sum(0xFF << 8 * byte for byte in range(4) if strobe >> byte & 1)
        assert await lite.read(RW) == (written & mask | RESET & ~mask) & (0xF | 0x3FFFF << 6)

    play(script)


def test_write_one_to_clear_and_a_set_that_meets_a_clear() -> None:
    async def script(lite: Lite, dut: Any) -> None:
        ctx, bank = lite.ctx, dut.bank
        ctx.set(bank.flags_set.a, 1)
        ctx.set(bank.flags_set.b, 3)
        await ctx.tick()
        ctx.set(Value.cast(bank.flags_set), 0)
        assert await lite.read(FLAGS) == 1 | 3 << 17
        assert await lite.write(FLAGS, 0) == OKAY and await lite.read(FLAGS) == 1 | 3 << 17
        await lite.write(FLAGS, 1 | 1 << 17)
        assert await lite.read(FLAGS) == 1 << 18
        # The third byte is not written.
        await lite.write(FLAGS, 0xFFFFFFFF, 0b1011)
        assert await lite.read(FLAGS) == 1 << 18
        ctx.set(bank.flags_set.a, 1)
        await lite.write(FLAGS, 0xFFFFFFFF)
        ctx.set(bank.flags_set.a, 0)
        assert await lite.read(FLAGS) == 1

    play(script)


def test_pulses_last_a_cycle() -> None:
    async def script(lite: Lite, dut: Any) -> None:
        await lite.access([(PULSE, 1, 15), (PULSE, 1 | 1 << 9, 15), (PULSE, 1 | 1 << 9, 0b0001), (PULSE, 1, 0b1110)])
        assert {name: lite.ctx.get(count) for name, count in dut.pulses.items()} == {"go": 3, "stop": 1}

    play(script)


@pytest.mark.parametrize("seed", range(6))
def test_any_order_of_channels_under_stalls(seed: int) -> None:
    """Each channel alone slow, then all: writes are done in order, each exactly once."""

    async def script(lite: Lite, dut: Any) -> None:
        rng = random.Random(seed)
        slow = [
            {"aw": 0.9},
            {"w": 0.9},
            {"b": 0.9},
            {"r": 0.9},
            {"ar": 0.9},
            dict.fromkeys(["aw", "w", "b", "ar", "r"], 0.5),
        ]
        writes, model, expected = [], RESET, []
        for _ in range(20):
            address, data, strobe = rng.choice([RW, RW, LEVELS, 0x40]), rng.getrandbits(32), rng.randrange(16)
            writes.append((address | rng.randrange(4), data, strobe))
            expected.append(OKAY if address == RW else SLVERR)
            mask = sum(0xFF << 8 * byte for byte in range(4) if strobe >> byte & 1) if address == RW else 0
            model = (data & mask | model & ~mask) & (0xF | 0x3FFFF << 6)
        reads = [rng.choice([FIXED, 0x30]) for _ in range(20)]
        responses, found = await lite.access(writes, reads, seed, **slow[seed])
        assert responses == expected
        assert found == [(0xCAFE1234, OKAY) if address == FIXED else (0, SLVERR) for address in reads]
        assert await lite.read(RW) == model

    play(script)


def test_ready_depends_on_nothing_that_the_manager_drives() -> None:
    async def script(lite: Lite, dut: Any) -> None:
        axil, ctx = dut.lite.axil, lite.ctx
        names = ("awready", "wready", "arready", "bvalid", "rvalid", "bresp", "rresp", "rdata")
        await lite.write(RW, 3)
        for _ in range(3):
            seen = set()
            for aw, w, ar, b, r in itertools.product(range(2), repeat=5):
                for name, value in (("awvalid", aw), ("wvalid", w), ("arvalid", ar), ("bready", b), ("rready", r)):
                    ctx.set(getattr(axil, name), value)
                await ctx.delay(1e-9)
                seen.add(tuple(ctx.get(getattr(axil, name)) for name in names))
            assert len(seen) == 1
            await ctx.tick()

    play(script)


@pytest.mark.parametrize("directions", [("encoder", "decoder"), ("decoder",)])
def test_the_codecs_map_reads_as_described(directions: tuple[Direction, ...]) -> None:
    registers = codec_registers(load_params("wide").model_copy(update={"directions": directions}), digest=0x89ABCDEF)
    places = list(registers.places())

    async def script(lite: Lite, dut: Any) -> None:
        found = (await lite.access(reads=range(0, 0x300, 4)))[1]
        mapped = {place.address: place.register.reset for place in places}
        assert found == [
            (mapped[address], OKAY) if address in mapped else (0, SLVERR) for address in range(0, 0x300, 4)
        ]
        responses, _ = await lite.access([(address, 0, 0) for address in range(0, 0x300, 4)])
        writable = {place.address for place in places if place.register.access != "ro"}
        assert [n * 4 for n, response in enumerate(responses) if response == OKAY] == sorted(writable)

    play(script, registers)
    values = {place.path: place.register.reset for place in places}
    assert values["id"].to_bytes(4, "little") == b"ACTC"
    assert values["array"] == 16 | 16 << 8 | 16 << 16 | 16 << 24 and values["generator"] == 0x89ABCDEF
