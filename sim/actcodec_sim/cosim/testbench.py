"""The cocotb tests that run inside the simulator: one job, twice, on the directions that the build has, side by side.

Pass 1, `sites_one_by_one`: every site alone with inputs always valid and outputs always ready; measures cycles.
Pass 2, `sites_back_to_back`: all sites without a pause, with random stalls on every port, or on one side's.
Both report, for every frame, whether a port of its stalled.

Both simulators see the same events: inputs change after the falling edge, everything is read in the read-only
phase that follows, and the rising edge commits what was read. A signal that is X fails the test where it is
converted to an integer.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly
from numpy.typing import NDArray

from actcodec_sim.cosim.job import JOB_FILE, JOB_VARIABLE, RESULT_FILE, read_frames

CLOCK_NS = 10
RESET_CYCLES = 4
DRAIN_CYCLES = 16
"""Cycles without an output after the last one that show that nothing is left over."""
COUNTER_FIELDS = ("beats", "words", "payload_bits", "input_stalls", "output_stalls")


class Source:
    """Offers payloads on a valid/ready port, each held until it is taken."""

    def __init__(self, dut: Any, name: str, rng: random.Random) -> None:
        self._valid = getattr(dut, f"{name}_valid")
        self._ready = getattr(dut, f"{name}_ready")
        self._payload = getattr(dut, f"{name}_payload")
        self._rng = rng
        self._queue: Sequence[int] = ()
        self._stall = 0.0
        self._offered = False
        self.taken = 0
        self.starves = False
        """In the cycle sampled last the codec was ready and nothing was offered."""
        self._valid.value = 0

    def begin(self, payloads: Sequence[int], stall: float) -> None:
        """Offer these payloads next; between them wait with probability ``stall`` a cycle."""
        self._queue, self._stall, self.taken = payloads, stall, 0

    def drive(self) -> None:
        """Set the inputs of the coming rising edge."""
        if self._offered:
            return
        if self.taken < len(self._queue) and (not self._stall or self._rng.random() >= self._stall):
            self._payload.value = self._queue[self.taken]
            self._valid.value = 1
            self._offered = True
        else:
            self._valid.value = 0

    def sample(self) -> bool:
        """Read what the coming rising edge commits; True where a payload is taken."""
        is_ready = bool(int(self._ready.value))
        taken = is_ready and self._offered
        self.starves = is_ready and not self._offered
        if taken:
            self._offered = False
            self.taken += 1
        return taken

    @property
    def empty(self) -> bool:
        """Everything has been taken."""
        return self.taken == len(self._queue)


class Sink:
    """Takes payloads from a valid/ready port and checks that an offered one does not change before it is taken."""

    def __init__(self, dut: Any, name: str, rng: random.Random) -> None:
        self._name = name
        self._valid = getattr(dut, f"{name}_valid")
        self._ready = getattr(dut, f"{name}_ready")
        self._payload = getattr(dut, f"{name}_payload")
        self._rng = rng
        self._stall = 0.0
        self._is_ready = False
        self._waiting: int | None = None
        self.taken: list[int] = []
        self.blocks = False
        """In the cycle sampled last a payload was offered and not taken."""
        self._ready.value = 0

    def begin(self, stall: float) -> None:
        """Forget what was taken; from now on be unready with probability ``stall`` a cycle."""
        self._stall, self.taken = stall, []

    def drive(self) -> None:
        """Set the inputs of the coming rising edge."""
        ready = not self._stall or self._rng.random() >= self._stall
        if ready != self._is_ready:
            self._ready.value = int(ready)
            self._is_ready = ready

    def sample(self) -> bool:
        """Read what the coming rising edge commits; True where a payload is taken."""
        valid = bool(int(self._valid.value))
        self.blocks = valid and not self._is_ready
        if not valid:
            assert self._waiting is None, f"{self._name}: valid fell before its payload was taken"
            return False
        payload = self._payload.value.to_unsigned()
        assert self._waiting in (None, payload), f"{self._name}: payload changed before it was taken"
        self._waiting = None if self._is_ready else payload
        if self._is_ready:
            self.taken.append(payload)
        return self._is_ready


class StallMonitor:
    """Which frames of a run stalled at the ports of a direction."""

    def __init__(self, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        """Payloads of every frame, in order."""
        self._input_ends, self._output_ends = list(accumulate(inputs)), list(accumulate(outputs))
        self.input_stalls, self.output_stalls = [0] * len(inputs), [0] * len(outputs)

    def sample(self, source: Source, sink: Sink, started: int) -> None:
        """Count the cycle just sampled: ``started`` frames have begun.

        An input stalls where its frame has begun and the codec waits for it, an output where it waits to be taken.
        Nothing moves at a port that stalls: what was taken there ends before the payload that is waited for.
        """
        if source.starves and not source.empty:
            frame = bisect_right(self._input_ends, source.taken)
            if frame < started:
                self.input_stalls[frame] += 1
        if sink.blocks:
            frame = bisect_right(self._output_ends, len(sink.taken))
            if frame < len(self.output_stalls):
                self.output_stalls[frame] += 1


class Direction:
    """Encoder or decoder: its ports, and what goes in and has to come out for every site."""

    def __init__(self, dut: Any, name: str, job: Path, ports: dict[str, Any], rng: random.Random) -> None:
        self.name = name
        self.start = Source(dut, f"{name}_start", rng)
        self.load = Source(dut, f"{name}_load", rng)
        self.source = Source(dut, f"{name}_i", rng)
        self.sink = Sink(dut, f"{name}_o", rng)
        self._counters = getattr(dut, f"{name}_counters")
        self._counter_fields = ports[f"{name}_counters"]["fields"]
        self._last_offset = {
            side: next(f["offset"] for f in ports[f"{name}_{side}_payload"]["fields"] if f["name"] == "last")
            for side in ("i", "o")
        }
        self.image = integers(np.load(job / f"{name}.load.npy"))
        self.inputs: list[list[int]] = []
        self.outputs: list[list[int]] = []
        self.masks: list[list[int]] = []

    def add_site(self, inputs: NDArray[np.uint8], outputs: NDArray[np.uint8], mask: NDArray[np.uint8]) -> None:
        """One more site: payloads in, payloads out, and which of their bits have a meaning."""
        last_in, last_out = (1 << self._last_offset["i"]), (1 << self._last_offset["o"])
        self.inputs.append(mark_last(integers(inputs), last_in))
        self.outputs.append(mark_last(integers(outputs), last_out))
        self.masks.append([m | last_out for m in integers(mask)])

    def drive(self) -> None:
        """Set the inputs of the coming rising edge."""
        for port in (self.start, self.source, self.sink):
            port.drive()

    def counters(self) -> dict[str, int]:
        """The RTL's counters."""
        value = self._counters.value.to_unsigned()
        return {f["name"]: (value >> f["offset"]) & ((1 << f["bits"]) - 1) for f in self._counter_fields}

    def check(self, taken: Sequence[int], sites: Sequence[int], names: Sequence[str]) -> None:
        """Compare what came out with what has to, site by site; names the first payload that differs."""
        place = 0
        for site in sites:
            for index, (expected, mask) in enumerate(zip(self.outputs[site], self.masks[site], strict=True)):
                got, wanted = taken[place] & mask, expected & mask
                assert got == wanted, (
                    f"{self.name}, site {names[site]}, payload {index}: got {got:#x}, expected {wanted:#x}"
                )
                place += 1
        assert place == len(taken), f"{self.name}: {len(taken) - place} payloads too many"


def integers(rows: NDArray[np.uint8]) -> list[int]:
    """Rows of bytes as little-endian integers."""
    return [int.from_bytes(row.tobytes(), "little") for row in rows]


def mark_last(payloads: list[int], bit: int) -> list[int]:
    """Set ``bit`` in the last payload."""
    return [*payloads[:-1], payloads[-1] | bit] if payloads else []


class Bench:
    """Clock, reset, tables and the two directions."""

    def __init__(self, dut: Any) -> None:
        self._dut = dut
        self.folder = Path(os.environ[JOB_VARIABLE])
        self.job = json.loads((self.folder / JOB_FILE).read_text())
        ports = {port["name"]: port for port in json.loads(os.environ["ACTCODEC_COSIM_PORTS"])["ports"]}
        rng = random.Random(self.job["seed"])
        self.names = [site["name"] for site in self.job["sites"]]
        self.frames = read_frames(self.folder, len(self.names))
        self.directions = [Direction(dut, name, self.folder, ports, rng) for name in self.job["directions"]]
        self.observed: list[dict[str, Any]] = []
        """Frames of all runs, with the stalls that their ports saw."""
        for direction in self.directions:
            for frame in self.frames:
                if direction.name == "encoder":
                    direction.add_site(frame.beats, frame.stream, np.full_like(frame.stream, 255))
                else:
                    direction.add_site(frame.stream, frame.decoded, frame.valid.astype(np.uint8) * 255)

    async def reset_and_load(self) -> None:
        """Reset the codec and load the tables of both directions."""
        self._dut.rst.value = 1
        for name in ("start", "load", "i"):
            for direction in self.directions:
                getattr(self._dut, f"{direction.name}_{name}_payload").value = 0
        Clock(self._dut.clk, CLOCK_NS, unit="ns").start()
        for _ in range(RESET_CYCLES):
            await FallingEdge(self._dut.clk)
        self._dut.rst.value = 0
        for direction in self.directions:
            direction.load.begin(direction.image, 0.0)
        while not all(direction.load.empty for direction in self.directions):
            await FallingEdge(self._dut.clk)
            for direction in self.directions:
                direction.load.drive()
            await ReadOnly()
            for direction in self.directions:
                direction.load.sample()
        await FallingEdge(self._dut.clk)
        for direction in self.directions:
            direction.load.drive()

    async def run(self, sites: Sequence[int], input_stall: float = 0, output_stall: float = 0) -> dict[str, int]:
        """Run these sites one after another through every direction; cycles of each from start to last output."""
        expected = {d.name: sum(len(d.outputs[site]) for site in sites) for d in self.directions}
        started: dict[str, int] = {}
        ended: dict[str, int] = {}
        monitors: dict[str, StallMonitor] = {}
        for d in self.directions:
            d.start.begin(list(sites), input_stall)
            d.source.begin([payload for site in sites for payload in d.inputs[site]], input_stall)
            d.sink.begin(output_stall)
            monitors[d.name] = StallMonitor([len(d.inputs[s]) for s in sites], [len(d.outputs[s]) for s in sites])
        # Directions that share their multipliers run one after the other.
        predicted = sum(
            self.job["sites"][site]["encode_cycles"] + self.job["sites"][site]["decode_cycles"] for site in sites
        )
        stall = max(input_stall, output_stall)
        limit = int((predicted + 64 * len(sites)) * (2 + 8 * stall / (1 - stall))) + 1000
        quiet = 0
        for cycle in range(limit):
            await FallingEdge(self._dut.clk)
            for d in self.directions:
                d.drive()
            await ReadOnly()
            for d in self.directions:
                if d.start.sample():
                    started.setdefault(d.name, cycle)
                d.source.sample()
                if d.sink.sample():
                    ended[d.name] = cycle
                    quiet = 0
                monitors[d.name].sample(d.source, d.sink, d.start.taken)
            done = all(
                d.source.empty and d.start.empty and len(d.sink.taken) >= expected[d.name] for d in self.directions
            )
            quiet = quiet + 1 if done else 0
            if quiet > DRAIN_CYCLES:
                break
        else:
            waiting = {d.name: f"{len(d.sink.taken)} of {expected[d.name]}" for d in self.directions}
            raise AssertionError(f"timeout after {limit} cycles in sites {[self.names[s] for s in sites]}: {waiting}")
        for d in self.directions:
            d.check(d.sink.taken, sites, self.names)
            stalls = zip(sites, monitors[d.name].input_stalls, monitors[d.name].output_stalls, strict=True)
            self.observed += [
                {"site": site, "direction": d.name, "input_stalls": inputs, "output_stalls": outputs}
                for site, inputs, outputs in stalls
            ]
        return {name: ended[name] - started[name] + 1 if name in ended else 0 for name in started}

    def write_result(self, content: dict[str, Any]) -> None:
        """Merge ``content`` and the frames observed into the job's result file."""
        path = self.folder / RESULT_FILE
        result = json.loads(path.read_text()) if path.exists() else {"frames": []}
        frames = result["frames"] + self.observed
        path.write_text(json.dumps({**result, **content, "frames": frames}, indent=1))


def port_digest(direction: Direction, frame_mask: NDArray[np.bool_] | None, bytes_each: int) -> str:
    """SHA-256 of the bytes that came out, without the filling of incomplete beats."""
    data = b"".join((p & ((1 << (8 * bytes_each)) - 1)).to_bytes(bytes_each, "little") for p in direction.sink.taken)
    rows = np.frombuffer(data, dtype=np.uint8).reshape(-1, bytes_each)
    return hashlib.sha256((rows if frame_mask is None else rows[frame_mask]).tobytes()).hexdigest()


@cocotb.test(timeout_time=10, timeout_unit="sec")
async def sites_one_by_one(dut: Any) -> None:
    """Every site alone: equality of every word, cycles, counters."""
    bench = Bench(dut)
    await bench.reset_and_load()
    results = []
    for number, name in enumerate(bench.names):
        before = {d.name: d.counters() for d in bench.directions}
        cycles = await bench.run([number])
        after = {d.name: d.counters() for d in bench.directions}
        frame = bench.frames[number]
        entry: dict[str, Any] = {"name": name}
        for d in bench.directions:
            entry[d.name] = {key: after[d.name][key] - before[d.name][key] for key in COUNTER_FIELDS}
            entry[d.name]["cycles"] = cycles[d.name]
            if d.name == "encoder":
                entry[d.name]["digest"] = port_digest(d, None, frame.stream.shape[1])
            else:
                entry[d.name]["digest"] = port_digest(d, frame.valid, frame.valid.shape[1])
            moved = d.sink.taken if d.name == "encoder" else d.inputs[number]
            entry[d.name]["port_words"] = len(moved)
            dut._log.info(
                f"{name} {d.name}: {cycles[d.name]} cycles, {len(moved) / max(1, cycles[d.name]):.3f} words/cycle, "
                f"{entry[d.name]['input_stalls']} input and {entry[d.name]['output_stalls']} output stalls"
            )
        results.append(entry)
    bench.write_result({"sites": results})


@cocotb.test(timeout_time=10, timeout_unit="sec")
async def sites_back_to_back(dut: Any) -> None:
    """All sites without a pause under random stalls of the job's probabilities: equality of every word."""
    bench = Bench(dut)
    await bench.reset_and_load()
    stalls = bench.job["stalls"]
    cycles = await bench.run(range(len(bench.names)), stalls["input"], stalls["output"])
    counters = {d.name: d.counters() for d in bench.directions}
    for name, values in counters.items():
        dut._log.info(
            f"back to back {name}: {cycles[name]} cycles, {values['words'] / max(1, cycles[name]):.3f} words/cycle, "
            f"{values['input_stalls']} input and {values['output_stalls']} output stalls"
        )
    bench.write_result({"stalled_cycles": max(cycles.values())})
