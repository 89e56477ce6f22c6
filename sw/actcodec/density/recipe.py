"""A recipe of activation-density training; one small TOML in configs/density."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from actcodec.configs import find_config
from actcodec.density.energy import BASELINE_BITS
from actcodec.errors import ActcodecError
from actcodec.files import read_bytes
from actcodec.params import validation_problem


class DensityRecipe(BaseModel):
    """How a network is trained and what of it shrinks meanwhile; nothing at all in the 16-bit baseline."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str = Field(default="quantize", min_length=1, max_length=100)
    quantize: bool = True
    """k_l ← round(k_l·AD_l)."""
    prune: bool = False
    """C_l ← round(C_l·AD_l), at the same moments."""
    pim: bool = False
    """Widths are rounded up to those of the process-in-memory array in training too."""
    bits: int = Field(default=BASELINE_BITS, ge=1, le=BASELINE_BITS)
    """Width of all layers at the start; first and last layer keep it."""
    least_bits: int = Field(default=2, ge=1, le=BASELINE_BITS)
    epochs: int = Field(default=24, ge=1)
    """Of the whole run: all widths and channel counts together."""
    batch: int = Field(default=128, ge=1)
    rate: float = Field(default=1e-3, gt=0)
    """Peak of Adam's rate, reached after ``warmup`` epochs, taken to 0 by a cosine over the run."""
    warmup: float = Field(default=1.0, ge=0)
    weight_decay: float = Field(default=5e-4, ge=0)
    """Decoupled from the gradient: what pushes activations to zero is the loss alone."""
    smoothing: float = Field(default=0.0, ge=0, lt=1)
    window: int = Field(default=2, ge=2)
    """A density is saturated where it moved by at most ``tolerance`` over so many epochs."""
    tolerance: float = Field(default=0.02, ge=0)
    first: int = Field(default=4, ge=1)
    """Epochs before the first change at least: a network that has learned nothing has no meaningful densities."""
    longest: int = Field(default=0, ge=0)
    """After so many epochs at the same widths densities count as saturated; 0: only where they are."""
    settle: int = Field(default=4, ge=0)
    """In the last so many epochs nothing shrinks any more."""
    accuracy_drop: float = Field(default=0.02, ge=0, le=1)
    """The accuracy target, as a distance below the best accuracy on the selection images so far."""
    accuracy: float | None = Field(default=None, ge=0, le=1)
    """The accuracy target itself, in place of ``accuracy_drop``."""
    device: Literal["cpu", "cuda", "auto"] = "cpu"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.longest and self.longest < self.window:
            raise ValueError(f"longest = {self.longest} is shorter than window = {self.window}")
        if self.least_bits > self.bits:
            raise ValueError(f"least_bits = {self.least_bits} is more than bits = {self.bits}")
        if self.pim and not self.quantize:
            raise ValueError("pim = true rounds widths, which quantize = false leaves as they are")
        return self


def load_density_recipe(source: str | Path) -> DensityRecipe:
    """Read a recipe: a TOML file, or the name of one in configs/density.

    Raises ActcodecError for a missing file, bad TOML, an unknown field, a value out of range, or fields that contradict
    each other.
    """
    path = find_config("density", source)
    try:
        content = tomllib.loads(read_bytes(path).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ActcodecError(path, f"is not TOML: {error}") from error
    try:
        return DensityRecipe.model_validate({"method": path.stem, **content})
    except ValidationError as error:
        raise ActcodecError(path, validation_problem(error)) from error
