"""Energy constants of gates and flip-flops, configs/pim-energy."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from actcodec.configs import find_config
from actcodec.errors import ActcodecError
from actcodec.files import read_bytes
from actcodec.params import validation_problem
from actcodec_sim.traffic.energy import Constant


class _Volts(Constant):
    unit: Literal["V"]


class _Capacitance(Constant):
    unit: Literal["fF"]


class _PerCycle(Constant):
    unit: Literal["fJ/cycle"]


class GateEnergy(BaseModel):
    """Supply, input pins by kind, and what a flip-flop takes for every cycle in which it is clocked."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1)]
    supply: _Volts
    pin: _Capacitance
    wide_pin: _Capacitance
    flip_flop_pin: _Capacitance
    flip_flop: _PerCycle

    def change_fj(self, capacitance_ff: float) -> float:
        """Energy of one change of a net with this capacitance: C·V²/2."""
        return capacitance_ff * self.supply.value**2 / 2

    def as_json(self) -> dict[str, Any]:
        """All constants with their sources."""
        return self.model_dump(mode="json")


def load_gate_energy(source: str | Path) -> GateEnergy:
    """Read constants: a TOML file, or the name of one in configs/pim-energy.

    Raises ActcodecError naming the file, the field and its value where something is missing, unknown or out of range.
    """
    path = find_config("pim-energy", source)
    try:
        return GateEnergy.model_validate(tomllib.loads(read_bytes(path).decode()))
    except ValidationError as error:
        raise ActcodecError(path, validation_problem(error)) from error
    except (ValueError, RecursionError) as error:
        raise ActcodecError(path, f"is not TOML: {error}") from error
