"""Running Yosys: the PyPI package pyosys, native, with the slang front end and ABC inside."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from actcodec.errors import ActcodecError

_SCRIPT = "script.ys"
# A process of its own: libyosys ends the process that an error happens in.
_RUN = f"from pyosys import libyosys; libyosys.run_pass('script {_SCRIPT}')"
_EXTRA = (
    "is not installed; run `make synth`, or install the extra: pip install --constraint constraints.txt -e '.[synth]'"
)


def require(package: str) -> None:
    """Raise ActcodecError that says how to install the Python package ``package`` where it is missing."""
    if importlib.util.find_spec(package) is None:
        raise ActcodecError(package, _EXTRA)


def error_of(outputs: str, directory: Path) -> str | None:
    """The first error that a tool's ``outputs`` report, as ``file:line: problem``; None without one.

    A file's name, relative to ``directory`` where the tool ran, is made relative to the folder that we are in. The
    error of a failed check only counts what the warnings say, so the first warning comes with it.
    """
    warnings = [line.partition("Warning: ")[2] for line in outputs.splitlines() if line.startswith("Warning: ")]
    for line in outputs.splitlines():
        where, mark, problem = line.partition("ERROR: ")
        if mark and "check -assert" in problem and warnings:
            return f"{problem} {warnings[0]}"
        if mark:
            place = re.fullmatch(r"(.+):(\d+): ", where)
            return f"{os.path.relpath(directory / place[1])}:{place[2]}: {problem}" if place else problem
    return None


def run_yosys(script: Iterable[str], directory: Path) -> str:
    """Run the commands ``script`` in ``directory`` and return the log.

    Raises ActcodecError with Yosys' first error line.
    """
    require("pyosys")
    (directory / _SCRIPT).write_text("".join(f"{command}\n" for command in script))
    result = subprocess.run(
        [sys.executable, "-c", _RUN], cwd=directory, capture_output=True, text=True, errors="replace", check=False
    )
    if result.returncode:
        problem = error_of(result.stdout + result.stderr, directory) or f"ended with status {result.returncode}"
        raise ActcodecError("yosys", problem)
    return result.stdout
