"""Format v1 in memory: the frozen integers of every site, checked when they are made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from actcodec.errors import ActcodecError
from actcodec.params import MAX_LEFT_SHIFT, MAX_SHIFT, MAX_WIDTH, CodecParams, Order, Transform
from actcodec.tables.accumulators import decode_accumulator_range, encode_accumulator_range
from actcodec.tables.geometry import Plane, SiteSizes, planes_of, sizes_of

SCHEMA = "actcodec-tables"
VERSION = 1

Int8Array = NDArray[np.int8]
Residency = Literal["resident", "reloaded"]


class Block(BaseModel):
    """Contiguous channels and the contiguous coefficients that are computed from them: half-open ranges."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: tuple[int, int]
    coefficients: tuple[int, int]


class SiteInfo(BaseModel):
    """Everything of a site that is not an array; field by field what ``manifest.json`` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=200)
    channels: int = Field(ge=1, le=65536)
    height: int = Field(ge=1, le=65536)
    width: int = Field(ge=1, le=65536)
    transform: Transform
    order: Order = "position-major"
    align_bits: int = Field(ge=8, le=1 << 20)
    """Row pitch is a multiple of this many bits (the bus word, or the DRAM transaction)."""
    scale: float = Field(gt=0, allow_inf_nan=False)
    """Real value of one step of x."""
    zero: int = Field(ge=0, le=255)
    low: int = Field(ge=0, le=255)
    high: int = Field(ge=0, le=255)
    output_shift: int = Field(ge=0, le=MAX_SHIFT)
    """t, the decoder's right shift."""
    readers: int = Field(ge=1, le=1024)
    """Consumers that read, and so decode, the stored tensor."""
    blocks: tuple[Block, ...] = Field(min_length=1)

    @property
    def values(self) -> int:
        """Activations of one image: C·H·W."""
        return self.channels * self.height * self.width


@dataclass(frozen=True, eq=False)
class SiteArrays:
    """The integers of a site: C channels, K coefficients, ``b`` channels in the codec's block.

    P[k, i] multiplies channel ``start of k's block + i``; R[c, i] multiplies coefficient ``start of c's block + i``.
    Entries beyond a block's size are 0.
    """

    P: Int8Array
    """(K, b) int8."""
    R: Int8Array
    """(C, b) int8."""
    bias: NDArray[np.int32]
    """(K,) int32, added to the encoder's accumulator."""
    shift: NDArray[np.uint8]
    """(K,) s_k, 0…31."""
    width: NDArray[np.uint8]
    """(K,) b_k, 0…8; 0 = not computed, not stored."""
    left_shift: NDArray[np.uint8]
    """(K,) e_k, 0…7."""
    group: NDArray[np.uint16]
    """(K,) learning's unit of width that the coefficient belongs to; recorded, hardware does not see it."""
    bias_out: NDArray[np.int32]
    """(C,) int32, bias' of the decoder."""
    channel_order: NDArray[np.uint16]
    """(C,) the network's original channel that is stored at each place; recorded, folded into weights."""
    acc_range: NDArray[np.int64] | None = None
    """(K, 2) int64, folded sites only: lowest and highest sum of the convolution, over all of its inputs."""

    def items(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Name and array of every field that the site has, in the order of the format."""
        for field in fields(self):
            if getattr(self, field.name) is not None:
                yield field.name, getattr(self, field.name)


def array_names(transform: Transform) -> tuple[str, ...]:
    """Names of the arrays of a site, in the order of the format."""
    return tuple(field.name for field in fields(SiteArrays) if field.name != "acc_range" or transform == "folded")


@dataclass(frozen=True, eq=False)
class SiteTable:
    """One site of the tables, checked against itself and against the codec's parameters.

    Raises ActcodecError naming the site, the field and the value when something does not fit.
    """

    info: SiteInfo
    arrays: SiteArrays
    params: CodecParams

    def __post_init__(self) -> None:
        self._check_geometry()
        self._check_arrays()
        self._check_accumulators()

    def _fail(self, problem: str) -> ActcodecError:
        return ActcodecError(f"site {self.info.name}", problem)

    def _check_geometry(self) -> None:
        info, params = self.info, self.params
        if info.transform not in params.transforms:
            raise self._fail(f"transform = {info.transform!r} is not supported by this codec build")
        if info.order not in params.orders:
            raise self._fail(f"order = {info.order!r} is not supported by this codec build")
        if info.align_bits % params.word_bits:
            raise self._fail(f"align_bits = {info.align_bits} is not a multiple of word_bits = {params.word_bits}")
        if info.channels > params.max_channels:
            raise self._fail(f"channels = {info.channels} exceeds the codec's max_channels = {params.max_channels}")
        for side in ("height", "width"):
            if getattr(info, side) > params.max_side:
                raise self._fail(f"{side} = {getattr(info, side)} exceeds the codec's max_side = {params.max_side}")
        if not info.low <= info.zero <= info.high:
            raise self._fail(f"zero = {info.zero} is outside low…high = {info.low}…{info.high}")
        channel, coefficient = 0, 0
        for number, block in enumerate(info.blocks):
            (c0, c1), (k0, k1) = block.channels, block.coefficients
            if c0 != channel or k0 != coefficient or c1 <= c0 or k1 < k0:
                raise self._fail(
                    f"blocks[{number}] = {c0}…{c1}, {k0}…{k1} does not continue at {channel}, {coefficient}"
                )
            if c1 - c0 > params.block:
                raise self._fail(f"blocks[{number}] has {c1 - c0} channels; the codec's block is {params.block}")
            if k1 - k0 > c1 - c0:
                raise self._fail(f"blocks[{number}] has {k1 - k0} coefficients for {c1 - c0} channels")
            channel, coefficient = c1, k1
        if channel != info.channels:
            raise self._fail(f"blocks cover {channel} of {info.channels} channels")
        if coefficient > params.max_coefficients:
            raise self._fail(
                f"coefficients = {coefficient} exceeds the codec's max_coefficients = {params.max_coefficients}"
            )

    def _check_arrays(self) -> None:
        C, K, b = self.info.channels, self.coefficients, self.params.block
        expected: dict[str, tuple[tuple[int, ...], str]] = {
            "P": ((K, b), "int8"),
            "R": ((C, b), "int8"),
            "bias": ((K,), "int32"),
            "shift": ((K,), "uint8"),
            "width": ((K,), "uint8"),
            "left_shift": ((K,), "uint8"),
            "group": ((K,), "uint16"),
            "bias_out": ((C,), "int32"),
            "channel_order": ((C,), "uint16"),
            "acc_range": ((K, 2), "int64"),
        }
        names, known = tuple(name for name, _ in self.arrays.items()), array_names(self.info.transform)
        if names != known:
            odd = sorted(set(names) ^ set(known))[0]
            raise self._fail(f"transform = {self.info.transform!r} {'needs' if odd in known else 'has no'} {odd}")
        for name, array in self.arrays.items():
            shape, dtype = expected[name]
            if array.shape != shape or array.dtype != np.dtype(dtype):
                raise self._fail(f"{name} is {array.dtype}{list(array.shape)}, expected {dtype}{list(shape)}")
        for name, limit in (("width", MAX_WIDTH), ("shift", MAX_SHIFT), ("left_shift", MAX_LEFT_SHIFT)):
            array = getattr(self.arrays, name)
            if K and int(array.max()) > limit:
                k = int(array.argmax())
                raise self._fail(f"{name}[{k}] = {int(array[k])} is out of range 0…{limit}")
        if not np.array_equal(np.sort(self.arrays.channel_order), np.arange(C)):
            raise self._fail("channel_order is not a permutation of the channels")
        for number, block in enumerate(self.info.blocks):
            (c0, c1), (k0, k1) = block.channels, block.coefficients
            if self.arrays.P[k0:k1, c1 - c0 :].any() or self.arrays.R[c0:c1, k1 - k0 :].any():
                raise self._fail(f"blocks[{number}]: P or R has entries outside its block")
        if self.info.transform in ("identity", "bypass"):
            self._check_diagonal()
        if self.arrays.acc_range is not None:
            self._check_folded(self.arrays.acc_range)

    def _check_folded(self, acc_range: NDArray[np.int64]) -> None:
        """The convolution has a row for every coefficient, all of them are stored, and its sum can be 0."""
        if not self.coefficients:
            raise self._fail("transform = 'folded' stores nothing: K = 0")
        if self.arrays.P.any():
            raise self._fail("transform = 'folded' has entries in P, which is part of the convolution")
        if not self.arrays.width.all():
            k = int(self.arrays.width.argmin())
            raise self._fail(f"width[{k}] = 0: transform = 'folded' has stored coefficients only")
        bad = np.flatnonzero((acc_range[:, 0] > 0) | (acc_range[:, 1] < 0))
        if bad.size:
            low, high = (int(v) for v in acc_range[bad[0]])
            raise self._fail(f"acc_range[{int(bad[0])}] = {low}…{high} does not hold 0")

    def _check_diagonal(self) -> None:
        """Identity and bypass hold one multiplication a channel; bypass returns every byte of low…high unchanged."""
        transform, arrays = self.info.transform, self.arrays
        if self.coefficients != self.info.channels:
            raise self._fail(f"transform = {transform!r} needs K = C, got K = {self.coefficients}")
        for block in self.info.blocks:
            (c0, c1), size = block.channels, block.channels[1] - block.channels[0]
            off = ~np.eye(size, dtype=bool)
            if arrays.P[c0:c1, :size][off].any() or arrays.R[c0:c1, :size][off].any():
                raise self._fail(f"transform = {transform!r} has entries off the diagonal in channels {c0}…{c1}")
        if transform != "bypass":
            return
        place = np.arange(self.info.channels) - self.block_start[:, 0]
        rows = np.arange(self.info.channels)
        plain = (
            (arrays.P[rows, place] == 1).all()
            and (arrays.R[rows, place] == 1).all()
            and (arrays.width == MAX_WIDTH).all()
            and not arrays.shift.any()
            and not arrays.left_shift.any()
            and (arrays.bias == self.info.zero).all()
            and (arrays.bias_out == -self.info.zero).all()
            and self.info.output_shift == 0
        )
        if not plain:
            raise self._fail("transform = 'bypass' does not return its bytes unchanged")

    def _check_accumulators(self) -> None:
        limit = 1 << (self.params.acc_bits - 1)
        for name, (low, high) in (
            ("encoder", encode_accumulator_range(self)),
            ("decoder", decode_accumulator_range(self)),
        ):
            bad = np.flatnonzero((low < -limit) | (high > limit - 1))
            if bad.size:
                i = int(bad[0])
                raise self._fail(
                    f"{name} accumulator {i} reaches {int(low[i])}…{int(high[i])}, "
                    f"more than acc_bits = {self.params.acc_bits} hold"
                )

    @property
    def coefficients(self) -> int:
        """K: coefficients of the table, those of width 0 included."""
        return self.info.blocks[-1].coefficients[1]

    @property
    def encoder_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of the activations that the encoder takes; of a folded site (H, W, K) of the accumulators."""
        depth = self.coefficients if self.info.transform == "folded" else self.info.channels
        return self.info.height, self.info.width, depth

    @cached_property
    def block_start(self) -> NDArray[np.int64]:
        """(C, 2): first channel and first coefficient of every channel's block."""
        start = np.zeros((self.info.channels, 2), dtype=np.int64)
        for block in self.info.blocks:
            start[block.channels[0] : block.channels[1]] = (block.channels[0], block.coefficients[0])
        return start

    @cached_property
    def planes(self) -> tuple[Plane, ...]:
        """The regions of the stream: one in position-major order, one a block in block-major order."""
        return planes_of(self.info, self.arrays.width)

    def sizes(self, transaction_bytes: int) -> SiteSizes:
        """Payload bits, stream bytes and transaction bytes of one image."""
        return sizes_of(self.planes, self.info.height, self.info.width, transaction_bytes)

    @property
    def table_bytes(self) -> int:
        """Bytes of the tables as format v1 accounts for them (bypass needs none).

        P and R a byte an entry of the block (of the diagonal for identity), biases 4 bytes, s_k and e_k a byte
        together, widths 4 bits. Coefficients of width 0 cost their width only. t is a byte. A folded site has no P.
        """
        if self.info.transform == "bypass":
            return 0
        entries, kept = self.encode_multiplications + self.decode_multiplications, int((self.arrays.width > 0).sum())
        return entries + 4 * (kept + self.info.channels) + kept + (self.coefficients + 1) // 2 + 1

    @property
    def encode_multiplications(self) -> int:
        """Multiplications of the encoder a position; a folded site's are the convolution's."""
        return 0 if self.info.transform == "folded" else self.decode_multiplications

    @property
    def decode_multiplications(self) -> int:
        """Multiplications to decode one position; bypass needs none."""
        if self.info.transform == "bypass":
            return 0
        if self.info.transform == "identity":
            return int((self.arrays.width > 0).sum())
        total = 0
        for block in self.info.blocks:
            kept = int((self.arrays.width[slice(*block.coefficients)] > 0).sum())
            total += kept * (block.channels[1] - block.channels[0])
        return total

    @property
    def macs(self) -> int:
        """Multiplications an image: one encode and one decode a reader."""
        a_position = self.encode_multiplications + self.info.readers * self.decode_multiplications
        return a_position * self.info.height * self.info.width


class Provenance(BaseModel):
    """Where the tables come from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: str
    dataset: str
    method: str
    seed: int
    target_bits: float
    table_batch: int = Field(ge=1)
    checkpoint_sha256: str
    plan_sha256: str
    network_macs: int = Field(ge=0)
    codec_mac_share: float = Field(ge=0)
    actcodec_version: str
    convolutions_sha256: str | None = None
    """Tables of folded sites: the convolutions that compute them (`actcodec.tables.convolutions`)."""


class _Totals:
    """Sums over sites, which whoever has some inherits."""

    sites: tuple[SiteTable, ...]

    @property
    def values(self) -> int:
        """Activations of one image over all sites."""
        return sum(site.info.values for site in self.sites)

    @property
    def stream_bytes(self) -> int:
        """Stream bytes of one image over all sites."""
        return sum(site.sizes(1).stream_bytes for site in self.sites)

    @property
    def table_bytes(self) -> int:
        """Table bytes over all sites."""
        return sum(site.table_bytes for site in self.sites)

    @property
    def bpv_stream(self) -> float:
        """8 · stream bytes / values."""
        return 8 * self.stream_bytes / self.values

    @property
    def bpv_relu(self) -> float | None:
        """bpv_stream over outputs of a ReLU (low = zero) only, the narrower count of published figures.

        None where there is no such site.
        """
        sites = [site for site in self.sites if site.info.low == site.info.zero]
        if not sites:
            return None
        stream = sum(site.sizes(1).stream_bytes for site in sites)
        return 8 * stream / sum(site.info.values for site in sites)

    def bpv_net(self, batch: int) -> float:
        """8 · (stream bytes + table bytes / batch) / values: tables reloaded once a batch."""
        return 8 * (self.stream_bytes + self.table_bytes / batch) / self.values


@dataclass(frozen=True, eq=False)
class SiteTotals(_Totals):
    """The sums over any sites: over those of several tables."""

    sites: tuple[SiteTable, ...]


@dataclass(frozen=True, eq=False)
class Tables(_Totals):
    """The whole of format v1's tables: what golden model, RTL and traffic model read."""

    params: CodecParams
    sites: tuple[SiteTable, ...]
    provenance: Provenance
    residency: Residency = "resident"
    transaction_bytes: int = 64
    """DRAM transaction that the transaction bytes are counted in."""

    def __post_init__(self) -> None:
        if not self.sites:
            raise ActcodecError("tables", "sites is empty")
        if len(self.sites) > self.params.max_sites:
            raise ActcodecError("tables", f"{len(self.sites)} sites exceed max_sites = {self.params.max_sites}")
        names = [site.info.name for site in self.sites]
        for name in names:
            if names.count(name) > 1:
                raise ActcodecError("tables", f"site name {name!r} is not unique")
        if self.transaction_bytes < 1 or self.transaction_bytes & (self.transaction_bytes - 1):
            raise ActcodecError("tables", f"transaction_bytes = {self.transaction_bytes} is not a power of two")

    def site(self, name: str) -> SiteTable:
        """The site called ``name``; ActcodecError lists the known ones where there is none."""
        for site in self.sites:
            if site.info.name == name:
                return site
        known = ", ".join(site.info.name for site in self.sites)
        raise ActcodecError("tables", f"site = {name!r} is unknown; known: {known}")

    @property
    def orders(self) -> dict[int, NDArray[np.int64]]:
        """The channel orders, by number of the site, of sites that are not stored in the network's own."""
        orders = {number: site.arrays.channel_order.astype(np.int64) for number, site in enumerate(self.sites)}
        return {number: order for number, order in orders.items() if not np.array_equal(order, np.arange(len(order)))}
