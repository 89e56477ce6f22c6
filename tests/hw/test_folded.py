"""An encoder of accumulators: what it has not in common with one that has a MAC array. More is in test_codec.py."""

from __future__ import annotations

import random

import numpy as np
import pytest
from amaranth.sim import SimulatorContext

from actcodec.params import CodecParams
from actcodec.tables.image import framed_image, image_of
from actcodec.tables.model import Tables
from actcodec.tables.synthetic import synthetic_input, synthetic_site
from actcodec_rtl.axi.keep import KeepDecoder
from actcodec_rtl.axi.shell import AxiShell
from actcodec_rtl.encoder import Encoder
from actcodec_rtl.generate import verilog_modules
from actcodec_rtl.layouts import encoder_beat_layout
from actcodec_rtl.registers import codec_registers
from support.axi import Lite, axis
from support.frames import (
    ENCODER,
    FOLDED,
    Frame,
    Player,
    integers,
    large_and_small,
    play_alone,
    stripe_frame,
    tables_of,
)
from support.streams import Bench, Sink, Source, fields, simulate

ODD_BUILDS = tuple(
    CodecParams(transforms=("folded",), **sizes)
    for sizes in (
        {"lanes": 4, "rows": 8, "block": 8, "codes": 1},
        {"lanes": 3, "rows": 4, "block": 12, "acc_bits": 21},
        {"lanes": 8, "rows": 16, "block": 16, "word_bits": 128, "acc_bits": 32},
    )
)


@pytest.mark.parametrize("build", ODD_BUILDS, ids=lambda p: f"{p.codes_per_cycle} of {p.acc_bits} bits")
def test_odd_builds_give_the_golden_words_in_the_cycles_of_the_formula(build: CodecParams) -> None:
    play_alone(ENCODER, build)


@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_stripes_follow_one_another(stall: float) -> None:
    rng = np.random.default_rng(3)
    sites = [
        synthetic_site(rng, FOLDED, order, (5, 4, 2 * FOLDED.block + 3), transform="folded", order=order)
        for order in FOLDED.orders
    ]
    tables = Tables(FOLDED, tuple(sites), tables_of(FOLDED, 0).provenance)
    rows = (range(2), range(1, 2), range(2, 5))
    frames = [stripe_frame(n, site, synthetic_input(rng, site), y) for n, site in enumerate(sites) for y in rows]

    async def script(player: Player) -> None:
        await player.load(tables)
        for group in [frames] if stall else [[frame] for frame in frames]:
            run = player.start(group, stall, stall, seed=1)
            await run.finish()
            run.check()
            assert stall or [measured for measured, _ in run.cycles()] == [formula for _, formula in run.cycles()]

    Player(ENCODER, FOLDED).play(script)


def test_frames_back_to_back_lose_no_cycle_but_the_start_of_the_next_one() -> None:
    tables, (large, _) = large_and_small(FOLDED)

    async def script(player: Player) -> None:
        await player.load(tables)
        run = player.start([large] * 3)
        await run.finish()
        run.check()
        taken_at = run.inputs.taken_at
        # Beats of frames follow one another as beats of rows do: what is between them is padding.
        positions = large.site.info.height * large.site.info.width
        beats = len(large.beats)
        assert beats == positions * -(-large.site.coefficients // FOLDED.encoder_lanes)
        between = [taken_at[n * beats + 2] - taken_at[n * beats - 1] for n in (1, 2)]
        assert max(between) <= 8

    Player(ENCODER, FOLDED).play(script)


def test_the_encoder_has_no_array_and_its_port_takes_signed_accumulators() -> None:
    modules, ports = verilog_modules(Encoder(FOLDED), "encoder")
    port = next(port for port in ports if port.name == "i_payload")
    assert len(port.value) == encoder_beat_layout(FOLDED).size == 4 * FOLDED.acc_bits + 1 + 2
    numbers = [(field["name"], field["bits"], field["signed"]) for field in port.layout[:4]]
    assert numbers == [(f"data.{n}", FOLDED.acc_bits, True) for n in range(4)]
    assert not any("array" in name or "multipliers" in name for name in modules)
    assert not any(" * " in text for text in modules.values())


# --- the shell


@pytest.mark.parametrize(("count", "size"), [(1, 3), (2, 3), (3, 2), (4, 1)])
def test_keep_holds_whole_accumulators(count: int, size: int) -> None:
    decoder = KeepDecoder(count, size)
    rows = {(1 << size * (n + 1)) - 1: n for n in range(count)}

    async def decode(ctx: SimulatorContext) -> None:
        for keep in range(1 << count * size):
            ctx.set(decoder.keep, keep)
            await ctx.delay(1e-9)
            assert ctx.get(decoder.broken) == (keep not in rows)
            if keep in rows:
                assert ctx.get(decoder.last) == rows[keep]

    simulate(decoder, decode, clocked=False)


def shell_beats(frame: Frame, noise: random.Random) -> list[int]:
    """Beats of a frame as AXI4-Stream payloads: data in whole bytes, what is above a number at random; keep; last."""
    p = frame.site.params
    size, bits = p.encoder_lane_bytes, p.encoder_lane_bits
    layout = encoder_beat_layout(p)
    found = []
    for payload in frame.beats:
        values = fields(layout, payload)
        data = 0
        for lane in range(p.encoder_lanes):
            number = values["data"] >> bits * lane & ((1 << bits) - 1)
            above = noise.getrandbits(8) << bits & ((1 << 8 * size) - 1)
            data |= (number | above) << 8 * size * lane
        keep, width = (1 << size * (values["last_lane"] + 1)) - 1, p.encoder_lanes * size
        found.append(data | keep << 8 * width | values["last"] << 9 * width)
    return found


@pytest.mark.parametrize("acc_bits", [24, 20])
def test_the_shell_takes_accumulators_in_whole_bytes(acc_bits: int) -> None:
    params = FOLDED.model_copy(update={"acc_bits": acc_bits, "directions": ("encoder",)})
    tables, (frame, _) = large_and_small(params)
    dut, registers, word = AxiShell(params), codec_registers(params), params.word_bits
    assert len(dut.s_axis_act.tdata) == 4 * 3 * 8
    image = integers(framed_image("encoder", image_of("encoder", params, tables.sites)))
    keep = ((1 << word // 8) - 1) << word
    last = 1 << word + word // 8
    load = Source(
        axis(dut.s_axis_tables), [*(w | keep for w in image[:-1]), *(w | keep | last for w in image[-1:])]
    )  # fmt: skip
    beats = shell_beats(frame, random.Random(1))
    # The same frame twice, in the second one a beat that keeps too little.
    width = params.encoder_lanes * params.encoder_lane_bytes
    source = Source(axis(dut.s_axis_act), [*beats, *beats[:5], beats[5] ^ 1 << 8 * width, *beats[6:]], 0.3, 1)
    sink = Sink(axis(dut.m_axis_stream), 0.3, 3)
    words = [w & (1 << word) - 1 | keep | (last if n == len(frame.words) - 1 else 0) for n, w in enumerate(frame.words)]

    async def testbench(ctx: SimulatorContext) -> None:
        lite = Lite(dut.s_axil, load, source, sink)
        lite.ctx = ctx
        bench = Bench(ctx, load, source, sink)
        await bench.until(lambda: load.done)
        build = await lite.read(registers.address("build"))
        assert build & 7 == 0b101
        for count, errors in ((1, 0), (2, 1 << 6)):
            for name, value in (("control", 1), ("encoder_job_site", frame.number), ("encoder_start", 1)):
                await lite.write(registers.address(name), value)
            await bench.until(lambda count=count: len(sink.taken) == count * len(words))
            await bench.step(10)
            assert await lite.read(registers.address("encoder_errors")) == errors
        assert sink.taken == words * 2

    simulate(dut, testbench)
