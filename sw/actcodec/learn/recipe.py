"""A learning recipe: everything but network, data, target and seed that decides a plan."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from actcodec.configs import find_config
from actcodec.errors import ActcodecError
from actcodec.files import read_bytes
from actcodec.params import Order, validation_problem


class LearnRecipe(BaseModel):
    """How a plan is learned; one small TOML in configs/learn.

    ``transform`` is the basis of projected sites: ``auto`` measures ``identity`` (no site is projected), ``pca`` and
    ``fisher`` and keeps the one with the least divergence. ``epochs`` of 0 leaves the plan as measured (post-training).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str = Field(default="waterfill", min_length=1, max_length=100)
    transform: Literal["auto", "pca", "fisher", "identity"] = "auto"
    order: Order = "position-major"
    align_bits: int | None = Field(default=None, ge=8)
    transaction_bytes: int = Field(default=64, ge=1)
    table_batch: int = Field(default=16, ge=1)
    calibration_images: int = Field(default=512, ge=1)
    positions: int = Field(default=8192, ge=256)
    """Positions of a site that quantizers and decoders are fitted on."""
    selection_images: int = Field(default=1000, ge=1)
    """Selection images that choices (basis, best epoch) are measured on."""
    epochs: int = Field(default=0, ge=0)
    images: int = Field(default=5000, ge=1)
    """Training images an epoch of fine-tuning."""
    batch: int = Field(default=50, ge=1)
    rate: float = Field(default=1e-3, gt=0)
    reconstruction: float = Field(default=0.0, ge=0)
    """γ: weight of the sites' relative squared error in the fine-tuning loss."""


def load_recipe(source: str | Path) -> LearnRecipe:
    """Read a recipe: a TOML file, or the name of one in configs/learn.

    Raises ActcodecError for a missing file, bad TOML, an unknown field or a value out of range.
    """
    path = find_config("learn", source)
    try:
        return LearnRecipe.model_validate(tomllib.loads(read_bytes(path).decode()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ActcodecError(path, f"is not TOML: {error}") from error
    except ValidationError as error:
        raise ActcodecError(path, validation_problem(error)) from error
