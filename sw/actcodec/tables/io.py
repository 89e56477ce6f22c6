"""The tables on disk: manifest.json, tables.safetensors and the images of the RTL's table streams.

Every array and every image is hashed in the manifest; the manifest's own hash (over its canonical JSON without that
field and without the images) is the *digest* by which streams, reports and RTL builds name the tables. The images
follow from the arrays and from the generator's layout of the memories: tables of an older layout keep their digest and
are read as before; whoever needs their images makes them anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from actcodec.errors import ActcodecError
from actcodec.files import atomic_directory, read_bytes, read_json
from actcodec.params import CodecParams, validation_problem
from actcodec.tables.image import LAYOUT, decoder_image, encoder_image, to_hex
from actcodec.tables.model import (
    SCHEMA,
    VERSION,
    Provenance,
    Residency,
    SiteArrays,
    SiteInfo,
    SiteTable,
    Tables,
    array_names,
)

MANIFEST = "manifest.json"
ARRAYS = "tables.safetensors"


class _ArrayEntry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: tuple[int, ...]
    dtype: str
    sha256: str


class _SizesEntry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    payload_bits: int
    stream_bytes: int
    transaction_bytes: int
    table_bytes: int


class _SiteEntry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    info: SiteInfo
    coefficients: int
    sizes: _SizesEntry
    arrays: dict[str, _ArrayEntry]


class _Manifest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_name: str
    version: int
    digest: str
    codec: CodecParams
    residency: Residency
    transaction_bytes: int = Field(ge=1)
    provenance: Provenance
    images: dict[str, str]
    image_layout: int = 1
    sites: tuple[_SiteEntry, ...]


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _array_entry(array: NDArray[Any]) -> dict[str, Any]:
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    return {"shape": list(array.shape), "dtype": str(array.dtype), "sha256": _sha256(little.tobytes())}


def _images(tables: Tables) -> dict[str, bytes]:
    return {
        "encoder.hex": to_hex(encoder_image(tables.params, tables.sites)).encode(),
        "decoder.hex": to_hex(decoder_image(tables.params, tables.sites)).encode(),
    }


_NOT_NAMED = ("digest", "images", "image_layout")
"""Fields of the manifest that its digest does not cover."""


def _canonical_digest(manifest: dict[str, Any]) -> str:
    content = {key: value for key, value in manifest.items() if key not in _NOT_NAMED}
    return _sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode())


def manifest_of(tables: Tables) -> dict[str, Any]:
    """The manifest of the tables, digest included, as plain JSON values."""
    sites = []
    for site in tables.sites:
        sizes = site.sizes(tables.transaction_bytes)
        sites.append(
            {
                "info": site.info.model_dump(mode="json"),
                "coefficients": site.coefficients,
                "sizes": {
                    "payload_bits": sizes.payload_bits,
                    "stream_bytes": sizes.stream_bytes,
                    "transaction_bytes": sizes.transaction_bytes,
                    "table_bytes": site.table_bytes,
                },
                "arrays": {name: _array_entry(array) for name, array in site.arrays.items()},
            }
        )
    manifest: dict[str, Any] = {
        "schema_name": SCHEMA,
        "version": VERSION,
        "digest": "",
        "codec": tables.params.as_json(),
        "residency": tables.residency,
        "transaction_bytes": tables.transaction_bytes,
        "provenance": tables.provenance.model_dump(mode="json", exclude_none=True),
        "images": {name: _sha256(content) for name, content in _images(tables).items()},
        "image_layout": LAYOUT,
        "sites": sites,
    }
    manifest["digest"] = _canonical_digest(manifest)
    return manifest


@lru_cache(maxsize=16)
def digest_of(tables: Tables) -> str:
    """SHA-256 (hex) that names the tables: every integer, parameter and byte of them is under it."""
    return str(manifest_of(tables)["digest"])


def save_tables(tables: Tables, directory: Path, beside: Mapping[str, bytes] | None = None) -> str:
    """Write the tables into ``directory``, all or nothing; returns their digest.

    ``beside`` holds files that are no part of the tables but belong to them, by name.
    """
    manifest = manifest_of(tables)
    tensors = {
        f"{number}.{name}": np.ascontiguousarray(array)
        for number, site in enumerate(tables.sites)
        for name, array in site.arrays.items()
    }
    with atomic_directory(directory) as temporary:
        (temporary / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
        (temporary / ARRAYS).write_bytes(save_safetensors(tensors))
        for name, content in {**(beside or {}), **_images(tables)}.items():
            (temporary / name).write_bytes(content)
    return str(manifest["digest"])


def _load_manifest(path: Path) -> _Manifest:
    content = read_json(path)
    if not isinstance(content, dict) or content.get("schema_name") != SCHEMA:
        raise ActcodecError(path, f"is not a manifest of {SCHEMA}")
    if content.get("version") != VERSION:
        raise ActcodecError(path, f"version = {content.get('version')!r} is not supported; this build reads {VERSION}")
    try:
        manifest = _Manifest.model_validate(content)
    except ValidationError as error:
        raise ActcodecError(path, validation_problem(error)) from error
    if manifest.digest != _canonical_digest(content):
        raise ActcodecError(path, f"digest = {manifest.digest[:16]!r}… does not match the manifest's content")
    return manifest


def load_tables(directory: Path) -> Tables:
    """Read and check tables. Raises ActcodecError naming file or site, field and value.

    Checked: schema and version, digest, hash, shape and type of every array, hashes of the images, the sizes
    recorded, and everything that `SiteTable` and `Tables` check (geometry, ranges, accumulators).
    """
    path = directory / MANIFEST
    manifest = _load_manifest(path)
    arrays_path = directory / ARRAYS
    try:
        tensors = load_safetensors(read_bytes(arrays_path))
    except (SafetensorError, ValueError, KeyError) as error:
        raise ActcodecError(arrays_path, f"is not a safetensors file: {error}") from error
    expected = {f"{n}.{name}" for n, entry in enumerate(manifest.sites) for name in entry.arrays}
    if set(tensors) != expected:
        odd = sorted(set(tensors) ^ expected)[0]
        raise ActcodecError(arrays_path, f"tensor {odd!r} is missing or not in the manifest")
    sites = []
    for number, entry in enumerate(manifest.sites):
        arrays = _checked_arrays(arrays_path, number, entry, tensors)
        site = SiteTable(entry.info, arrays, manifest.codec)
        sizes = site.sizes(manifest.transaction_bytes)
        derived = {
            "payload_bits": sizes.payload_bits,
            "stream_bytes": sizes.stream_bytes,
            "transaction_bytes": sizes.transaction_bytes,
            "table_bytes": site.table_bytes,
        }
        for name, value in derived.items():
            if getattr(entry.sizes, name) != value:
                raise ActcodecError(
                    path,
                    f"site {entry.info.name}: {name} = {getattr(entry.sizes, name)}, the tables give {value}",
                )
        if entry.coefficients != site.coefficients:
            raise ActcodecError(
                path,
                f"site {entry.info.name}: coefficients = {entry.coefficients}, the tables give {site.coefficients}",
            )
        sites.append(site)
    tables = Tables(manifest.codec, tuple(sites), manifest.provenance, manifest.residency, manifest.transaction_bytes)
    _check_images(directory, manifest, tables)
    # The parser takes "64" for 64 and true for 1; what it took must still be what the digest was made of.
    if digest_of(tables) != manifest.digest:
        raise ActcodecError(path, f"digest = {manifest.digest[:16]}… names other content than these values")
    return tables


def _checked_arrays(path: Path, number: int, entry: _SiteEntry, tensors: dict[str, NDArray[Any]]) -> SiteArrays:
    # Whether the transform has the array that only some have is for the site to say.
    names = array_names("folded" if "acc_range" in entry.arrays else "project")
    if sorted(entry.arrays) != sorted(names):
        raise ActcodecError(path, f"site {entry.info.name}: arrays = {sorted(entry.arrays)}, expected {sorted(names)}")
    found: dict[str, NDArray[Any]] = {}
    for name in names:
        array = tensors[f"{number}.{name}"]
        if _array_entry(array)["sha256"] != entry.arrays[name].sha256:
            raise ActcodecError(path, f"site {entry.info.name}: {name} does not match its SHA-256 in the manifest")
        if list(array.shape) != list(entry.arrays[name].shape) or str(array.dtype) != entry.arrays[name].dtype:
            raise ActcodecError(
                path,
                f"site {entry.info.name}: {name} is {array.dtype}{list(array.shape)}, not as in the manifest",
            )
        found[name] = array
    return SiteArrays(**found)


def _check_images(directory: Path, manifest: _Manifest, tables: Tables) -> None:
    if manifest.image_layout != LAYOUT:
        return
    images = _images(tables)
    if set(manifest.images) != set(images):
        raise ActcodecError(directory / MANIFEST, f"images = {sorted(manifest.images)}, expected {sorted(images)}")
    for name, content in images.items():
        if read_bytes(directory / name) != content:
            raise ActcodecError(directory / name, "is not the image of these tables")
        if manifest.images[name] != _sha256(content):
            raise ActcodecError(directory / MANIFEST, f"images.{name} does not match the image's SHA-256")
