"""What all tables are made with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"

Tables = dict[str, Callable[[], str]]
"""By the name of the markers."""


def load(name: str) -> Any:
    """The content of a file of results."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def markdown(header: str, rows: list[list[str]]) -> str:
    """A table; ``header`` names the columns, a|b|c."""
    columns = header.split("|")
    lines = [header, "|".join(["---"] + ["---:"] * (len(columns) - 1)), *("|".join(row) for row in rows)]
    return "\n".join(f"| {' | '.join(cell.strip() for cell in line.split('|'))} |" for line in lines)
