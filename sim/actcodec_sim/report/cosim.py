"""The part of a report that co-simulation fills in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actcodec.errors import ActcodecError
from actcodec.files import read_json


@dataclass(frozen=True)
class CosimRow:
    """One site run through the RTL: measured and predicted cycles, and whether its results equal the golden model's."""

    site: str
    simulator: str
    encode_cycles: int
    encode_predicted: int
    decode_cycles: int
    decode_predicted: int
    stream_equal: bool
    tensor_equal: bool

    @property
    def agrees(self) -> bool:
        """Everything measured is as predicted."""
        return (
            self.stream_equal
            and self.tensor_equal
            and self.encode_cycles == self.encode_predicted
            and self.decode_cycles == self.decode_predicted
        )


def cosim_rows(results: Iterable[dict[str, Any]]) -> list[CosimRow]:
    """Rows of co-simulation results as `CosimResult.as_json` gives them, one a site and simulator."""
    return [
        CosimRow(
            site=site["name"],
            simulator=result["simulator"],
            encode_cycles=site["encoder"]["cycles"],
            encode_predicted=site["encoder"]["cycles_formula"],
            decode_cycles=site["decoder"]["cycles"],
            decode_predicted=site["decoder"]["cycles_formula"],
            stream_equal=site["encoder"]["digest"] == site["encoder"]["digest_golden"],
            tensor_equal=site["decoder"]["digest"] == site["decoder"]["digest_golden"],
        )
        for result in results
        for site in result["sites"]
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
