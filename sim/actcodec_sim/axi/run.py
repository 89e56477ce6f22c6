"""One simulation of the shell: job, build, run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from actcodec.files import atomic_directory
from actcodec.golden import Input
from actcodec.params import CodecParams
from actcodec.tables import Tables
from actcodec.tables.cycles import decode_cycles, encode_cycles
from actcodec.tables.descriptors import Tiling
from actcodec_rtl.generate import AXI_PORTS_FILE, REGISTERS_FILE
from actcodec_sim.axi.cases import JOB_VARIABLE, REGISTERS_VARIABLE
from actcodec_sim.axi.job import write_job
from actcodec_sim.cosim.builds import kept_build
from actcodec_sim.cosim.simulators import Simulator, run

TESTBENCH = "actcodec_sim.axi.testbench"
START_SECONDS = 240
SLOWEST_CYCLES_PER_SECOND = 50


def simulate_axi(
    tables: Tables,
    activations: Mapping[str, Input],
    simulator: Simulator,
    cache: Path,
    job: Path,
    *,
    build_params: CodecParams | None = None,
    seed: int = 0,
    pause: float = 0.3,
    sites: Sequence[int] | None = None,
    tiling: Tiling | None = None,
    tests: str | None = None,
) -> None:
    """Run the shell's tests on one image of ``sites`` (numbers; None: all).

    ``build_params`` are those of the RTL where they are not the tables' own: a codec of one direction, say.
    ``activations[name]`` is uint8 (H, W, C), of a folded site the accumulators int32 (H, W, K).
    ``pause`` is the probability of a pause a cycle of each of the five streams; with ``tiling`` all tiles of these
    sites are decoded as windows, too; ``tests`` is a regular expression of their names. ``cache`` keeps RTL and builds,
    ``job`` gets inputs and log. Raises ActcodecError where anything differs from the golden model or a check fails.
    """
    params = build_params or tables.params
    numbers = list(range(len(tables.sites))) if sites is None else list(sites)
    with atomic_directory(job) as empty:
        write_job(empty, tables, activations, params.directions, seed, pause, numbers, tiling)
    cycles = sum(encode_cycles(tables.sites[n]) + decode_cycles(tables.sites[n]) for n in numbers)
    limit_s = START_SECONDS + int(8 * cycles / (1 - pause)) // SLOWEST_CYCLES_PER_SECOND
    run_job(params, simulator, cache, job, limit_s, tests)


def run_job(
    params: CodecParams, simulator: Simulator, cache: Path, job: Path, limit_s: int, tests: str | None = None
) -> None:
    """Run a job that `write_job` has written on the shell of these parameters; see `simulate_axi`."""
    cache, job = cache.resolve(), job.resolve()
    rtl, folder = kept_build(params, simulator, cache, ports_file=AXI_PORTS_FILE)
    variables = {JOB_VARIABLE: str(job), REGISTERS_VARIABLE: str(rtl / REGISTERS_FILE)}
    if tests:
        variables["COCOTB_TEST_FILTER"] = tests
    run(simulator, rtl, folder, job, variables, limit_s=limit_s, ports_file=AXI_PORTS_FILE, testbench=TESTBENCH)
