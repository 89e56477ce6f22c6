"""The cocotb tests that run inside the simulator: one job, twice, on the directions that the build has, side by side.

Pass 1, `sites_one_by_one`: every site alone with inputs always valid and outputs always ready; measures cycles.
Pass 2, `sites_back_to_back`: all sites without a pause, with random stalls on every port, or on one side's.
Both report, for every frame, whether a port of its stalled.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly
from numpy.typing import NDArray

from actcodec.golden import beat_integers, last_lanes
from actcodec_sim.cosim.drivers import Fields, Sink, Source, StallMonitor, integers, mark_last
from actcodec_sim.cosim.job import JOB_FILE, JOB_VARIABLE, RESULT_FILE, read_frames

CLOCK_NS = 10
RESET_CYCLES = 4
DRAIN_CYCLES = 16
"""Cycles without an output after the last one that show that nothing is left over."""
COUNTER_FIELDS = ("beats", "words", "payload_bits", "input_stalls", "output_stalls")


class Direction:
    """Encoder or decoder: its ports, and what goes in and has to come out for every site."""

    def __init__(
        self, dut: Any, name: str, job: Path, ports: dict[str, Any], numbers: Sequence[int], rng: random.Random
    ) -> None:
        self.name = name
        self.start = Source(dut, f"{name}_start", rng)
        self.load = Source(dut, f"{name}_load", rng)
        self.source = Source(dut, f"{name}_i", rng)
        self.sink = Sink(dut, f"{name}_o", rng)
        self._counters = getattr(dut, f"{name}_counters")
        self._fields = {port: Fields(ports[f"{name}_{port}"]) for port in ("counters", "errors")}
        self._fields |= {port: Fields(ports[f"{name}_{port}_payload"]) for port in ("i", "o", "start", "load")}
        self._errors, self._done, self._busy = (getattr(dut, f"{name}_{port}") for port in ("errors", "done", "busy"))
        image = integers(np.load(job / f"{name}.load.npy"))
        self._numbers = numbers
        self.image = mark_last(image, self._fields["load"].pack(last=1))
        self.done = 0
        """Frames that have ended."""
        self.inputs: list[list[int]] = []
        self.outputs: list[list[int]] = []
        self.masks: list[list[int]] = []

    def add_site(self, beats: NDArray[Any], words: NDArray[np.uint8], valid: NDArray[np.bool_]) -> None:
        """One more site: beats, of which the ``valid`` lanes hold something, and words, one in, the other out."""
        is_encoder = self.name == "encoder"
        fields, last = (self._fields[port] for port in ("io" if is_encoder else "oi"))
        lanes = [fields.pack(last_lane=int(lane)) for lane in last_lanes(valid)]
        channels = mark_last(
            [beat | lane for beat, lane in zip(beat_integers(beats, fields.bits("data.0")), lanes, strict=True)],
            fields.pack(last=1),
        )
        stream = mark_last(integers(words), last.pack(last=1))
        self.inputs.append(channels if is_encoder else stream)
        self.outputs.append(stream if is_encoder else channels)
        # Of a word all bits have a meaning, of a beat all but the bytes that are no channel.
        filling = [] if is_encoder else integers(np.where(valid, 0, 255).astype(np.uint8))
        self.masks.append([~bits for bits in filling] if filling else [-1] * len(stream))

    def drive(self) -> None:
        """Set the inputs of the coming rising edge."""
        for port in (self.start, self.source, self.sink):
            port.drive()

    def counters(self) -> dict[str, int]:
        """The RTL's counters."""
        return self._fields["counters"].unpack(self._counters.value.to_unsigned())

    def begin(self, sites: Sequence[int], input_stall: float, output_stall: float) -> None:
        """Ask for these sites one after another, and offer their inputs."""
        self.start.begin([self._fields["start"].pack(site=self._numbers[site]) for site in sites], input_stall)
        self.source.begin([payload for site in sites for payload in self.inputs[site]], input_stall)
        self.sink.begin(output_stall)
        self.done = 0

    def sample_status(self) -> None:
        """Count the frames that end; an error of any kind fails the test."""
        errors = self._fields["errors"].unpack(self._errors.value.to_unsigned())
        raised = [error for error, is_raised in errors.items() if is_raised]
        assert not raised, f"{self.name}: {raised}"
        self.done += int(self._done.value)

    @property
    def busy(self) -> bool:
        """A frame is under way."""
        return bool(int(self._busy.value))

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


class Bench:
    """Clock, reset, tables and the two directions."""

    def __init__(self, dut: Any) -> None:
        self._dut = dut
        self.folder = Path(os.environ[JOB_VARIABLE])
        self.job = json.loads((self.folder / JOB_FILE).read_text())
        ports = {port["name"]: port for port in json.loads(os.environ["ACTCODEC_COSIM_PORTS"])["ports"]}
        rng = random.Random(self.job["seed"])
        self.names = [site["name"] for site in self.job["sites"]]
        self.numbers: list[int] = [site["number"] for site in self.job["sites"]]
        self.frames = read_frames(self.folder, len(self.names))
        self.directions = [
            Direction(dut, name, self.folder, ports, self.numbers, rng) for name in self.job["directions"]
        ]
        self.observed: list[dict[str, Any]] = []
        """Frames of all runs, with the stalls that their ports saw."""
        for direction in self.directions:
            for frame in self.frames:
                if direction.name == "encoder":
                    direction.add_site(frame.beats, frame.stream, frame.given)
                else:
                    direction.add_site(frame.decoded, frame.stream, frame.valid)

    async def reset_and_load(self) -> None:
        """Reset the codec and load the tables of both directions."""
        self._dut.rst.value = 1
        for name in ("start", "load", "i"):
            for direction in self.directions:
                getattr(self._dut, f"{direction.name}_{name}_payload").value = 0
        for direction in self.directions:
            getattr(self._dut, f"{direction.name}_clear").value = 0
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
            d.begin(sites, input_stall, output_stall)
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
                d.sample_status()
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
            assert d.done == len(sites) and not d.busy, f"{d.name}: {d.done} of {len(sites)} frames done, busy {d.busy}"
            stalls = zip(sites, monitors[d.name].input_stalls, monitors[d.name].output_stalls, strict=True)
            self.observed += [
                {"site": self.numbers[site], "direction": d.name, "input_stalls": inputs, "output_stalls": outputs}
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
