"""Measured codecs as one JSON file, so that traffic is computed without running the network again."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from actcodec.errors import ActcodecError
from actcodec.files import read_json, write_json
from actcodec.params import validation_problem

SCHEMA = "actcodec-codecs"
VERSION = 1


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Activity(_Part):
    """Work of one pass over one image's tensor: what energy is computed from."""

    macs: int = Field(default=0, ge=0)
    """Multiplications with their sums."""
    memory_bytes: int = Field(default=0, ge=0)
    """Bytes read from the codec's memories: a coefficient a multiplication, an entry of the code a symbol."""
    register_bits: int = Field(default=0, ge=0)
    """Bits that enter and leave the coder: those of the 8-bit values and those of the stream."""


IDLE = Activity()
"""No work at all."""


class SiteShape(_Part):
    """A stored tensor: C×H×W values, read ``readers`` times; ``macs`` of the convolution that makes it."""

    name: str = Field(min_length=1)
    channels: int = Field(ge=1)
    height: int = Field(ge=1)
    width: int = Field(ge=1)
    readers: int = Field(ge=1)
    macs: int = Field(ge=0)

    @property
    def values(self) -> int:
        """Activations of one image: C·H·W."""
        return self.channels * self.height * self.width


class StoredSize(_Part):
    """What one codec stores of one site: means over the images, rounded up, and the extremes.

    ``payload_bits`` are the bits of the codes; ``stream_bytes`` those of what lies in memory, header and padding
    included; ``table_bytes`` of what a decoder needs besides, once for all images. Cycles are 0 where a codec does not
    limit the pace.
    """

    payload_bits: int = Field(ge=0)
    payload_bits_range: tuple[int, int]
    stream_bytes: int = Field(ge=0)
    stream_bytes_range: tuple[int, int]
    header_bytes: int = Field(default=0, ge=0)
    table_bytes: int = Field(default=0, ge=0)
    encode_cycles: int = Field(default=0, ge=0)
    decode_cycles: int = Field(default=0, ge=0)
    encode: Activity = IDLE
    decode: Activity = IDLE

    def equal_width(self, values: int) -> int | None:
        """Bits of each of ``values`` values where all have the same, packed without a header; None otherwise."""
        low, high = self.payload_bits_range
        packed = low == high and not self.header_bytes and self.stream_bytes == -(-self.payload_bits // 8)
        return self.payload_bits // values if packed and self.payload_bits % values == 0 else None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if 8 * (self.stream_bytes - self.header_bytes) < self.payload_bits:
            raise ValueError(f"stream_bytes = {self.stream_bytes} do not hold {self.payload_bits} bits and the header")
        for name in ("payload_bits", "stream_bytes"):
            low, high = getattr(self, f"{name}_range")
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name}_range = {low}…{high} does not hold {name} = {getattr(self, name)}")
        return self


class CodecSizes(_Part):
    """One codec over all sites; ``correct`` of the images, and ``agreement`` with the uncompressed network.

    Both are None where nobody ran the network through it: values that it does not change.
    """

    name: str = Field(min_length=1)
    method: str
    """How it was calibrated, in words."""
    sites: tuple[StoredSize, ...]
    correct: int | None = None
    agreement: int | None = None


class CodecStore(_Part):
    """Every codec on the same ``images`` images of ``dataset``, with the sites in the order of execution."""

    network: str
    dataset: str
    images: int = Field(ge=1)
    correct: int = Field(ge=0)
    """Images that the uncompressed network gets right."""
    network_macs: int = Field(ge=0)
    checkpoint_sha256: str
    tables_digest: str | None = None
    sites: tuple[SiteShape, ...] = Field(min_length=1)
    codecs: tuple[CodecSizes, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        for what, names in (("site", [s.name for s in self.sites]), ("codec", [c.name for c in self.codecs])):
            for name in names:
                if names.count(name) > 1:
                    raise ValueError(f"the {what} {name!r} occurs twice")
        for codec in self.codecs:
            if len(codec.sites) != len(self.sites):
                raise ValueError(f"codec {codec.name} has {len(codec.sites)} sites of {len(self.sites)}")
        return self

    @property
    def values(self) -> int:
        """Activations of one image over all sites."""
        return sum(site.values for site in self.sites)

    def joined(self, other: Self) -> Self:
        """This store with the codecs of ``other``, measured on the same images; those of the same name replace its own.

        Raises ActcodecError naming what differs between the two.
        """
        for field in ("network", "dataset", "images", "correct", "network_macs", "checkpoint_sha256", "sites"):
            if getattr(self, field) != getattr(other, field):
                raise ActcodecError("codecs", f"{field} of the two measurements differ")
        codecs = {codec.name: codec for codec in (*self.codecs, *other.codecs)}
        digest = other.tables_digest or self.tables_digest
        return self.model_copy(update={"codecs": tuple(codecs.values()), "tables_digest": digest})

    def codec(self, name: str) -> CodecSizes:
        """The codec called ``name``; ActcodecError lists the known ones where there is none."""
        for codec in self.codecs:
            if codec.name == name:
                return codec
        known = ", ".join(codec.name for codec in self.codecs)
        raise ActcodecError("codecs", f"codec: {name!r} is unknown; known: {known}")


class _File(_Part):
    schema_: Literal["actcodec-codecs"] = Field(alias="schema")
    version: Literal[1]
    store: CodecStore


def save_codecs(store: CodecStore, path: Path) -> None:
    """Write ``store`` to ``path``. Raises ActcodecError where that cannot be written."""
    write_json(path, {"schema": SCHEMA, "version": VERSION, "store": store.model_dump(mode="json")})


def load_codecs(path: Path) -> CodecStore:
    """Read what `save_codecs` wrote. Raises ActcodecError naming file, field and value where it is something else."""
    try:
        return _File.model_validate(read_json(path)).store
    except ValidationError as error:
        raise ActcodecError(path, validation_problem(error)) from error
