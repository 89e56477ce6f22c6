"""The embedded network learned once for all end-to-end tests, and the command line as a function."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def cli() -> Cli:
    """Run ``python -m actcodec`` with these arguments, one thread, without a terminal."""

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "actcodec", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
            env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "160", **environment},
        )

    return run


RECIPE = """\
method = "test"
transform = "pca"
calibration_images = 200
selection_images = 100
positions = 2048
"""


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe small enough for a test: projection, no fine-tuning."""
    path = tmp_path_factory.mktemp("recipe") / "quick.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="session")
def mnist_plan(cli: Cli, recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Plan of the embedded network at 2 bits a value."""
    out = tmp_path_factory.mktemp("mnist") / "plan"
    result = cli("learn", "--target-bits", 2, "--recipe", recipe, "--out", out)
    assert result.returncode == 0, result.stderr
    return out


@pytest.fixture(scope="session")
def mnist_tables(cli: Cli, mnist_plan: Path) -> Path:
    """Tables of that plan."""
    out = mnist_plan.parent / "tables"
    result = cli("export", "--plan", mnist_plan, "--out", out)
    assert result.returncode == 0, result.stderr
    return out
