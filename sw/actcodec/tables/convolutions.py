"""The convolutions that folded sites are computed by: int8 weights with P in them, a file beside the tables.

    acc_k = Σ W[k, c, i, j]·(x[c, y·stride + i·dilation − padding, …] − zero),  x outside the image: zero

x are the bytes of the stored tensor that the convolution reads, as the decoder gives them. ``convolutions.safetensors``
holds, by the number of the site in its tables, ``N.weight`` int8 (K, C_in, rows, columns) and ``N.geometry`` int32:
stride, padding and dilation, rows and columns of each, and zero. Its SHA-256 is in the tables' provenance.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from actcodec.errors import ActcodecError
from actcodec.files import read_bytes
from actcodec.tables.model import SiteTable, Tables

CONVOLUTIONS = "convolutions.safetensors"
_GEOMETRY = 7


@dataclass(frozen=True, eq=False)
class Convolution:
    """One of them; stride, padding and dilation are (rows, columns)."""

    weight: NDArray[np.int8]
    """(K, C_in, rows, columns)"""
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    zero: int
    """Zero point of what it reads."""

    def acc_range(self, low: int, high: int) -> NDArray[np.int64]:
        """Lowest and highest sum (K, 2) over all inputs low…high and places of the padding."""
        weight = self.weight.reshape(len(self.weight), -1).astype(np.int64)
        at_low, at_high = weight * min(low - self.zero, 0), weight * max(high - self.zero, 0)
        return np.stack([np.minimum(at_low, at_high).sum(1), np.maximum(at_low, at_high).sum(1)], axis=1)


def pack_convolutions(convolutions: Sequence[Convolution]) -> tuple[bytes, str]:
    """The file of the convolutions of all sites of some tables, in their order, and its SHA-256."""
    tensors: dict[str, NDArray[np.int8] | NDArray[np.int32]] = {}
    for number, conv in enumerate(convolutions):
        tensors[f"{number}.weight"] = np.ascontiguousarray(conv.weight)
        numbers = (*conv.stride, *conv.padding, *conv.dilation, conv.zero)
        tensors[f"{number}.geometry"] = np.array(numbers, dtype=np.int32)
    content = save_safetensors(tensors)
    return content, hashlib.sha256(content).hexdigest()


def load_convolutions(directory: Path, tables: Tables) -> tuple[Convolution, ...]:
    """The convolutions of all sites of folded tables.

    Raises ActcodecError where the tables name none, or the file is not the one that they name, or does not fit them.
    """
    path = directory / CONVOLUTIONS
    expected = tables.provenance.convolutions_sha256
    if expected is None:
        raise ActcodecError(directory, "has tables without convolutions")
    content = read_bytes(path)
    if hashlib.sha256(content).hexdigest() != expected:
        raise ActcodecError(path, "does not match its SHA-256 in the tables' provenance")
    try:
        tensors = load_safetensors(content)
        return tuple(_convolution(path, site, tensors, number) for number, site in enumerate(tables.sites))
    except (SafetensorError, KeyError) as error:
        raise ActcodecError(path, f"has not all convolutions: {error}") from error


def _convolution(path: Path, site: SiteTable, tensors: dict[str, NDArray[np.int8]], number: int) -> Convolution:
    weight, numbers = tensors[f"{number}.weight"], tensors[f"{number}.geometry"].tolist()
    fits = weight.dtype == np.int8 and weight.ndim == 4 and len(weight) == site.coefficients
    if not fits or len(numbers) != _GEOMETRY:
        raise ActcodecError(path, f"site {site.info.name}: weight {weight.dtype}{list(weight.shape)} does not fit it")
    stride, padding, dilation = ((numbers[i], numbers[i + 1]) for i in (0, 2, 4))
    return Convolution(weight, stride, padding, dilation, numbers[6])
