"""Energy of codec and network beside that of the memory, and what is left of the saving.

    pass     macs·mac + memory bytes·memory + bits·register                of an encoder or a decoder over one tensor
    codec    Σ_sites (encode + readers·decode) + table bytes·memory / n    tables are loaded once for a batch of n
    network  the network's multiplications·mac                             for comparison
    net      memory energy of raw8 − memory energy of the codec − codec

All of a frame, in picojoules. Memory energies are those of the memory-limited frame, tables shared by the batch.
"""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from actcodec.codecs import Activity
from actcodec.configs import find_config
from actcodec.errors import ActcodecError
from actcodec.files import read_bytes
from actcodec.params import validation_problem
from actcodec_sim.traffic.result import BATCHES, CodecTraffic

REFERENCE = "raw8"
"""The codec that energy is saved against."""

_Text = Annotated[str, Field(min_length=1)]


class Constant(BaseModel):
    """One constant with its unit, the node that it holds for and where it is from."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    value: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
    unit: str
    node: _Text
    source: _Text


class _PerMac(Constant):
    unit: Literal["pJ/MAC"]


class _PerByte(Constant):
    unit: Literal["pJ/byte"]


class _PerBit(Constant):
    unit: Literal["pJ/bit"]


class EnergyModel(BaseModel):
    """Constants of a technology: ``mac`` of 8 bits, ``memory`` on the chip, ``register`` with its shifter."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: _Text
    mac: _PerMac
    memory: _PerByte
    register_: Annotated[_PerBit, Field(alias="register")]

    def parts(self, activity: Activity) -> CodecEnergy:
        """Energy of one pass."""
        return CodecEnergy(
            macs=activity.macs * self.mac.value,
            memory=activity.memory_bytes * self.memory.value,
            registers=activity.register_bits * self.register_.value,
        )


def load_energy(source: str | Path) -> EnergyModel:
    """Read energy constants: a TOML file, or the name of one in configs/energy.

    Raises ActcodecError naming the file, the field and its value where the file is missing, is not TOML, lacks a field,
    has an unknown one, or holds a value out of range or of another unit.
    """
    path = find_config("energy", source)
    try:
        return EnergyModel.model_validate(tomllib.loads(read_bytes(path).decode()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ActcodecError(path, f"is not TOML: {error}") from error
    except ValidationError as error:
        raise ActcodecError(path, validation_problem(error)) from error


@dataclass(frozen=True)
class CodecEnergy:
    """Energy of a codec in picojoules by cause."""

    macs: float = 0.0
    memory: float = 0.0
    registers: float = 0.0

    @property
    def total(self) -> float:
        """Sum of all causes, in picojoules."""
        return self.macs + self.memory + self.registers

    def plus(self, other: CodecEnergy, times: float = 1.0) -> CodecEnergy:
        """This and ``times`` the other."""
        return CodecEnergy(
            self.macs + times * other.macs,
            self.memory + times * other.memory,
            self.registers + times * other.registers,
        )


@dataclass(frozen=True)
class CodecBalance:
    """Energy of one codec's frame: ``encode`` all sites, ``decode`` every read of each, ``loading`` of all tables."""

    codec: str
    memory_pj: dict[int, float]
    """Energy of the memory a frame, by batch."""
    saved_pj: dict[int, float]
    """The same of the reference minus that."""
    encode: CodecEnergy
    decode: CodecEnergy
    loading: float

    def codec_pj(self, batch: int) -> float:
        """Energy of the codec a frame, tables loaded once for ``batch`` frames."""
        return self.encode.total + self.decode.total + self.loading / batch

    def net_pj(self, batch: int) -> float:
        """What is left of the saving: negative where the codec takes more than it saves."""
        return self.saved_pj[batch] - self.codec_pj(batch)

    def to_json(self) -> dict[str, Any]:
        """Every figure under its name, in picojoules."""
        return {
            "codec": self.codec,
            "encode_pj": {**asdict(self.encode), "total": self.encode.total},
            "decode_pj": {**asdict(self.decode), "total": self.decode.total},
            "table_loading_pj": self.loading,
            **{
                f"batch_{batch}": {
                    "memory_pj": self.memory_pj[batch],
                    "memory_saved_pj": self.saved_pj[batch],
                    "codec_pj": self.codec_pj(batch),
                    "net_pj": self.net_pj(batch),
                }
                for batch in BATCHES
            },
        }


class Balance(Protocol):
    """The energies of one codec."""

    @property
    def codec(self) -> str:
        """Name of the codec."""

    def to_json(self) -> dict[str, Any]:
        """Every figure under its name, in picojoules."""


B_co = TypeVar("B_co", bound=Balance, covariant=True)


@dataclass(frozen=True)
class Balances(Generic[B_co]):
    """Codecs side by side; ``network_pj`` are the network's own multiplications a frame."""

    model: EnergyModel
    network_pj: float
    codecs: tuple[B_co, ...]

    def codec(self, name: str) -> B_co:
        """The codec called ``name``; ActcodecError lists the known ones where there is none."""
        for codec in self.codecs:
            if codec.codec == name:
                return codec
        known = ", ".join(codec.codec for codec in self.codecs)
        raise ActcodecError("energy", f"codec: {name!r} is unknown; known: {known}")

    def to_json(self) -> dict[str, Any]:
        """Constants with their sources, then every codec."""
        return {
            "constants": self.model.model_dump(by_alias=True),
            "reference": REFERENCE,
            "network_macs_pj": self.network_pj,
            "codecs": [codec.to_json() for codec in self.codecs],
        }


EnergyReport = Balances[CodecBalance]
"""Codecs of the plain traffic model side by side."""


def energy_report(codecs: tuple[CodecTraffic, ...], model: EnergyModel, network_macs: int) -> EnergyReport:
    """Balance of every codec against ``raw8``, which has to be among them.

    Raises ActcodecError where it is not.
    """
    reference = next((codec for codec in codecs if codec.codec == REFERENCE), None)
    if reference is None:
        raise ActcodecError("energy", f"codecs: {REFERENCE}, what energy is saved against, is missing")
    raw = {batch: reference.memory_limited.energy_pj(batch) for batch in BATCHES}
    return EnergyReport(model, network_macs * model.mac.value, tuple(_balance(codec, model, raw) for codec in codecs))


def _balance(codec: CodecTraffic, model: EnergyModel, raw: dict[int, float]) -> CodecBalance:
    encode = decode = CodecEnergy()
    for site in codec.sites:
        encode = encode.plus(model.parts(site.stored.encode))
        decode = decode.plus(model.parts(site.stored.decode), site.stored.readers)
    memory = {batch: codec.memory_limited.energy_pj(batch) for batch in BATCHES}
    return CodecBalance(
        codec=codec.codec,
        memory_pj=memory,
        saved_pj={batch: raw[batch] - memory[batch] for batch in BATCHES},
        encode=encode,
        decode=decode,
        loading=sum(site.stored.table_bytes for site in codec.sites) * model.memory.value,
    )
