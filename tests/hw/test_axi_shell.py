"""The whole shell in the simulator: a frame both ways, and outputs that no input reaches within a cycle."""

from __future__ import annotations

import random
from typing import Any

import pytest
from amaranth.sim import SimulatorContext

from actcodec.tables.image import framed_image, image_of
from actcodec_rtl.axi.shell import AxiShell
from actcodec_rtl.registers import codec_registers
from support.axi import Lite, axis
from support.frames import Frame, integers, large_and_small
from support.streams import Bench, Sink, Source, simulate

INPUTS = {
    "s_axil": ("awaddr", "awvalid", "wdata", "wstrb", "wvalid", "bready", "araddr", "arvalid", "rready"),
    "s_axis_tables": ("tdata", "tkeep", "tlast", "tvalid"),
    "s_axis_act": ("tdata", "tkeep", "tlast", "tvalid"),
    "s_axis_stream": ("tdata", "tkeep", "tlast", "tvalid"),
    "m_axis_stream": ("tready",),
    "m_axis_act": ("tready",),
}
OUTPUTS = {
    "s_axil": ("awready", "wready", "bresp", "bvalid", "arready", "rdata", "rresp", "rvalid"),
    "s_axis_tables": ("tready",),
    "s_axis_act": ("tready",),
    "s_axis_stream": ("tready",),
    "m_axis_stream": ("tdata", "tkeep", "tlast", "tvalid"),
    "m_axis_act": ("tdata", "tkeep", "tlast", "tvalid"),
}


class Disturbance:
    """After all drivers: sets every input to random values and back, and sees whether an output moves."""

    def __init__(self, dut: Any, rng: random.Random) -> None:
        buses = dut.signature.members
        self._inputs = [
            getattr(getattr(dut, bus), name) for bus, names in INPUTS.items() if bus in buses for name in names
        ]
        self._outputs = [
            (f"{bus}_{name}", getattr(getattr(dut, bus), name))
            for bus, names in OUTPUTS.items()
            if bus in buses
            for name in names
        ]
        self._outputs.append(("irq", dut.irq))
        self._rng = rng
        self.checks = 0

    def drive(self, ctx: SimulatorContext) -> None:
        if self._rng.random() < 0.7:
            return
        kept = [ctx.get(signal) for signal in self._inputs]
        before = {name: ctx.get(signal) for name, signal in self._outputs}
        for _ in range(2):
            for signal in self._inputs:
                ctx.set(signal, self._rng.getrandbits(len(signal)))
            assert {name: ctx.get(signal) for name, signal in self._outputs} == before
        for signal, value in zip(self._inputs, kept, strict=True):
            ctx.set(signal, value)
        self.checks += 1

    def sample(self, ctx: SimulatorContext) -> None: ...

    def settle(self, cycle: int) -> None: ...


def frame_beats(frame: Frame) -> tuple[list[int], list[int]]:
    """Beats of a frame as AXI4-Stream payloads into the encoder and out of the decoder: data, keep, last."""
    lanes = frame.site.params.lanes
    keeps = [sum(1 << n for n in range(lanes) if mask >> 8 * n & 1) for mask in frame.channels]
    data = (1 << 8 * lanes) - 1
    last = [int(n == len(keeps) - 1) << 9 * lanes for n in range(len(keeps))]
    found = []
    for beats in (frame.beats, frame.decoded):
        found.append([b & data | k << 8 * lanes | end for b, k, end in zip(beats, keeps, last, strict=True)])
    return found[0], found[1]


BUILDS: tuple[dict[str, Any], ...] = (
    {},
    {"directions": ("encoder",)},
    {"directions": ("decoder",)},
    {"shared_array": True},
)


@pytest.mark.parametrize("build", BUILDS, ids=str)
def test_a_frame_every_way_while_inputs_are_disturbed_within_cycles(build: dict[str, Any]) -> None:
    tables, (frame, _) = large_and_small("tiny")
    params, word = tables.params.model_copy(update=build), tables.params.word_bits
    dut = AxiShell(params)
    registers = codec_registers(params)
    loads = {name: image_of(name, params, tables.sites) for name in params.directions}
    images = [w for name, words in loads.items() for w in integers(framed_image(name, words))]
    keep = ((1 << word // 8) - 1) << word
    beats, decoded = frame_beats(frame)
    words = [
        w & (1 << word) - 1 | keep | int(n == len(frame.words) - 1) << word + word // 8
        for n, w in enumerate(frame.words)
    ]
    disturbance = Disturbance(dut, random.Random(1))
    sources = [
        Source(
            axis(dut.s_axis_tables),
            [w | keep | int(n == len(images) - 1) << word + word // 8 for n, w in enumerate(images)],
        ),
    ]
    sinks: dict[str, Sink] = {}
    if "encoder" in params.directions:
        sources.append(Source(axis(dut.s_axis_act), beats, 0.3, 1))
        sinks["encoder"] = Sink(axis(dut.m_axis_stream), 0.3, 3)
    if "decoder" in params.directions:
        sources.append(Source(axis(dut.s_axis_stream), words, 0.3, 2))
        sinks["decoder"] = Sink(axis(dut.m_axis_act), 0.3, 4)
    expected = {"encoder": len(words), "decoder": len(decoded)}

    async def testbench(ctx: SimulatorContext) -> None:
        lite = Lite(dut.s_axil, *sources, *sinks.values(), disturbance)  # type: ignore[arg-type]
        lite.ctx = ctx
        bench = Bench(ctx, *sources, *sinks.values(), disturbance)  # type: ignore[arg-type]
        await bench.until(lambda: sources[0].done)
        writes = [(registers.address("control"), 3, 15)]
        for name in params.directions:
            writes += [(registers.address(f"{name}_job_site"), frame.number, 15)]
            writes += [(registers.address(f"{name}_start"), 1, 15)]
        responses, _ = await lite.access(writes)
        assert responses == [0] * len(writes)
        await bench.until(lambda: all(len(sink.taken) == expected[name] for name, sink in sinks.items()))
        if "encoder" in sinks:
            assert sinks["encoder"].taken == words
        data = (1 << 8 * params.lanes) - 1
        if "decoder" in sinks:
            for got, wanted, mask in zip(sinks["decoder"].taken, decoded, frame.channels, strict=True):
                assert got >> 8 * params.lanes == wanted >> 8 * params.lanes
                assert got & mask & data == wanted & mask & data
        for name in params.directions:
            assert await lite.read(registers.address(f"{name}_errors")) == 0
            assert await lite.read(registers.address(f"{name}_status")) == 1 << 16
        assert disturbance.checks > 50

    simulate(dut, testbench)
