"""The part of a report that co-simulation fills in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actcodec.errors import ActcodecError
from actcodec.files import read_json
from actcodec.params import DIRECTIONS, Direction


@dataclass(frozen=True)
class CosimRow:
    """One site run through one direction of the RTL: cycles measured and predicted.

    ``equal``: its stream (encoder) or tensor (decoder) is the golden model's.
    """

    site: str
    simulator: str
    direction: Direction
    cycles: int
    predicted: int
    equal: bool

    @property
    def agrees(self) -> bool:
        """Everything measured is as predicted."""
        return self.equal and self.cycles == self.predicted


def cosim_rows(results: Iterable[dict[str, Any]]) -> list[CosimRow]:
    """Rows of co-simulation results as `CosimResult.as_json` gives them, one a site, simulator and direction."""
    return [
        CosimRow(
            site=site["name"],
            simulator=result["simulator"],
            direction=direction,
            cycles=site[direction]["cycles"],
            predicted=site[direction]["cycles_formula"],
            equal=site[direction]["digest"] == site[direction]["digest_golden"],
        )
        for result in results
        for site in result["sites"]
        for direction in DIRECTIONS
        if site[direction] is not None
    ]


def load_cosim_rows(path: Path, tables_digest: str) -> list[CosimRow]:
    """Rows of a result that `actcodec cosim` wrote.

    Raises ActcodecError where the file is no such result, or was made with other tables.
    """
    content = read_json(path)
    try:
        rows, made_with = cosim_rows([content]), content["tables_digest"]
    except (KeyError, TypeError) as error:
        raise ActcodecError(
            path, f"is not a co-simulation result: {error!r} is missing or of the wrong kind"
        ) from error
    if made_with != tables_digest:
        raise ActcodecError(path, f"tables_digest = {str(made_with)[:16]}… is not that of the tables")
    return rows
