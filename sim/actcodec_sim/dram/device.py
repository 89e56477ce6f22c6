"""A DRAM device as a TOML file describes it: organization, timing and currents under their JEDEC names."""

# ruff: noqa: N815 - the fields carry the JEDEC names (tRCD, tRRD_S …), in the TOML files as in the code.

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from actcodec.configs import find_config
from actcodec.errors import ActcodecError
from actcodec.files import read_bytes
from actcodec.params import validation_problem

Cycles = Annotated[int, Field(ge=0, le=1_000_000)]
"""A number of clock cycles of tCK."""
PositiveCycles = Annotated[int, Field(ge=1, le=1_000_000)]
Milliampere = Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)]
Source = Annotated[str, Field(min_length=1)]

MAX_BANKS = 4096
MAPPING_FIELDS = ("ro", "ch", "ra", "ba", "bg", "co")
"""Row, channel, rank, bank, bank group, column: the parts that an address mapping orders."""


class _Section(BaseModel):
    """A part of the file: no unknown field, no conversion from another type, never changed after loading."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    source: Source


class Organization(_Section):
    """Geometry of the memory; every count is a power of two.

    ``channels`` are independent, each with a controller, a command bus and a data bus of ``bus_width`` bits.
    ``columns`` counts columns of ``device_width`` bits in one device's row; a transaction is one burst over
    the whole bus, ``bus_width / 8 · burst_length`` bytes. ``transfers_per_cycle`` counts data beats of a cycle of tCK:
    2 where data go at double the command clock, 8 for LPDDR5 with its data clock four times as fast.
    ``mapping`` orders the address fields from the most to the least significant (``rochrababgco``: column
    lowest).
    """

    channels: int = 1
    ranks: int
    bank_groups: int
    banks_per_group: int
    rows: int
    columns: int
    device_width: int
    bus_width: int
    burst_length: int
    transfers_per_cycle: int = 2
    mapping: str

    @model_validator(mode="after")
    def _check(self) -> Self:
        for field in (
            "channels",
            "ranks",
            "bank_groups",
            "banks_per_group",
            "rows",
            "columns",
            "device_width",
            "bus_width",
            "burst_length",
            "transfers_per_cycle",
        ):
            value: int = getattr(self, field)
            if value < 1 or value & (value - 1) or value > 1 << 24:
                raise ValueError(f"{field} = {value} is not a power of two from 1 to 2^24")
        banks = self.channels * self.ranks * self.bank_groups * self.banks_per_group
        if banks > MAX_BANKS:
            raise ValueError(f"{banks} banks in all: more than {MAX_BANKS}")
        least = max(2, self.transfers_per_cycle)
        if self.burst_length < least or self.burst_length > self.columns:
            raise ValueError(f"burst_length = {self.burst_length} is outside {least}…columns ({self.columns})")
        if self.bus_width < max(8, self.device_width):
            raise ValueError(f"bus_width = {self.bus_width} is below 8 or below device_width = {self.device_width}")
        fields = [self.mapping[i : i + 2] for i in range(0, len(self.mapping), 2)]
        if sorted(fields) != sorted(MAPPING_FIELDS):
            raise ValueError(f"mapping = {self.mapping!r} is not an order of {', '.join(MAPPING_FIELDS)}, each once")
        return self


class TimingParameters(_Section):
    """JEDEC timing: ``tCK`` in nanoseconds, everything else in cycles of tCK.

    ``_S`` is to another bank group of the rank, ``_L`` to the same one. ``tRTRS`` is the idle time on the
    data bus when its driver changes: from one rank to another, or from a read to a write. ``tPPD`` is from a precharge
    to one of another bank of the rank; 1, a cycle of the command bus, where the standard knows none (DDR4).
    """

    tCK: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
    CL: PositiveCycles
    CWL: PositiveCycles
    tRCD: PositiveCycles
    tRP: PositiveCycles
    tRAS: PositiveCycles
    tRC: PositiveCycles
    tRRD_S: PositiveCycles
    tRRD_L: PositiveCycles
    tFAW: PositiveCycles
    tCCD_S: PositiveCycles
    tCCD_L: PositiveCycles
    tWTR_S: Cycles
    tWTR_L: Cycles
    tRTP: PositiveCycles
    tWR: PositiveCycles
    tPPD: PositiveCycles = 1
    tRTRS: Cycles
    tREFI: PositiveCycles
    tRFC: PositiveCycles

    @model_validator(mode="after")
    def _check(self) -> Self:
        for low, high in (
            ("tCCD_S", "tCCD_L"),
            ("tRRD_S", "tRRD_L"),
            ("tWTR_S", "tWTR_L"),
            ("tRRD_S", "tFAW"),
            ("tRCD", "tRAS"),
            ("tRAS", "tRC"),
        ):
            if getattr(self, high) < getattr(self, low):
                raise ValueError(f"{high} = {getattr(self, high)} is below {low} = {getattr(self, low)}")
        busy = self.tRAS + self.tRP + self.tRFC
        if self.tREFI <= busy:
            raise ValueError(f"tREFI = {self.tREFI} leaves no time for work: tRAS + tRP + tRFC = {busy}")
        return self


class PowerParameters(_Section):
    """Supply voltage in volts and JEDEC IDD currents in milliamperes, per device.

    ``cycle_ns``: nanoseconds for which a cycle's current is charged, where that is not tCK. The two presets of the
    reference simulator have 1, for its energies, in pJ by name, are mW · cycles.
    """

    VDD: Annotated[float, Field(gt=0, le=5, allow_inf_nan=False)]
    IDD0: Milliampere
    IDD2N: Milliampere
    IDD3N: Milliampere
    IDD4R: Milliampere
    IDD4W: Milliampere
    IDD5B: Milliampere
    cycle_ns: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        # Each of these is charged above standby; below it, a command would give energy back.
        for active in ("IDD4R", "IDD4W", "IDD5B"):
            if getattr(self, active) < self.IDD3N:
                raise ValueError(f"{active} = {getattr(self, active)} is below IDD3N = {self.IDD3N}")
        if self.IDD3N < self.IDD2N:
            raise ValueError(f"IDD3N = {self.IDD3N} is below IDD2N = {self.IDD2N}")
        if self.IDD0 < self.IDD3N:
            raise ValueError(f"IDD0 = {self.IDD0} is below IDD3N = {self.IDD3N}")
        return self


class DramDevice(BaseModel):
    """A memory of equal channels: its name, how far its model was validated, and its three groups of figures."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1)]
    validation: Annotated[str, Field(min_length=1)]
    organization: Organization
    timing: TimingParameters
    power: PowerParameters

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.timing.CL + self.burst_cycles + self.timing.tRTRS <= self.timing.CWL:
            raise ValueError(f"timing.CWL = {self.timing.CWL} lets a write overtake a read on the data bus")
        return self

    @property
    def burst_cycles(self) -> int:
        """Cycles that one burst holds the data bus: burst_length / transfers_per_cycle."""
        return self.organization.burst_length // self.organization.transfers_per_cycle

    @property
    def transaction_bytes(self) -> int:
        """Bytes of one burst over the whole bus: bus_width / 8 · burst_length."""
        return self.organization.bus_width * self.organization.burst_length // 8

    @property
    def page_bytes(self) -> int:
        """Bytes of one open row over the whole bus: columns · bus_width / 8."""
        return self.organization.columns * self.organization.bus_width // 8

    @property
    def capacity_bytes(self) -> int:
        """Bytes of all channels: pages of every row of every bank of every rank."""
        org = self.organization
        return self.page_bytes * org.rows * org.banks_per_group * org.bank_groups * org.ranks * org.channels

    @property
    def devices_per_rank(self) -> int:
        """Devices that share a command: bus_width / device_width."""
        return self.organization.bus_width // self.organization.device_width

    @property
    def peak_bytes_per_second(self) -> float:
        """Bandwidth of all data buses with no gap: channels · transaction bytes / (burst cycles · tCK)."""
        return self.organization.channels * self.transaction_bytes / (self.burst_cycles * self.timing.tCK * 1e-9)


def load_device(source: str | Path) -> DramDevice:
    """Load a device description: a TOML file, or the name of one in configs/dram.

    Raises ActcodecError naming the file, the field and its value where the file is missing, is not TOML,
    lacks a field, has an unknown one, or holds a value out of range.
    """
    path = find_config("dram", source)
    try:
        content: dict[str, Any] = tomllib.loads(read_bytes(path).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ActcodecError(path, f"is not TOML: {error}") from error
    try:
        return DramDevice.model_validate(content)
    except ValidationError as error:
        raise ActcodecError(path, validation_problem(error)) from error
