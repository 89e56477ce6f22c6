"""What is known of accuracy: a sweep's points, an evaluation, and where the reported tables stand among them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from actcodec.errors import ActcodecError
from actcodec.files import read_json
from actcodec.params import validation_problem

_Share = Annotated[float, Field(ge=0, le=1)]


class _FilePart(BaseModel):
    """What the report needs of a result file; other fields are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class SweepPoint(_FilePart):
    """One method at one rate: accuracy on the test set over stream bits a value."""

    method: str
    target_bits: float
    seed: int
    panel: str
    bpv_stream: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    accuracy: _Share
    test_images: Annotated[int, Field(ge=1)]


class _SweepFile(_FilePart):
    network: str
    accuracy_float: _Share
    points: list[dict[str, Any]]


class _EvaluationFile(_FilePart):
    network: str
    mode: str
    images: Annotated[int, Field(ge=1)]
    accuracy: _Share
    bpv_stream: float


@dataclass(frozen=True)
class Sweep:
    """The points of one or more sweeps of a network, and its accuracy uncompressed."""

    network: str
    accuracy_float: float
    points: tuple[SweepPoint, ...]

    def find(self, provenance: Mapping[str, str]) -> SweepPoint | None:
        """The point made in the way that a report's ``provenance`` names, None where there is none."""
        wanted = tuple(provenance.get(key) for key in ("method", "target_bits", "seed"))
        for point in self.points:
            if (point.method, str(point.target_bits), str(point.seed)) == wanted:
                return point
        return None


@dataclass(frozen=True)
class Evaluation:
    """Accuracy of a network through the codec on ``images`` test images; ``accuracy_float`` uncompressed, if known."""

    accuracy: float
    images: int
    accuracy_float: float | None = None


def load_sweep(paths: Sequence[Path], network: str | None = None) -> Sweep:
    """Read results of ``actcodec sweep`` (or of the same form); points that a target could not reach are left out.

    Raises ActcodecError where a file is no such result, or is of another network than ``network`` or than the first.
    """
    points: list[SweepPoint] = []
    accuracies: list[float] = []
    for path in paths:
        content = _parsed(path, _SweepFile)
        network = content.network if network is None else network
        if content.network != network:
            raise ActcodecError(path, f"network = {content.network!r} is not {network!r}")
        accuracies.append(content.accuracy_float)
        points += [_checked(path, point, SweepPoint) for point in content.points if "accuracy" in point]
    if network is None or not accuracies:
        raise ActcodecError("sweep", "files: there is none")
    return Sweep(network, accuracies[0], tuple(points))


def load_evaluation(path: Path, network: str, bpv_stream: float) -> Evaluation:
    """Read what ``actcodec eval --golden --json`` printed for the tables of a report.

    Raises ActcodecError where the file is no such result, was made without the codec, or is of another network or
    rate than ``network`` and ``bpv_stream``.
    """
    content = _parsed(path, _EvaluationFile)
    if content.mode != "golden":
        raise ActcodecError(path, f"mode = {content.mode!r}: needs the result of `actcodec eval --golden --json`")
    if content.network != network:
        raise ActcodecError(path, f"network = {content.network!r} is not {network!r}")
    if not math.isclose(content.bpv_stream, bpv_stream, rel_tol=1e-9):
        raise ActcodecError(path, f"bpv_stream = {content.bpv_stream} is not the {bpv_stream} of the tables")
    return Evaluation(content.accuracy, content.images)


_Part = TypeVar("_Part", bound=_FilePart)


def _parsed(path: Path, kind: type[_Part]) -> _Part:
    return _checked(path, read_json(path), kind)


def _checked(path: Path, content: Any, kind: type[_Part]) -> _Part:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise ActcodecError(path, validation_problem(error)) from error
