"""The parameters of one codec build: the frozen object that software and hardware both take their widths from."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from actcodec.configs import find_config
from actcodec.errors import ActcodecError
from actcodec.files import read_bytes

ACTIVATION_BITS = 8
"""Bits of x and x̂ (unsigned)."""
COEFFICIENT_BITS = 8
"""Bits of the entries of P and R (signed)."""
MAX_WIDTH = 8
"""Most bits of a stored code."""
WIDTH_BITS = 4
"""Bits that hold a width, 0…8."""
SHIFT_BITS = 5
"""Bits that hold a right shift s_k or t, 0…31."""
LEFT_SHIFT_BITS = 3
"""Bits that hold a left shift e_k, 0…7."""
MAX_SHIFT = (1 << SHIFT_BITS) - 1
MAX_LEFT_SHIFT = (1 << LEFT_SHIFT_BITS) - 1
CODE_VALUE_BITS = MAX_WIDTH + MAX_LEFT_SHIFT
"""Bits of code_k << e_k (unsigned), the decoder's multiplicand."""

Transform = Literal["project", "identity", "bypass", "folded"]
Order = Literal["position-major", "block-major"]
Direction = Literal["encoder", "decoder"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
"""The two halves of a codec, in the order in which ports, files and results name them."""


_BUILD_ONLY = ("directions", "shared_array")
"""Parameters that tables do not depend on."""
_UNSAID = ("banks", *_BUILD_ONLY)
"""Parameters that are written only where they are not the usual ones."""


def _is_power_of_two(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


class CodecParams(BaseModel):
    """Parameters of a codec build (hardware generics and table limits).

    A build whose ``transforms`` are ``("folded",)`` has an encoder that takes the accumulators of a convolution and has
    no MAC array; ``lanes``, ``rows`` and ``coefficient_depth`` are its decoder's.

    ``lanes`` activations enter (leave) a cycle and ``rows`` coefficients are computed in parallel, so that the
    MAC array has lanes × rows multipliers; ``codes`` of them are requantized and packed (unpacked) a cycle. Depths
    (and ``max_sites``) are entries of the whole table memories of one direction. With two ``banks`` bank 1 begins in
    the middle of each; tables that are loaded to bank 0 may fill all of it, those of bank 1 its half.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    lanes: int = Field(default=8, ge=1, le=64)
    rows: int = Field(default=4, ge=1, le=64)
    codes: int | None = Field(default=None, ge=1, le=64)
    """Codes a cycle between MAC array and bus; None: lanes, or the largest part of them that a word holds at 8 bits.
    Fewer share their requantizers in time: `codes_per_cycle`."""
    word_bits: int = Field(default=64, ge=64, le=512)
    block: int = Field(default=16, ge=1, le=64)
    acc_bits: int = Field(default=24, ge=16, le=32)
    max_channels: int = Field(default=256, ge=1, le=4096)
    max_coefficients: int = Field(default=256, ge=1, le=4096)
    max_side: int = Field(default=1024, ge=1, le=65536)
    """Largest height or width of a site."""
    max_sites: int = Field(default=32, ge=1, le=1024)
    plane_depth: int = Field(default=64, ge=1, le=65536)
    step_depth: int = Field(default=512, ge=1, le=65536)
    coefficient_depth: int = Field(default=1024, ge=1, le=65536)
    banks: Literal[1, 2] = 2
    """Parts of every table memory that are loaded by themselves: with 2 one half is loaded while the other is used."""
    transforms: tuple[Transform, ...] = ("project", "identity", "bypass")
    orders: tuple[Order, ...] = ("position-major", "block-major")
    directions: tuple[Direction, ...] = DIRECTIONS
    """Which halves the build has."""
    shared_array: bool = False
    """Encoder and decoder use one array of multipliers in turns, frame by frame."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not _is_power_of_two(self.word_bits):
            raise ValueError(f"word_bits = {self.word_bits} is not a power of two")
        if self.block % self.lanes:
            raise ValueError(f"block = {self.block} is not a multiple of lanes = {self.lanes}")
        if self.block % self.rows:
            raise ValueError(f"block = {self.block} is not a multiple of rows = {self.rows}")
        if self.codes is not None and self.lanes % self.codes:
            raise ValueError(f"codes = {self.codes} do not divide lanes = {self.lanes}")
        if self.codes is not None and self.codes * MAX_WIDTH > self.word_bits:
            raise ValueError(f"codes = {self.codes} of {MAX_WIDTH} bits do not fit word_bits = {self.word_bits}")
        for name in ("max_sites", "plane_depth", "step_depth", "coefficient_depth"):
            depth = getattr(self, name)
            if self.banks > 1 and (depth < self.banks or not _is_power_of_two(depth)):
                raise ValueError(f"{name} = {depth} cannot be halved; banks = 2 takes powers of two from 2 on")
        if self.takes_accumulators and self.transforms != ("folded",):
            raise ValueError(
                f"transforms = {list(self.transforms)}: an encoder takes accumulators or activations, "
                "so that 'folded' goes with no other transform"
            )
        # One way to write each choice: what is hashed is the same for the same build.
        if not self.directions or self.directions != tuple(name for name in DIRECTIONS if name in self.directions):
            raise ValueError(f"directions = {list(self.directions)} is not {list(DIRECTIONS)} or one of them")
        if self.shared_array and self.directions != DIRECTIONS:
            raise ValueError("shared_array needs both directions")
        if self.shared_array and self.takes_accumulators:
            raise ValueError("shared_array: the encoder of transforms = ['folded'] has no array to share")
        return self

    def as_json(self) -> dict[str, Any]:
        """The parameters as JSON values; what is left to its rule is left out, and so is the usual build.

        Tables name the codec that they were made for: those of the time before banks keep their digest, and so do
        tables that are used in a build of other directions.
        """
        content = self.model_dump(mode="json", exclude_none=True)
        usual = {name for name in _UNSAID if getattr(self, name) == type(self).model_fields[name].default}
        return {name: value for name, value in content.items() if name not in usual}

    def refuses_tables_of(self, other: Self) -> str | None:
        """Why tables made for ``other`` do not fit this build: the first parameter that differs; None where they fit.

        Tables do not depend on the directions of a build, nor on whether they share their multipliers; and without an
        encoder it does not matter what one would take.
        """
        unimportant = _BUILD_ONLY if "encoder" in self.directions else (*_BUILD_ONLY, "transforms")
        for name in type(self).model_fields:
            own, others = getattr(self, name), getattr(other, name)
            if name not in unimportant and own != others:
                return f"{name} = {others}, not {own}"
        return None

    @property
    def word_bytes(self) -> int:
        """Bytes of a bus word."""
        return self.word_bits // 8

    @property
    def codes_per_cycle(self) -> int:
        """Codes that are requantized and packed (unpacked) a cycle."""
        largest = self.word_bits // MAX_WIDTH
        return self.codes or max(n for n in range(1, min(self.lanes, largest) + 1) if self.lanes % n == 0)

    @property
    def parts_per_beat(self) -> int:
        """Cycles of a beat that is coded channel by channel."""
        return self.lanes // self.codes_per_cycle

    @property
    def slots(self) -> int:
        """Numbers that the MAC array exchanges with the codes' side at once."""
        return max(self.rows, self.codes_per_cycle)

    @property
    def takes_accumulators(self) -> bool:
        """Whether the encoder takes accumulators of the preceding convolution, and not activations."""
        return "folded" in self.transforms

    @property
    def encoder_lanes(self) -> int:
        """Numbers in a beat of the encoder's input: activations, or accumulators."""
        return self.codes_per_cycle if self.takes_accumulators else self.lanes

    @property
    def encoder_lane_bits(self) -> int:
        """Bits of each of them: unsigned activations, or signed accumulators."""
        return self.acc_bits if self.takes_accumulators else ACTIVATION_BITS

    @property
    def encoder_lane_bytes(self) -> int:
        """Bytes of each of them on a stream of bytes."""
        return -(-self.encoder_lane_bits // 8)

    @property
    def encoder_slots(self) -> int:
        """Sums that the encoder's biases get at once."""
        return self.codes_per_cycle if self.takes_accumulators else self.slots

    @property
    def beats_per_block(self) -> int:
        """Input (output) beats of a full block."""
        return self.block // self.lanes

    @property
    def groups_per_block(self) -> int:
        """Groups of ``rows`` coefficients of a full block."""
        return self.block // self.rows


def validation_problem(error: ValidationError) -> str:
    """The first complaint of pydantic as ``field = value: reason`` on one line."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if not field:
        return message
    value: Any = first.get("input")
    shown = repr(value)
    return f"{field} = {shown[:80]}: {message}"


def load_params(source: str | Path) -> CodecParams:
    """Read a codec configuration: a TOML file, or the name of one in configs/codec.

    Raises ActcodecError for a missing file, bad TOML, an unknown field or an impossible combination.
    """
    path = find_config("codec", source)
    try:
        content = tomllib.loads(read_bytes(path).decode())
    except (ValueError, RecursionError) as error:
        raise ActcodecError(path, f"is not TOML: {error}") from error
    try:
        return CodecParams.model_validate(content)
    except ValidationError as error:
        raise ActcodecError(path, validation_problem(error)) from error
