"""Results of a network on an accelerator: traffic, time and bound of each unit, and their sums."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from actcodec.errors import ActcodecError
from actcodec_sim.accelerator.config import Accelerator
from actcodec_sim.accelerator.tiling import Tiling
from actcodec_sim.accelerator.timing import RESOURCES, Resource, UnitTime
from actcodec_sim.dram import DramDevice

if TYPE_CHECKING:
    from actcodec_sim.accelerator.energy import AcceleratorEnergy

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class UnitBytes:
    """Bytes that a unit moves, counted from its transactions.

    ``activations`` are tensors of sites, ``others`` tensors without one (the network's input and output, pooled
    tensors), which are never coded; ``modify`` are the reads before partial writes of sites, those of others are in
    ``others_read``.
    """

    activations_read: int = 0
    activations_write: int = 0
    others_read: int = 0
    others_write: int = 0
    modify: int = 0
    weights: int = 0
    tables: int = 0

    @property
    def activations(self) -> int:
        """Bytes of sites: reads, writes, and reads before partial writes."""
        return self.activations_read + self.activations_write + self.modify

    @property
    def others(self) -> int:
        """Bytes of tensors without a site."""
        return self.others_read + self.others_write

    @property
    def total(self) -> int:
        """All bytes."""
        return self.activations + self.others + self.weights + self.tables

    def __add__(self, other: UnitBytes) -> UnitBytes:
        return UnitBytes(**{name: value + getattr(other, name) for name, value in asdict(self).items()})

    def to_json(self) -> dict[str, int]:
        """Every part under its name, and the total."""
        return {**asdict(self), "total": self.total}


@dataclass(frozen=True)
class UnitResult:
    """One layer, or several that are fused depth first.

    ``compute_cycles`` are the array's alone, ``cycles`` of its clock the whole; ``memory_bytes`` what each memory has
    to hold, ``staging_bytes`` the part of it that waits for the encoder; ``resident`` names tensors that are on the
    chip as a whole, ``reread_bytes`` are those of reads beyond every input and weight once. ``site_reads`` are the
    times that each site is read and, where it is coded, decoded: by positions, 1 being the whole tensor once;
    ``site_writes`` names those that are written.
    """

    name: str
    layers: tuple[str, ...]
    kinds: tuple[str, ...]
    macs: int
    tiling: Tiling
    tiles: int
    bytes: UnitBytes
    time: UnitTime
    compute_cycles: int
    cycles: int
    multipliers: int
    memory_bytes: dict[str, int]
    staging_bytes: int
    resident: tuple[str, ...]
    site_reads: dict[str, float]
    site_writes: tuple[str, ...]
    reread_bytes: int
    requests: int
    row_hits: int
    energy_pj: float

    @property
    def label(self) -> str:
        """A short name: the layer, or the first and the last one of a chain."""
        return self.name if len(self.layers) == 1 else f"{self.layers[0]} … {self.layers[-1]}"

    @property
    def bound(self) -> Resource:
        """What the unit waits for most."""
        return self.time.bound

    @property
    def utilization(self) -> float:
        """Share of the array's multiplications over the unit's whole time that are the network's."""
        return self.macs / (self.cycles * self.multipliers) if self.cycles else 0.0

    @property
    def array_utilization(self) -> float:
        """The same while the array computes: what the mapping leaves of it."""
        return self.macs / (self.compute_cycles * self.multipliers) if self.compute_cycles else 0.0

    @property
    def intensity(self) -> float:
        """Operational intensity: multiplications a byte moved; 0 where none is."""
        return self.macs / self.bytes.total if self.bytes.total else 0.0

    def to_json(self) -> dict[str, Any]:
        """Every figure under its name."""
        return {
            "name": self.name,
            "layers": list(self.layers),
            "kinds": list(self.kinds),
            "macs": self.macs,
            "bound": self.bound,
            "cycles": self.cycles,
            "nanoseconds": self.time.total,
            "compute_cycles": self.compute_cycles,
            "busy_ns": self.time.busy,
            "bounding_ns": self.time.bounding,
            "utilization": self.utilization,
            "array_utilization": self.array_utilization,
            "intensity": self.intensity,
            "bytes": self.bytes.to_json(),
            "reread_bytes": self.reread_bytes,
            "tiling": asdict(self.tiling),
            "tiles": self.tiles,
            "memory_bytes": self.memory_bytes,
            "staging_bytes": self.staging_bytes,
            "resident": list(self.resident),
            "site_reads": self.site_reads,
            "site_writes": list(self.site_writes),
            "requests": self.requests,
            "row_hits": self.row_hits,
            "energy_pj": self.energy_pj,
        }


@dataclass(frozen=True)
class AcceleratorRun:
    """One codec's frame; ``idle_energy_pj`` is what the memory takes while it waits for the chip."""

    codec: str
    units: tuple[UnitResult, ...]
    idle_energy_pj: float

    @property
    def bytes(self) -> UnitBytes:
        """Bytes of the frame."""
        total = UnitBytes()
        for unit in self.units:
            total += unit.bytes
        return total

    @property
    def cycles(self) -> int:
        """Cycles of the array's clock, one unit after another."""
        return sum(unit.cycles for unit in self.units)

    @property
    def nanoseconds(self) -> float:
        """Time of the frame."""
        return math.fsum(unit.time.total for unit in self.units)

    @property
    def energy_pj(self) -> float:
        """Energy of the memory for the frame, waiting included."""
        return math.fsum(unit.energy_pj for unit in self.units) + self.idle_energy_pj

    @property
    def macs(self) -> int:
        """Multiplications of the network."""
        return sum(unit.macs for unit in self.units)

    @property
    def utilization(self) -> float:
        """Share of the array's multiplications over the whole time that are the network's."""
        return self.macs / (self.cycles * self.units[0].multipliers) if self.cycles else 0.0

    @property
    def staging_bytes(self) -> int:
        """The largest staging of any unit: the SRAM to build."""
        return max(unit.staging_bytes for unit in self.units)

    def bounds(self) -> dict[Resource, float]:
        """Share of the time that is spent in units bound by each resource."""
        total = self.nanoseconds
        return {
            name: math.fsum(u.time.total for u in self.units if u.bound == name) / total if total else 0.0
            for name in RESOURCES
        }

    def to_json(self) -> dict[str, Any]:
        """Totals and units."""
        return {
            "codec": self.codec,
            "macs": self.macs,
            "cycles": self.cycles,
            "nanoseconds": self.nanoseconds,
            "frames_per_second": 1e9 / self.nanoseconds if self.nanoseconds else None,
            "utilization": self.utilization,
            "bounds": self.bounds(),
            "bytes": self.bytes.to_json(),
            "reread_bytes": sum(unit.reread_bytes for unit in self.units),
            "intensity": self.macs / self.bytes.total if self.bytes.total else 0.0,
            "staging_bytes": self.staging_bytes,
            "energy_pj": self.energy_pj,
            "idle_energy_pj": self.idle_energy_pj,
            "units": [unit.to_json() for unit in self.units],
        }


@dataclass(frozen=True)
class AcceleratorReport:
    """A network on an accelerator with a memory, codecs side by side; ``provenance`` is free text by name.

    ``energy`` holds codec and network energy beside the memory's, where the codecs' work is known.
    """

    network: str
    accelerator: Accelerator
    device: DramDevice
    plan_by: str
    tables: str
    runs: tuple[AcceleratorRun, ...]
    provenance: dict[str, str]
    energy: AcceleratorEnergy | None = None

    def run(self, codec: str) -> AcceleratorRun:
        """The run of ``codec``; ActcodecError lists the known ones where there is none."""
        for run in self.runs:
            if run.codec == codec:
                return run
        known = ", ".join(run.codec for run in self.runs)
        raise ActcodecError("accelerator report", f"codec: {codec!r} is unknown; known: {known}")

    @property
    def ridge(self) -> float:
        """Multiplications a byte at which a roofline bends: peak of the array / peak of the memory."""
        array = self.accelerator.array
        peak = array.rows * array.columns * self.accelerator.clock.mhz * 1e6
        return peak / self.device.peak_bytes_per_second

    def to_json(self) -> dict[str, Any]:
        """The whole report as JSON types; bytes, cycles of the array's clock, nanoseconds and pJ."""
        return {
            "schema": "actcodec-accelerator",
            "version": SCHEMA_VERSION,
            "network": self.network,
            "provenance": self.provenance,
            "accelerator": self.accelerator.model_dump(mode="json"),
            "device": {**self.device.model_dump(), "transaction_bytes": self.device.transaction_bytes},
            "plan_by": self.plan_by,
            "tables": self.tables,
            "ridge_macs_per_byte": self.ridge,
            "codecs": [run.to_json() for run in self.runs],
            **({} if self.energy is None else {"energy": self.energy.to_json()}),
        }
