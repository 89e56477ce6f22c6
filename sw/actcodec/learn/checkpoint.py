"""Resumable training state: tensors with a JSON header, in one safetensors file, written all or nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from actcodec.errors import ActcodecError
from actcodec.files import write_bytes

_HEADER = "actcodec"


def save_checkpoint(path: Path, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    """Write ``tensors`` and the JSON-able ``header`` to ``path``; equal content gives equal bytes."""
    plain = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, save(plain, metadata={_HEADER: json.dumps(header, sort_keys=True)}))


def load_checkpoint(path: Path, expected: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what ``save_checkpoint`` wrote.

    Raises ActcodecError where the file is unreadable, or a field of its header differs from ``expected``:
    a run must not be resumed with other settings than it was started with.
    """
    try:
        with safe_open(path, framework="pt") as stored:
            header = json.loads((stored.metadata() or {}).get(_HEADER, "null"))
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - not iterable
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        raise ActcodecError(path, f"cannot be read as a checkpoint: {error}") from error
    if not isinstance(header, dict):
        raise ActcodecError(path, "is no training checkpoint: it has no header")
    for field, value in expected.items():
        _compare(path, field, header.get(field), value)
    return tensors, header


def _compare(path: Path, field: str, kept: Any, wanted: Any) -> None:
    """Raise ActcodecError where ``kept`` differs; of tables it names the first entry that does."""
    if kept == wanted:
        return
    if isinstance(kept, dict) and isinstance(wanted, dict):
        for name in wanted | kept:
            _compare(path, f"{field}.{name}", kept.get(name), wanted.get(name))
    raise ActcodecError(path, f"{field} is {kept!r}, this run has {wanted!r}; take another output, or delete this file")
