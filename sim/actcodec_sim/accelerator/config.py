"""An accelerator as a TOML file describes it: array, clock, words, memories, schedule."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from actcodec.configs import find_config
from actcodec.errors import ActcodecError
from actcodec.files import read_bytes
from actcodec.params import validation_problem

Dataflow = Literal["weight-stationary", "output-stationary", "channel-parallel", "row-stationary"]
LoopOrder = Literal["rows-outer", "channels-outer"]
LOOP_ORDERS: tuple[LoopOrder, ...] = get_args(LoopOrder)
Use = Literal["inputs", "weights", "outputs"]
USES: tuple[Use, ...] = get_args(Use)
"""What a memory may hold: windows of the inputs, weights, and outputs (staged, fused in between, or kept on chip)."""


class _Section(BaseModel):
    """A part of the file: no unknown field, no conversion from another type, never changed after loading."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    source: Annotated[str, Field(min_length=1)]


class Array(_Section):
    """``rows`` × ``columns`` multipliers; what they do in a cycle is the ``dataflow`` (`compute`).

    ``accumulators``: sums that each column of a weight-stationary array holds; None: any number.
    ``depthwise``: ``grouped`` computes one group after another, ``per-column`` one in each column.
    """

    rows: Annotated[int, Field(ge=1, le=4096)]
    columns: Annotated[int, Field(ge=1, le=4096)]
    dataflow: Dataflow
    accumulators: Annotated[int, Field(ge=1)] | None = None
    depthwise: Literal["grouped", "per-column"] = "grouped"


class Clock(_Section):
    """``mhz`` of the array and, where ``codec_mhz`` is not given, of the codec."""

    mhz: Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)]
    codec_mhz: Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)] | None = None


class Words(_Section):
    """Bits that a value takes in the memories on the chip; off the chip it is a byte, or coded."""

    activation_bits: Annotated[int, Field(ge=8, le=64)]
    weight_bits: Annotated[int, Field(ge=8, le=64)]


class Memory(_Section):
    """A memory on the chip and what it ``holds``, all of it from the same ``bytes``."""

    name: Annotated[str, Field(min_length=1)]
    bytes: Annotated[int, Field(ge=1, le=1 << 50)]
    holds: Annotated[tuple[Use, ...], Field(min_length=1, strict=False)]


class Schedule(_Section):
    """How layers are run.

    ``loop_order``          ``rows-outer``: stripe by stripe, all output channels; ``channels-outer``: a part of the
                            output channels over all stripes, then the next; ``best``: the better one for each layer
    ``double_buffering``    a tile is loaded and the one before written while one is computed
    ``keep_halo``           rows that the next stripe needs again stay in the buffer
    ``residency``           tensors that may stay on the chip from their layer to their last reader: ``none``; those
                            that some layer reads as ``shortcuts``; ``any``
    ``fuse_inverted_residuals``  1×1, depthwise, 1×1 may run stripe by stripe, depth first
    ``decode``              ``once``: what the first reader decoded may be kept for the others; ``per-reader``
    ``byte_slack``          share of bytes that a tiling may move above the least, to be faster
    """

    loop_order: Literal["best", "rows-outer", "channels-outer"] = "best"
    double_buffering: bool = True
    keep_halo: bool = True
    residency: Literal["none", "shortcuts", "any"] = "none"
    fuse_inverted_residuals: bool = False
    decode: Literal["once", "per-reader"] = "per-reader"
    byte_slack: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.02

    @property
    def loop_orders(self) -> tuple[LoopOrder, ...]:
        """The orders to choose from."""
        return LOOP_ORDERS if self.loop_order == "best" else (self.loop_order,)


class Accelerator(BaseModel):
    """An accelerator: its five groups of figures, each with its source."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1)]
    array: Array
    clock: Clock
    words: Words
    memory: Annotated[tuple[Memory, ...], Field(min_length=1, strict=False)]
    schedule: Schedule

    @model_validator(mode="after")
    def _check(self) -> Self:
        held = [use for memory in self.memory for use in memory.holds]
        for use in USES:
            if held.count(use) != 1:
                raise ValueError(f"memory: {held.count(use)} memories hold {use!r}, exactly one expected")
        if self.array.accumulators is not None and self.array.dataflow != "weight-stationary":
            raise ValueError(f"array.accumulators: a {self.array.dataflow} array has none")
        return self

    def memory_of(self, use: Use) -> int:
        """Number of the memory that holds ``use``."""
        return next(number for number, memory in enumerate(self.memory) if use in memory.holds)

    @property
    def codec_mhz(self) -> float:
        """Clock of the codec."""
        return self.clock.mhz if self.clock.codec_mhz is None else self.clock.codec_mhz

    @property
    def channels_at_once(self) -> int:
        """Output channels of a position that the array finishes together; more than that have to be staged."""
        return 1 if self.array.dataflow == "row-stationary" else self.array.columns


def load_accelerator(source: str | Path) -> Accelerator:
    """Load a description: a TOML file, or the name of one in configs/accelerator.

    Raises ActcodecError naming the file, the field and its value where the file is missing, is not TOML, lacks a field,
    has an unknown one, or holds a value out of range.
    """
    path = find_config("accelerator", source)
    try:
        content: dict[str, Any] = tomllib.loads(read_bytes(path).decode())
    except (ValueError, RecursionError) as error:
        raise ActcodecError(path, f"is not TOML: {error}") from error
    try:
        return Accelerator.model_validate(content)
    except ValidationError as error:
        raise ActcodecError(path, validation_problem(error)) from error
