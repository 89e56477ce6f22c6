"""Reading a report's JSON back: what ``TrafficReport.to_json`` wrote, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from actcodec.errors import ActcodecError
from actcodec.files import read_json
from actcodec.params import validation_problem
from actcodec_sim.traffic.result import SCHEMA_VERSION

_Count = Annotated[int, Field(ge=0)]
_Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Part(BaseModel):
    """Fields that are used are there, of the right kind and possible; others are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class SiteFigures(_Part):
    """One site's figures, under the names of ``SiteResult.to_json``."""

    name: str
    values: Annotated[int, Field(ge=1)]
    stream_bytes: _Count
    moved_bytes: _Count
    table_bytes: _Count
    requests: _Count
    row_hits: _Count
    cycles: _Count

    @property
    def bits_per_value(self) -> float:
        """Stream bits a value."""
        return 8 * self.stream_bytes / self.values

    @property
    def row_hit_rate(self) -> float:
        """Share of the requests that found their row open; 0 without requests."""
        return self.row_hits / self.requests if self.requests else 0.0

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.row_hits > self.requests:
            raise ValueError(f"row_hits = {self.row_hits} is above requests = {self.requests}")
        return self


class ResidentFigures(_Part):
    """A frame with the tables resident."""

    row_hit_rate: Annotated[float, Field(ge=0, le=1)]


class FrameBatch(_Part):
    """What a frame costs where a batch shares one load of the tables."""

    cycles: _Amount
    energy_pj: _Amount


class FrameFigures(_Part):
    """A frame as fast as the memory goes, or paced: its costs by batch."""

    resident: ResidentFigures
    batches: dict[int, FrameBatch]

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, content: Any) -> Any:
        return _with_batches(content)


class CodecBatch(_Part):
    """Bytes and bits a value where a batch shares one load of the tables."""

    moved_bytes: _Amount
    bpv_net: _Amount


class CodecFigures(_Part):
    """One codec's frame."""

    codec: str
    bpv_stream: _Amount
    batches: dict[int, CodecBatch]
    memory_limited: FrameFigures
    paced: FrameFigures
    sites: Annotated[list[SiteFigures], Field(min_length=1)]

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, content: Any) -> Any:
        return _with_batches(content)

    @model_validator(mode="after")
    def _check(self) -> Self:
        _distinct("site", [site.name for site in self.sites])
        return self


class EnergyBatch(_Part):
    """What a codec's frame takes, and what is left of the saving: negative where the codec takes more."""

    codec_pj: _Amount
    net_pj: Annotated[float, Field(allow_inf_nan=False)]


class CodecEnergyFigures(_Part):
    """Energy of one codec."""

    codec: str
    batches: dict[int, EnergyBatch]

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, content: Any) -> Any:
        return _with_batches(content)


class EnergyFigures(_Part):
    """Energy of the codecs, with the constants as they were written."""

    constants: dict[str, Any]
    codecs: list[CodecEnergyFigures]

    @model_validator(mode="after")
    def _check(self) -> Self:
        _distinct("codec", [codec.codec for codec in self.codecs])
        return self

    def batches(self, codec: str) -> dict[int, EnergyBatch]:
        """Figures of ``codec`` by batch; empty where it has none."""
        return next((found.batches for found in self.codecs if found.codec == codec), {})


class ReportFile(_Part):
    """A whole report; ``device`` and ``pacing`` as they were written."""

    schema_name: Annotated[Literal["actcodec-traffic"], Field(alias="schema")]
    version: int
    provenance: dict[str, str]
    device: dict[str, Any]
    pacing: dict[str, float | None]
    codecs: Annotated[list[CodecFigures], Field(min_length=1)]
    energy: EnergyFigures | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.version != SCHEMA_VERSION:
            raise ValueError(f"version = {self.version}: this program reads version {SCHEMA_VERSION}")
        if not isinstance(self.device.get("name"), str):
            raise ValueError("device.name is missing")
        _distinct("codec", [codec.codec for codec in self.codecs])
        return self


def load_report(path: Path) -> ReportFile:
    """Read a report's ``traffic.json``, or what ``actcodec traffic --json`` printed.

    Raises ActcodecError in one line where the file is missing, is not JSON, is no such report or of another version.
    """
    content = read_json(path)
    if not isinstance(content, dict) or content.get("schema") != "actcodec-traffic":
        raise ActcodecError(path, "is not a traffic report (schema actcodec-traffic)")
    try:
        return ReportFile.model_validate(content)
    except ValidationError as error:
        raise ActcodecError(path, validation_problem(error)) from error


def _with_batches(content: Any) -> Any:
    """The fields ``batch_N`` under ``batches``, by N."""
    if not isinstance(content, dict):
        return content
    prefix = "batch_"
    names = [name for name in content if name.startswith(prefix) and name.removeprefix(prefix).isdecimal()]
    return {**content, "batches": {int(name.removeprefix(prefix)): content[name] for name in names}}


def _distinct(what: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the {what} {name!r} occurs twice")
