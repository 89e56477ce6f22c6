"""The parameters of one process-in-memory macro and its modes: what golden model and RTL take their widths from."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from actcodec.configs import find_config
from actcodec.errors import ActcodecError
from actcodec.files import read_bytes
from actcodec.params import validation_problem

Width = Literal[2, 4, 8, 16]
WIDTHS: tuple[Width, ...] = get_args(Width)
"""Bits of a weight, and of an input; each operand has its own."""
MAX_WIDTH = max(WIDTHS)
SEGMENT = MAX_WIDTH
"""Columns that one shift-add tree combines: those of one weight of the widest kind, or of several narrower ones."""


@dataclass(frozen=True)
class PimMode:
    """How one input vector is multiplied: bits and sign of the weights, and of the inputs.

    Signed codes are in two's complement.
    """

    weight_bits: Width
    input_bits: Width
    weight_signed: bool = True
    input_signed: bool = False

    def __post_init__(self) -> None:
        for name in ("weight_bits", "input_bits"):
            if getattr(self, name) not in WIDTHS:
                raise ActcodecError(
                    "PIM mode", f"{name} = {getattr(self, name)} is none of {', '.join(map(str, WIDTHS))}"
                )

    @property
    def name(self) -> str:
        """Short, for tables: ``s4xu8`` multiplies signed 4-bit weights by unsigned 8-bit inputs."""
        signs = {True: "s", False: "u"}
        return f"{signs[self.weight_signed]}{self.weight_bits}x{signs[self.input_signed]}{self.input_bits}"


def bits_of_count(count: int) -> int:
    """Bits of the unsigned numbers 0…count."""
    return count.bit_length()


class PimParams(BaseModel):
    """Parameters of a process-in-memory macro: cells of one bit, ``rows`` inputs and ``columns`` weight bits.

    A weight of w bits is sliced over w adjacent columns, least significant first, so that the array computes
    columns / w outputs of an input vector at once. ``trees`` segments of `SEGMENT` columns leave the array a cycle.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = Field(default=64, ge=SEGMENT, le=1024)
    columns: int = Field(default=64, ge=SEGMENT, le=1024)
    trees: int = Field(default=1, ge=1, le=64)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in ("rows", "columns"):
            if getattr(self, name) % SEGMENT:
                raise ValueError(f"{name} = {getattr(self, name)} is not a multiple of {SEGMENT}")
        if self.segments % self.trees:
            raise ValueError(
                f"trees = {self.trees} do not divide the {self.segments} segments of columns = {self.columns}"
            )
        return self

    def as_json(self) -> dict[str, Any]:
        """The parameters as JSON values."""
        return self.model_dump(mode="json")

    @property
    def segments(self) -> int:
        """Groups of `SEGMENT` columns."""
        return self.columns // SEGMENT

    @property
    def beats(self) -> int:
        """Beats of the results of one input vector."""
        return self.segments // self.trees

    @property
    def word_bits(self) -> int:
        """Bits of a word of the input stream: a vector of b-bit codes takes b words, as many as it has bit slices."""
        return self.rows

    @property
    def count_bits(self) -> int:
        """Bits of what a column counts in a cycle (unsigned)."""
        return bits_of_count(self.rows)

    @property
    def column_bits(self) -> int:
        """Bits of a column's accumulator (signed): a count weighted by inputs of any width and sign."""
        return self.count_bits + MAX_WIDTH + 1

    def result_bits(self, weight_bits: int) -> int:
        """Bits of an output (signed) of weights of ``weight_bits``, for inputs of any width and either sign."""
        return self.column_bits + weight_bits

    def outputs(self, weight_bits: int) -> int:
        """Outputs that the array computes at once."""
        return self.columns // weight_bits

    def codes_per_word(self, input_bits: int) -> int:
        """Inputs in a word of the input stream."""
        return self.word_bits // input_bits


def load_pim_params(source: str | Path) -> PimParams:
    """Read a configuration of the macro: a TOML file, or the name of one in configs/pim.

    Raises ActcodecError for a missing file, bad TOML, an unknown field or an impossible combination.
    """
    path = find_config("pim", source)
    try:
        return PimParams.model_validate(tomllib.loads(read_bytes(path).decode()))
    except ValidationError as error:
        raise ActcodecError(path, validation_problem(error)) from error
    except (ValueError, RecursionError) as error:
        raise ActcodecError(path, f"is not TOML: {error}") from error
