"""The shell's driver: registers by name, jobs, tables and streams, as software and DMAs would do it."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)
from numpy.typing import NDArray

from actcodec_sim.axi.cases import JOB_FILE, JOB_VARIABLE, REGISTERS_VARIABLE
from actcodec_sim.axi.handshake import Watch

CLOCK_NS = 10
RESET_CYCLES = 4
TABLES = "s_axis_tables"
INPUTS = {"encoder": "s_axis_act", "decoder": "s_axis_stream"}
OUTPUTS = {"encoder": "m_axis_stream", "decoder": "m_axis_act"}


def packet(rows: NDArray[np.uint8], keep: NDArray[np.bool_] | None = None) -> AxiStreamFrame:
    """A packet of these beats (N, bytes), all bytes kept or those of ``keep``; TLAST on the last one."""
    kept = None if keep is None else [int(bit) for bit in keep.ravel()]
    return AxiStreamFrame(rows.tobytes(), tkeep=kept)


class Shell:
    """The DUT with a manager on its registers, sources and sinks on its streams, and its channels watched."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.folder = Path(os.environ[JOB_VARIABLE])
        self.job = json.loads((self.folder / JOB_FILE).read_text())
        entries = json.loads(Path(os.environ[REGISTERS_VARIABLE]).read_text())["registers"]
        self.registers = {entry["name"]: entry for entry in entries}
        self.directions: list[str] = self.job["directions"]
        self.rng = random.Random(f"{self.job['seed']}")
        reset: dict[str, Any] = {"reset": dut.aresetn, "reset_active_level": False}
        self.lite = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.aclk, **reset)
        inputs, outputs = ([names[direction] for direction in self.directions] for names in (INPUTS, OUTPUTS))
        self.sources = {
            n: AxiStreamSource(AxiStreamBus.from_prefix(dut, n), dut.aclk, **reset) for n in (TABLES, *inputs)
        }
        self.sinks = {n: AxiStreamSink(AxiStreamBus.from_prefix(dut, n), dut.aclk, **reset) for n in outputs}
        for port in (self.lite.write_if, self.lite.read_if, *self.sources.values(), *self.sinks.values()):
            # They log every packet in full.
            port.log.setLevel("WARNING")
        self.watch = Watch(dut, (TABLES, *inputs, *outputs))

    async def start(self) -> None:
        """Clock and reset."""
        self.dut.aresetn.value = 0
        Clock(self.dut.aclk, CLOCK_NS, unit="ns").start()
        await ClockCycles(self.dut.aclk, RESET_CYCLES)
        self.dut.aresetn.value = 1
        await ClockCycles(self.dut.aclk, 2)

    def pause(self, probability: float) -> None:
        """Every stream pauses with this probability a cycle from now on."""
        for port in (*self.sources.values(), *self.sinks.values()):
            port.clear_pause_generator()
            port.pause = False
            if probability:
                port.set_pause_generator(iter(lambda: self.rng.random() < probability, None))

    def address(self, name: str) -> int:
        """Address of a register."""
        return int(self.registers[name]["address"])

    async def write_raw(self, name: str, value: int) -> None:
        """Write a whole register; the response has to be OKAY."""
        response = await self.lite.write(self.address(name), value.to_bytes(4, "little"))
        assert response.resp == AxiResp.OKAY, f"{name}: {response.resp!r}"

    async def write(self, name: str, **values: int) -> None:
        """Write a register's fields, the others 0."""
        offsets = {field["name"]: field["offset"] for field in self.registers[name]["fields"]}
        await self.write_raw(name, sum(value << offsets[field] for field, value in values.items()))

    async def read_raw(self, name: str) -> int:
        """A whole register; the response has to be OKAY."""
        response = await self.lite.read(self.address(name), 4)
        assert response.resp == AxiResp.OKAY, f"{name}: {response.resp!r}"
        return int.from_bytes(response.data, "little")

    async def read(self, name: str) -> dict[str, int]:
        """A register's fields."""
        value = await self.read_raw(name)
        return {
            field["name"]: value >> field["offset"] & ((1 << field["bits"]) - 1)
            for field in self.registers[name]["fields"]
        }

    async def enable(self) -> None:
        """Let all directions run."""
        await self.write("control", **{f"{direction}_enable": 1 for direction in self.directions})

    async def load(self, words: NDArray[np.uint8]) -> None:
        """Send framed images in one packet and wait until the shell has taken them."""
        self.sources[TABLES].send_nowait(packet(words))
        await self.drained(TABLES)

    async def drained(self, name: str) -> None:
        """Wait until a source has nothing left to send."""
        await self.sources[name].wait()
        await ClockCycles(self.dut.aclk, 4)

    async def queue(self, direction: str, site: int, bank: int = 0, window: dict[str, int] | None = None) -> None:
        """Start a job as soon as the queue has room for it."""
        while (await self.read(f"{direction}_status"))["queue_full"]:
            await ClockCycles(self.dut.aclk, 8)
        await self.write(f"{direction}_job_site", site=site, bank=bank, window=int(window is not None))
        if window is not None:
            await self.write(f"{direction}_job_window", plane=window["plane"], offset=window["offset"])
            for name in ("count", "stride", "rows"):
                await self.write(f"{direction}_job_{name}", value=window[name])
        await self.write(f"{direction}_start", push=1)

    async def finished(self, direction: str, count: int, cycles: int = 200_000) -> None:
        """Wait until ``count`` frames are done since reset."""
        for _ in range(cycles // 16):
            status = await self.read(f"{direction}_status")
            if status["done_count"] == count % (1 << 16) and not status["busy"]:
                return
            await ClockCycles(self.dut.aclk, 8)
        raise AssertionError(f"{direction}: {status} instead of {count} frames done")

    async def counters(self, direction: str, clear: bool = False) -> dict[str, int]:
        """A snapshot of the counters."""
        await self.write(f"{direction}_counter_control", snapshot=1, clear=int(clear))
        names = ("beats", "words", "payload_low", "payload_high", "input_stalls", "output_stalls", "frames")
        found = {name: await self.read_raw(f"{direction}_{name}") for name in names}
        found["payload_bits"] = found.pop("payload_low") | found.pop("payload_high") << 32
        return found

    async def errors(self, direction: str, *expected: str) -> None:
        """Check that exactly these sticky errors are set, and clear them."""
        found = await self.read(f"{direction}_errors")
        assert {name for name, bit in found.items() if bit} == set(expected), f"{direction}: {found}"
        await self.write_raw(f"{direction}_errors", 0xFFFFFFFF)
        assert await self.read_raw(f"{direction}_errors") == 0

    async def received(self, direction: str, what: str) -> AxiStreamFrame:
        """The next packet of a direction's output as it was, bytes that are not kept included."""
        sink = self.sinks[OUTPUTS[direction]]
        for _ in range(200_000):
            if not sink.empty():
                return sink.recv_nowait(compact=False)
            await RisingEdge(self.dut.aclk)
        raise AssertionError(f"{what}: no packet")

    async def soft_reset(self) -> None:
        """Reset the core."""
        self.watch.withdrawing = True
        await self.write("soft_reset", core=1)
        await ClockCycles(self.dut.aclk, 2)
        self.watch.withdrawing = False
