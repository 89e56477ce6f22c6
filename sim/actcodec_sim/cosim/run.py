"""One co-simulation: job, build, run, result."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from actcodec.files import atomic_directory, read_json, write_json
from actcodec.golden import Input
from actcodec.params import CodecParams, Direction
from actcodec.tables import SiteTable, Tables, digest_of
from actcodec_rtl.generate import PORTS_FILE
from actcodec_sim.cosim.builds import kept_build
from actcodec_sim.cosim.coverage import COVERAGE_FILE, ObservedFrame, collect
from actcodec_sim.cosim.job import JOB_FILE, JOB_VARIABLE, RESULT_FILE, Stalls, write_job
from actcodec_sim.cosim.mishaps import scenario
from actcodec_sim.cosim.result import CosimResult, DirectionResult, SiteResult
from actcodec_sim.cosim.simulators import Simulator, run

DEFAULT_STALL = 0.3
"""Probability of a stall a cycle and port in the second pass."""

START_SECONDS = 600
"""What a machine with more simulations than cores may take to start one."""
PHASE_CYCLES = 1000
"""Cycles of a phase of mishaps, on an average."""
SLOWEST_CYCLES_PER_SECOND = 100
"""What a busy machine may fall to before a simulation counts as hung."""


def cosimulate(
    tables: Tables,
    activations: Mapping[str, Input],
    simulator: Simulator,
    cache: Path,
    job: Path,
    *,
    build_params: CodecParams | None = None,
    seed: int = 0,
    stall: float = DEFAULT_STALL,
    output_stall: float | None = None,
    waves: bool = False,
    only: Sequence[str] = (),
) -> CosimResult:
    """Run one image of every site, or of those that ``only`` names, through the RTL and compare every word.

    ``activations[name]`` is uint8 (H, W, C), of a folded site the accumulators int32 (H, W, K).
    ``build_params`` are those of the RTL where they are not the tables' own: a codec of one direction, say. ``cache``
    keeps RTL and builds (named by content); ``job`` gets the inputs, log, waveform, raw result and coverage.
    ``stall`` is the probability of a stall a cycle and port in the second pass, ``output_stall`` that of the outputs
    where it is another one.
    Raises ActcodecError where a word differs, something is X, a site does not end in time, or the build fails.
    """
    begin = time.monotonic()
    # The simulators run in folders of their own.
    cache, job = cache.resolve(), job.resolve()
    params = build_params or tables.params
    rtl, folder = kept_build(params, simulator, cache, waves)
    with atomic_directory(job) as empty:
        stalls = Stalls(stall, stall if output_stall is None else output_stall)
        write_job(empty, tables, activations, params.directions, seed, stalls, only)
    variables = _variables(rtl, job)
    asked = read_json(job / JOB_FILE)
    longest = sum(entry["encode_cycles"] + entry["decode_cycles"] for entry in asked["sites"])
    limit_s = START_SECONDS + longest // SLOWEST_CYCLES_PER_SECOND
    run(simulator, rtl, folder, job, variables, limit_s=limit_s, waves=waves)
    measured = read_json(job / RESULT_FILE)
    frames = [ObservedFrame(**frame) for frame in measured["frames"]]
    write_json(job / COVERAGE_FILE, collect(tables, frames, simulator).as_json())
    sites = [
        _site_result(tables, tables.sites[golden["number"]], params.directions, entry, golden)
        for entry, golden in zip(measured["sites"], asked["sites"], strict=True)
    ]
    return CosimResult(
        simulator, digest_of(tables), tuple(sites), measured["stalled_cycles"], seed, time.monotonic() - begin
    )


def withstand(
    tables: Tables, simulator: Simulator, cache: Path, job: Path, *, seed: int, phases: int, waves: bool = False
) -> None:
    """Run a scenario of mishaps (`actcodec_sim.cosim.mishaps`) on encoder and decoder of the RTL.

    Raises ActcodecError where an output, a flag or the end of a frame is not as it has to be, something is X, or the
    build fails.
    """
    cache, job = cache.resolve(), job.resolve()
    rtl, folder = kept_build(tables.params, simulator, cache, waves)
    made = [phase.as_json() for phase in scenario(tables, seed, phases)]
    with atomic_directory(job) as empty:
        (empty / JOB_FILE).write_text(json.dumps({"seed": seed, "phases": made}))
    variables = _variables(rtl, job)
    limit_s = START_SECONDS + phases * PHASE_CYCLES // SLOWEST_CYCLES_PER_SECOND
    run(simulator, rtl, folder, job, variables, limit_s=limit_s, waves=waves, testbench="actcodec_sim.cosim.robustness")


def _variables(rtl: Path, job: Path) -> dict[str, str]:
    return {JOB_VARIABLE: str(job), "ACTCODEC_COSIM_PORTS": (rtl / PORTS_FILE).read_text()}


def _site_result(
    tables: Tables, site: SiteTable, directions: Sequence[Direction], entry: dict[str, Any], golden: dict[str, Any]
) -> SiteResult:
    word_bytes = tables.params.word_bytes
    predicted = {
        "encoder": (golden["encode_cycles"], golden["stream_digest"]),
        "decoder": (golden["decode_cycles"], golden["tensor_digest"]),
    }
    results = {
        name: DirectionResult(**entry[name], cycles_formula=predicted[name][0], digest_golden=predicted[name][1])
        for name in directions
    }
    words = results[directions[0]].words
    return SiteResult(
        site.info.name,
        results.get("encoder"),
        results.get("decoder"),
        words * word_bytes,
        transactions_of_words(words, word_bytes, tables.transaction_bytes),
    )


def transactions_of_words(words: int, word_bytes: int, transaction: int) -> int:
    """Bytes that the DRAM moves for ``words`` bus words written one after another from an aligned address.

    Counted from the addresses: a transaction all of whose bytes are written costs one write, one that is
    written in part is read first. A word wider than a transaction fills several.
    """
    if not words:
        return 0
    first_byte = np.arange(words, dtype=np.int64) * word_bytes
    touched = np.zeros(-(-words * word_bytes // transaction), dtype=np.int64)
    piece = min(word_bytes, transaction)
    for offset in range(0, word_bytes, piece):
        np.add.at(touched, (first_byte + offset) // transaction, piece)
    partial = int((touched < transaction).sum())
    return (len(touched) + partial) * transaction
