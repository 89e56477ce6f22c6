"""The plan: what learning decided, in real numbers, before export makes integers of it.

    encode   code = clamp(round(P·(x − zero) + bias), 0, 2^b − 1)
    decode   x̂ = clamp(round(R·code + bias_out) + zero, low, high)

On disk a directory: ``plan.json`` (geometry, provenance, byte counts, SHA-256 of the arrays) and ``plan.safetensors``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from actcodec.errors import ActcodecError
from actcodec.files import WEIGHTS, atomic_directory, read_bytes, read_json, read_weights
from actcodec.learn.draft import draft_table_bytes
from actcodec.params import MAX_WIDTH, CodecParams, validation_problem
from actcodec.tables import SiteInfo, SiteSizes
from actcodec.tables.geometry import planes_of, sizes_of

SCHEMA = "actcodec-plan"
VERSION = 1
MANIFEST = "plan.json"
ARRAYS = "plan.safetensors"

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PlanArrays:
    """The numbers of a site: C channels, K stored coefficients, b channels in a block; laid out as in the tables.

    P[k, i] multiplies channel ``start of k's block + i``; R[c, i] coefficient ``start of c's block + i``.
    """

    P: FloatArray
    """(K, b)"""
    R: FloatArray
    """(C, b)"""
    bias: FloatArray
    """(K,)"""
    bias_out: FloatArray
    """(C,)"""
    width: NDArray[np.uint8]
    """(K,) 0…8"""
    group: NDArray[np.uint16]
    """(K,) unit of width that the coefficient belongs to"""
    channel_order: NDArray[np.uint16]
    """(C,) the network's original channel that is stored at each place"""


@dataclass(frozen=True, eq=False)
class SitePlan:
    """One site; raises ActcodecError naming site and field where the arrays do not fit the geometry."""

    info: SiteInfo
    arrays: PlanArrays

    def __post_init__(self) -> None:
        where = f"plan, site {self.info.name}"
        C, K = self.info.channels, self.info.blocks[-1].coefficients[1]
        b = self.arrays.P.shape[-1]
        expected = {"P": (K, b), "R": (C, b), "bias": (K,), "bias_out": (C,), "width": (K,), "group": (K,)}
        expected["channel_order"] = (C,)
        for field in fields(self.arrays):
            array = getattr(self.arrays, field.name)
            if array.shape != expected[field.name]:
                problem = f"{field.name} has shape {array.shape}, expected {expected[field.name]}"
                raise ActcodecError(where, problem)
            if not np.isfinite(array).all():
                raise ActcodecError(where, f"{field.name} holds values that are not finite")
        if K and int(self.arrays.width.max()) > MAX_WIDTH:
            raise ActcodecError(where, f"width {int(self.arrays.width.max())} is outside 0…{MAX_WIDTH}")

    @property
    def order(self) -> NDArray[np.int64] | None:
        """The order of the stored channels, None where it is the network's own."""
        order = self.arrays.channel_order.astype(np.int64)
        return None if np.array_equal(order, np.arange(len(order))) else order

    def sizes(self, transaction_bytes: int) -> SiteSizes:
        """Payload bits, stream and transaction bytes of one image."""
        planes = planes_of(self.info, self.arrays.width)
        return sizes_of(planes, self.info.height, self.info.width, transaction_bytes)


class PlanProvenance(BaseModel):
    """Where a plan comes from; ``network_macs`` are the network's multiplications an image."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: str
    dataset: str
    method: str
    seed: int
    target_bits: float = Field(gt=0, le=MAX_WIDTH)
    table_batch: int = Field(ge=1)
    calibration_images: int = Field(ge=1)
    finetune_images: int = Field(ge=0)
    epochs: int = Field(ge=0)
    checkpoint_sha256: str
    network_macs: int = Field(ge=0)
    block_images: int = Field(default=0, ge=0)
    """Images of block-wise reconstruction."""
    search_images: int = Field(default=0, ge=0)
    """Images of the search for widths."""
    weights_trained: bool = False
    """The checkpoint is not the network's but goes with the plan."""


@dataclass(frozen=True, eq=False)
class Plan:
    """Every site of a network in execution order, the codec build they are for, and their provenance.

    ``weights`` is the checkpoint (safetensors) of a network whose weights were trained with the plan, named by
    ``provenance.checkpoint_sha256``; None where the network's own checkpoint goes with it.
    """

    params: CodecParams
    sites: tuple[SitePlan, ...]
    provenance: PlanProvenance
    transaction_bytes: int = 64
    weights: bytes | None = None

    @property
    def orders(self) -> dict[int, NDArray[np.int64]]:
        """The channel orders of the sites that have another than the network's own."""
        orders = {index: site.order for index, site in enumerate(self.sites)}
        return {index: order for index, order in orders.items() if order is not None}

    @property
    def values(self) -> int:
        """Activations of one image over all sites."""
        return sum(site.info.values for site in self.sites)

    @property
    def stream_bytes(self) -> int:
        """Stream bytes of one image over all sites."""
        return sum(site.sizes(self.transaction_bytes).stream_bytes for site in self.sites)

    @property
    def bpv_stream(self) -> float:
        """8·stream bytes / values."""
        return 8 * self.stream_bytes / self.values

    def bpv_net(self, batch: int) -> float:
        """8·(stream bytes + table bytes/batch) / values."""
        tables = sum(draft_table_bytes(s.info, s.arrays.width, self.params) for s in self.sites)
        return 8 * (self.stream_bytes + tables / batch) / self.values


class _SiteEntry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    info: SiteInfo
    payload_bits: int
    stream_bytes: int
    transaction_bytes: int


class _Manifest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_name: str
    version: int
    codec: CodecParams
    transaction_bytes: int = Field(ge=1)
    provenance: PlanProvenance
    arrays_sha256: str
    sites: tuple[_SiteEntry, ...] = Field(min_length=1)


def save_plan(plan: Plan, directory: Path) -> str:
    """Write ``plan`` into ``directory``, all or nothing; return the SHA-256 of its ``plan.json``."""
    manifest, arrays = _serialise(plan)
    with atomic_directory(directory) as temporary:
        (temporary / MANIFEST).write_bytes(manifest)
        (temporary / ARRAYS).write_bytes(arrays)
        if plan.weights is not None:
            (temporary / WEIGHTS).write_bytes(plan.weights)
    return hashlib.sha256(manifest).hexdigest()


def plan_sha256(plan: Plan) -> str:
    """Return the SHA-256 (hex) that names ``plan``; the arrays' hash is under it."""
    return hashlib.sha256(_serialise(plan)[0]).hexdigest()


def load_plan(directory: Path) -> Plan:
    """Read a plan; ActcodecError names file, site and field where anything does not fit or hash."""
    path, arrays_path = directory / MANIFEST, directory / ARRAYS
    content = read_json(path)
    if not isinstance(content, dict) or content.get("schema_name") != SCHEMA:
        raise ActcodecError(path, f"is not a manifest of {SCHEMA}")
    if content.get("version") != VERSION:
        raise ActcodecError(path, f"version = {content.get('version')!r}; this build reads {VERSION}")
    try:
        manifest = _Manifest.model_validate(content)
    except ValidationError as error:
        raise ActcodecError(path, validation_problem(error)) from error
    raw = read_bytes(arrays_path)
    if hashlib.sha256(raw).hexdigest() != manifest.arrays_sha256:
        raise ActcodecError(arrays_path, "does not match its SHA-256 in plan.json")
    try:
        tensors = load_safetensors(raw)
    except SafetensorError as error:
        raise ActcodecError(arrays_path, f"is not a safetensors file: {error}") from error
    sites = tuple(_site(arrays_path, number, entry.info, tensors) for number, entry in enumerate(manifest.sites))
    weights = read_weights(directory, manifest.provenance.checkpoint_sha256)
    if (weights is None) == manifest.provenance.weights_trained:
        state = "missing" if weights is None else "not expected"
        raise ActcodecError(directory / WEIGHTS, f"is {state}: weights_trained = {weights is None}")
    plan = Plan(manifest.codec, sites, manifest.provenance, manifest.transaction_bytes, weights)
    for entry, site in zip(manifest.sites, sites, strict=True):
        sizes = site.sizes(plan.transaction_bytes)
        for field in ("payload_bits", "stream_bytes", "transaction_bytes"):
            if getattr(entry, field) != getattr(sizes, field):
                problem = f"{field} = {getattr(entry, field)}, the widths give {getattr(sizes, field)}"
                raise ActcodecError(path, f"site {entry.info.name}: {problem}")
    return plan


def _site(path: Path, number: int, info: SiteInfo, tensors: dict[str, NDArray[Any]]) -> SitePlan:
    dtypes = {"width": np.uint8, "group": np.uint16, "channel_order": np.uint16}
    found = {}
    for field in fields(PlanArrays):
        name, dtype = f"{number}.{field.name}", dtypes.get(field.name, np.float64)
        if name not in tensors or tensors[name].dtype != dtype:
            raise ActcodecError(path, f"site {info.name}: {field.name} is missing or not {np.dtype(dtype)}")
        found[field.name] = tensors[name]
    return SitePlan(info, PlanArrays(**found))


def _serialise(plan: Plan) -> tuple[bytes, bytes]:
    tensors = {
        f"{number}.{field.name}": np.ascontiguousarray(getattr(site.arrays, field.name))
        for number, site in enumerate(plan.sites)
        for field in fields(PlanArrays)
    }
    arrays = save_safetensors(tensors)
    sites = []
    for site in plan.sites:
        sizes = site.sizes(plan.transaction_bytes)
        sites.append(
            _SiteEntry(
                info=site.info,
                payload_bits=sizes.payload_bits,
                stream_bytes=sizes.stream_bytes,
                transaction_bytes=sizes.transaction_bytes,
            )
        )
    manifest = _Manifest(
        schema_name=SCHEMA,
        version=VERSION,
        codec=plan.params,
        transaction_bytes=plan.transaction_bytes,
        provenance=plan.provenance,
        arrays_sha256=hashlib.sha256(arrays).hexdigest(),
        sites=tuple(sites),
    )
    return (json.dumps(manifest.model_dump(mode="json"), indent=1) + "\n").encode(), arrays
