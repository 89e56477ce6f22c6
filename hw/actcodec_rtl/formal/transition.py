"""A bench as a transition system in SMT-LIB: what the solver reads."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from amaranth.back import rtlil  # type: ignore[attr-defined]  # the stubs leave it out

from actcodec.errors import ActcodecError
from actcodec_rtl.formal.bench import Bench, SolverExport

TOP = "bench"
_COMMANDS = (
    f"hierarchy -check -top {TOP}",
    "proc -norom",
    "flatten",
    "opt_clean",
    "chformal -lower",
    "async2sync",
    "dffunmap",
    "check -assert",
)
_YOSYS = "import sys; from pyosys import libyosys; libyosys.run_pass('script ' + sys.argv[1], libyosys.Design())"


@dataclass(frozen=True)
class Transition:
    """SMT-LIB definitions over the states (one bit vector each) of a bench, as Yosys' ``write_smt2 -stbv`` names them.

    ``bench_t`` is true of a state and its next, ``bench_u`` where every rule is kept, ``bench_a`` where every claim
    holds; ``bench_n NAME`` is the value of a signal.
    """

    definitions: str

    @property
    def state_bits(self) -> int:
        """Bits of the registers."""
        return sum(map(int, re.findall(r"^; yosys-smt2-register \S+ (\d+)", self.definitions, re.MULTILINE)))

    @property
    def clocked(self) -> bool:
        """Whether there are registers."""
        return self.state_bits > 0


def rtlil_of(bench: Bench) -> str:
    """The bench as RTLIL, top module ``bench``."""
    return str(rtlil.convert(bench, name=TOP, platform=SolverExport(), ports=bench.ports, emit_src=False))


def transition_of(bench: Bench) -> Transition:
    """Flatten the bench and write it as SMT-LIB.

    Raises ActcodecError with Yosys' message where it fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, target, script = (Path(folder) / name for name in ("bench.il", "bench.smt2", "bench.ys"))
        source.write_text(rtlil_of(bench))
        lines = [f"read_rtlil {source.name}", *_COMMANDS, f"write_smt2 -stbv -wires {target.name}"]
        script.write_text("".join(f"{line}\n" for line in lines))
        # A process of its own: Yosys ends the process that it runs in where it fails.
        result = subprocess.run(
            [sys.executable, "-c", _YOSYS, script.name], cwd=folder, capture_output=True, text=True, check=False
        )
        if result.returncode or not target.is_file():
            output = (result.stdout + result.stderr).splitlines()
            last = [line for line in output if "ERROR" in line] or output or ["no message"]
            raise ActcodecError("yosys", f"could not write SMT-LIB: {last[-1].strip()}")
        return Transition(target.read_text())
