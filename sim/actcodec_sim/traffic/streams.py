"""A frame as a list of memory streams: tables, then one write and the reads of every site, at allocated addresses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from actcodec.errors import ActcodecError
from actcodec_sim.dram import DramDevice
from actcodec_sim.traffic.pacing import Pacing
from actcodec_sim.traffic.site import StoredSite


class StreamKind(Enum):
    """Why a stream is moved."""

    TABLE = "table"
    WRITE = "write"
    READ = "read"


@dataclass(frozen=True)
class Stream:
    """``size`` bytes from the page-aligned address ``base``, offered evenly over ``duration`` memory cycles.

    ``site`` is the index of the site it belongs to. Duration 0: as fast as the memory takes it.
    """

    site: int
    kind: StreamKind
    base: int
    size: int
    duration: int


def frame_streams(
    stored: Sequence[StoredSite], device: DramDevice, *, tables: bool, pacing: Pacing | None
) -> list[Stream]:
    """The streams of one frame in the order in which a layer-by-layer accelerator moves them.

    For each site: its tables if ``tables``, one write, one read of the whole tensor a reader. Every region starts
    on its own DRAM page; nothing is reused within a frame. ``pacing`` None leaves out codec and accelerator.
    Raises ActcodecError where the frame does not fit the device.
    """
    allocate = _Allocator(device)
    streams: list[Stream] = []
    for index, site in enumerate(stored):
        encode = decode = 0
        if pacing is not None:
            encode = pacing.memory_cycles(site.values, site.encode_cycles, device.timing.tCK)
            decode = pacing.memory_cycles(site.values, site.decode_cycles, device.timing.tCK)
        if tables:
            base = allocate(site.table_bytes, f"tables of site {site.name}")
            streams.append(Stream(index, StreamKind.TABLE, base, site.table_bytes, 0))
        base = allocate(site.stream_bytes, f"site {site.name}")
        streams.append(Stream(index, StreamKind.WRITE, base, site.stream_bytes, encode))
        streams += [Stream(index, StreamKind.READ, base, site.stream_bytes, decode)] * site.readers
    return streams


class _Allocator:
    """Hands out consecutive page-aligned regions of the device."""

    def __init__(self, device: DramDevice) -> None:
        self._device = device
        self._next = 0

    def __call__(self, size: int, what: str) -> int:
        base, page = self._next, self._device.page_bytes
        self._next += -(-size // page) * page
        if self._next > self._device.capacity_bytes:
            raise ActcodecError(self._device.name, f"{what}: the frame exceeds the {self._device.capacity_bytes} bytes")
        return base
