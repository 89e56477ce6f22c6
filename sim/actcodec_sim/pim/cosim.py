"""One co-simulation of the macro: job, build, run, result."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from actcodec.files import atomic_directory, read_json
from actcodec.pim.cycles import vector_cycles
from actcodec.pim.params import PimParams
from actcodec_rtl.generate import PORTS_FILE
from actcodec_rtl.pim.generate import generate_pim, generator_digest
from actcodec_sim.cosim.builds import locked
from actcodec_sim.cosim.simulators import Simulator, build, run
from actcodec_sim.pim.batch import Batch, mode_fields

JOB_FILE = "job.json"
RESULT_FILE = "result.json"
JOB_VARIABLE = "ACTCODEC_PIM_JOB"
PORTS_VARIABLE = "ACTCODEC_PIM_PORTS"
TESTBENCH = "actcodec_sim.pim.testbench"
START_SECONDS = 120
SLOWEST_CYCLES_PER_SECOND = 50


@dataclass(frozen=True)
class BatchResult:
    """A batch in one simulator: cycles from its first word to its last result without stalls, and what came out."""

    mode: str
    vectors: int
    cycles: int
    cycles_formula: int
    taken: tuple[int, ...]
    """Payloads of the result stream, without ``last``."""


@dataclass(frozen=True)
class PimCosimResult:
    """What a co-simulation measured; every word was equal to the golden model's, with and without stalls."""

    simulator: Simulator
    batches: tuple[BatchResult, ...]
    stalled_cycles: int
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """The counts, without the words."""
        batches = [{name: value for name, value in asdict(batch).items() if name != "taken"} for batch in self.batches]
        return {
            "simulator": self.simulator,
            "stalled_cycles": self.stalled_cycles,
            "batches": batches,
            "seconds": self.seconds,
        }


def cosimulate_pim(
    params: PimParams,
    batches: Sequence[Batch],
    simulator: Simulator,
    cache: Path,
    job: Path,
    *,
    seed: int = 0,
    stall: float = 0.3,
    output_stall: float = 0.3,
) -> PimCosimResult:
    """Run batches through the exported RTL and compare every word with the golden model: one by one, then stalled.

    ``cache`` keeps RTL and builds (named by content); ``job`` gets inputs, log and raw result. ``stall`` is the
    probability of a stall a cycle of each input in the second pass, ``output_stall`` that of the results.
    Raises ActcodecError where a word or the number of cycles differs, something is X, a batch does not end in time, or
    the build fails.
    """
    begin = time.monotonic()
    cache, job = cache.resolve(), job.resolve()
    name = f"pim-{params.rows}x{params.columns}-{generator_digest(params)[:16]}"
    with locked(name, cache) as rtl:
        generate_pim(params, rtl)
        folder = build(simulator, rtl, cache)
    formulas = [vector_cycles(params, batch.mode, len(batch.vectors)) for batch in batches]
    with atomic_directory(job) as empty:
        content = [_as_json(params, batch, cycles) for batch, cycles in zip(batches, formulas, strict=True)]
        stalls = {"input": stall, "output": output_stall}
        (empty / JOB_FILE).write_text(json.dumps({"seed": seed, "stalls": stalls, "batches": content}))
    variables = {JOB_VARIABLE: str(job), PORTS_VARIABLE: (rtl / PORTS_FILE).read_text()}
    cycles = sum(formulas) + params.rows * len(batches)
    limit_s = START_SECONDS + int(8 * cycles / (1 - max(stall, output_stall))) // SLOWEST_CYCLES_PER_SECOND
    run(simulator, rtl, folder, job, variables, limit_s=limit_s, testbench=TESTBENCH)
    measured = read_json(job / RESULT_FILE)
    results = tuple(
        BatchResult(
            batch.mode.name,
            len(batch.vectors),
            entry["cycles"],
            formula,
            tuple(int(beat, 16) for beat in entry["taken"]),
        )
        for batch, formula, entry in zip(batches, formulas, measured["batches"], strict=True)
    )
    return PimCosimResult(simulator, results, measured["stalled_cycles"], time.monotonic() - begin)


def _as_json(params: PimParams, batch: Batch, cycles: int) -> dict[str, Any]:
    """A batch as the testbench reads it; integers wider than JSON's in hexadecimal."""
    return {
        "name": batch.mode.name,
        "mode": mode_fields(batch.mode),
        "rows": [f"{row:x}" for row in batch.rows(params)],
        "vectors": [[f"{word:x}" for word in vector] for vector in batch.words(params)],
        "beats": [f"{beat:x}" for beat in batch.beats(params)],
        "beats_each": params.beats,
        "cycles": cycles,
    }
