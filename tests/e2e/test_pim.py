"""Verbs of the process-in-memory macro."""

import json
from pathlib import Path

import pytest

from e2e.conftest import Cli


def test_rtl_writes_what_lint_passes(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "rtl"
    result = cli("pim", "rtl", "--array", "tiny", "--out", out, "--lint", "--json")
    assert result.returncode == 0, result.stderr
    content = json.loads(result.stdout)
    assert content["generated"] and content["pim"] == {"rows": 16, "columns": 16, "trees": 1}
    assert all((out / name).is_file() for name in content["files"])
    again = cli("pim", "rtl", "--array", "tiny", "--out", out)
    assert "up to date" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("rtl", "--array", "huge"), "no such pim configuration; known: default, tiny, wide"),
        (("cosim", "--weight-bits", 3), "weight_bits = 3 is none of 2, 4, 8, 16"),
        (("energy", "--layer", "layer1.0.conv1"), "does not fill an array of 64 × 32"),
    ],
)
def test_bad_input_is_one_line(cli: Cli, arguments: tuple[object, ...], problem: str, tmp_path: Path) -> None:
    result = cli("pim", *arguments, "--out", tmp_path / "out")
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert result.returncode == 2 and len(lines) == 1 and lines[0].startswith("error: ") and problem in lines[0], lines
    assert not (tmp_path / "out").exists()
