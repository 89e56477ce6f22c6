"""The traffic model's results: bytes a site, cost of a frame, and the figures derived from them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from actcodec.errors import ActcodecError
from actcodec_sim.dram import DramDevice, DramEnergy
from actcodec_sim.traffic.pacing import Pacing
from actcodec_sim.traffic.site import StoredSite

if TYPE_CHECKING:
    from actcodec_sim.traffic.energy import EnergyReport

BATCHES = (1, 16)
"""Frames over which one load of the tables is shared, as reported."""
REFERENCE_BITS = (8, 16, 32)
"""Widths of uncompressed activations that a ratio is printed against."""
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class SiteResult:
    """Traffic of one site in one frame; all ``…_bytes`` fields are counted from the transactions.

    ``write_bytes`` and ``read_bytes`` move the tensor (all readers together), ``modify_bytes`` are the reads of
    read-modify-writes, ``table_bytes`` one load of the tables. ``cycles`` and ``row_hits`` (of ``requests``) are
    those of the memory-limited frame, without tables.
    """

    stored: StoredSite
    write_bytes: int
    read_bytes: int
    modify_bytes: int
    table_bytes: int
    requests: int
    row_hits: int
    cycles: int

    @property
    def accesses(self) -> int:
        """Times the whole tensor is moved: one write and one read a reader."""
        return 1 + self.stored.readers

    @property
    def payload_bytes(self) -> float:
        """Bytes of the codes over all accesses (eighths of a byte are exact)."""
        return self.accesses * self.stored.payload_bits / 8

    @property
    def padding_bytes(self) -> float:
        """Bytes that pad rows and the last byte of the stream, over all accesses."""
        return self.accesses * self.stored.stream_bytes - self.header_bytes - self.payload_bytes

    @property
    def header_bytes(self) -> int:
        """Bytes of the streams' headers, over all accesses."""
        return self.accesses * self.stored.header_bytes

    @property
    def rounding_bytes(self) -> int:
        """Counted bytes beyond the stream itself, because only whole transactions move."""
        return self.write_bytes + self.read_bytes - self.accesses * self.stored.stream_bytes

    @property
    def moved_bytes(self) -> int:
        """Counted bytes of the frame, tables left out."""
        return self.write_bytes + self.read_bytes + self.modify_bytes

    def to_json(self) -> dict[str, Any]:
        """Every figure under its name."""
        return {
            "name": self.stored.name,
            "shape": list(self.stored.shape),
            "values": self.stored.values,
            "readers": self.stored.readers,
            "payload_bits": self.stored.payload_bits,
            "stream_bytes": self.stored.stream_bytes,
            "stored_table_bytes": self.stored.table_bytes,
            "encode_cycles": self.stored.encode_cycles,
            "decode_cycles": self.stored.decode_cycles,
            "write_bytes": self.write_bytes,
            "read_bytes": self.read_bytes,
            "modify_bytes": self.modify_bytes,
            "table_bytes": self.table_bytes,
            "header_bytes": self.header_bytes,
            "payload_bytes": self.payload_bytes,
            "padding_bytes": self.padding_bytes,
            "rounding_bytes": self.rounding_bytes,
            "moved_bytes": self.moved_bytes,
            "requests": self.requests,
            "row_hits": self.row_hits,
            "cycles": self.cycles,
        }


@dataclass(frozen=True)
class FrameCost:
    """What the memory did in one frame; ``cycles`` to the last data beat, ``energy`` in pJ."""

    cycles: int
    requests: int
    row_hits: int
    activates: int
    refreshes: int
    energy: DramEnergy

    @property
    def row_hit_rate(self) -> float:
        """Share of the requests that found their row open; 0 without requests."""
        return self.row_hits / self.requests if self.requests else 0.0

    def to_json(self) -> dict[str, Any]:
        """Every figure under its name."""
        return {
            "cycles": self.cycles,
            "requests": self.requests,
            "row_hits": self.row_hits,
            "row_hit_rate": self.row_hit_rate,
            "activates": self.activates,
            "refreshes": self.refreshes,
            "energy_pj": {**asdict(self.energy), "total": self.energy.total},
        }


@dataclass(frozen=True)
class FrameCosts:
    """A frame with the tables resident in the codec, and one that loads them first."""

    resident: FrameCost
    reloaded: FrameCost

    def cycles(self, batch: int) -> float:
        """Cycles a frame where one load of the tables serves ``batch`` frames."""
        return _shared(self.resident.cycles, self.reloaded.cycles, batch)

    def energy_pj(self, batch: int) -> float:
        """Energy a frame, in pJ, where one load of the tables serves ``batch`` frames."""
        return _shared(self.resident.energy.total, self.reloaded.energy.total, batch)

    def to_json(self) -> dict[str, Any]:
        """Both frames, and what a frame costs at each batch."""
        return {
            "resident": self.resident.to_json(),
            "reloaded": self.reloaded.to_json(),
            **{
                f"batch_{batch}": {"cycles": self.cycles(batch), "energy_pj": self.energy_pj(batch)}
                for batch in BATCHES
            },
        }


def _shared(resident: float, reloaded: float, batch: int) -> float:
    return resident + (reloaded - resident) / batch


@dataclass(frozen=True)
class CodecTraffic:
    """One codec's frame: ``memory_limited`` as fast as the memory goes, ``paced`` by codec and accelerator."""

    codec: str
    sites: tuple[SiteResult, ...]
    memory_limited: FrameCosts
    paced: FrameCosts

    @property
    def values(self) -> int:
        """Activations of the frame, over all sites."""
        return sum(site.stored.values for site in self.sites)

    @property
    def accessed_values(self) -> int:
        """Activations moved: every site counted once for its write and once a reader."""
        return sum(site.stored.values * site.accesses for site in self.sites)

    @property
    def table_bytes(self) -> int:
        """Counted bytes of one load of all tables."""
        return sum(site.table_bytes for site in self.sites)

    def moved_bytes(self, batch: int) -> float:
        """Counted bytes a frame, tables shared by ``batch`` frames included."""
        return sum(site.moved_bytes for site in self.sites) + self.table_bytes / batch

    def bpv_stream(self) -> float:
        """Bits per value of the streams: 8 · stream bytes / values."""
        return 8 * sum(site.stored.stream_bytes for site in self.sites) / self.values

    def bpv_net(self, batch: int) -> float:
        """Bits per value with reloaded tables: 8 · (stream bytes + table bytes / batch) / values."""
        stream = sum(site.stored.stream_bytes for site in self.sites)
        return 8 * (stream + sum(site.stored.table_bytes for site in self.sites) / batch) / self.values

    def ratio(self, bits: int, batch: int) -> float:
        """Bytes of uncompressed ``bits``-bit values, each access counted, without rounding, / ``moved_bytes``."""
        return self.accessed_values * bits / 8 / self.moved_bytes(batch)

    def to_json(self) -> dict[str, Any]:
        """Totals, derived figures and sites."""
        return {
            "codec": self.codec,
            "values": self.values,
            "accessed_values": self.accessed_values,
            "write_bytes": sum(site.write_bytes for site in self.sites),
            "read_bytes": sum(site.read_bytes for site in self.sites),
            "modify_bytes": sum(site.modify_bytes for site in self.sites),
            "table_bytes": self.table_bytes,
            "stream_bytes": sum(site.stored.stream_bytes for site in self.sites),
            "payload_bits": sum(site.stored.payload_bits for site in self.sites),
            "bpv_stream": self.bpv_stream(),
            **{
                f"batch_{batch}": {
                    "moved_bytes": self.moved_bytes(batch),
                    "bpv_net": self.bpv_net(batch),
                    "ratio": {f"{bits}_bit": self.ratio(bits, batch) for bits in REFERENCE_BITS},
                }
                for batch in BATCHES
            },
            "memory_limited": self.memory_limited.to_json(),
            "paced": self.paced.to_json(),
            "sites": [site.to_json() for site in self.sites],
        }


@dataclass(frozen=True)
class TrafficReport:
    """Codecs side by side on one device; ``provenance`` says what was measured (free text by name).

    ``energy`` holds codec and network energy beside the memory's, where the codecs' work is known.
    """

    device: DramDevice
    pacing: Pacing
    queue_depth: int
    codecs: tuple[CodecTraffic, ...]
    provenance: dict[str, str]
    energy: EnergyReport | None = None

    def codec(self, name: str) -> CodecTraffic:
        """The codec called ``name``; ActcodecError lists the known ones where there is none."""
        for codec in self.codecs:
            if codec.codec == name:
                return codec
        known = ", ".join(codec.codec for codec in self.codecs)
        raise ActcodecError("traffic report", f"codec: {name!r} is unknown; known: {known}")

    def to_json(self) -> dict[str, Any]:
        """The whole report as JSON types; bytes, cycles of tCK and pJ."""
        return {
            "schema": "actcodec-traffic",
            "version": SCHEMA_VERSION,
            "provenance": self.provenance,
            "device": {
                **self.device.model_dump(),
                "transaction_bytes": self.device.transaction_bytes,
                "queue_depth": self.queue_depth,
            },
            "pacing": asdict(self.pacing),
            "codecs": [codec.to_json() for codec in self.codecs],
            **({} if self.energy is None else {"energy": self.energy.to_json()}),
        }
