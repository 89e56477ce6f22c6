"""One frame run through the memory controller, and its figures by site."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from actcodec_sim.arrays import Int64Array
from actcodec_sim.dram import DramDevice, TraceFormat, simulate, write_trace
from actcodec_sim.traffic.pacing import Pacing
from actcodec_sim.traffic.result import FrameCost
from actcodec_sim.traffic.site import StoredSite
from actcodec_sim.traffic.streams import StreamKind, frame_streams
from actcodec_sim.traffic.transactions import frame_transactions


class Frame:
    """A simulated frame: its streams, its transactions and what the controller did with them.

    The arguments are those of ``frame_streams``; raises ActcodecError where the frame does not fit the device.
    """

    def __init__(
        self,
        stored: Sequence[StoredSite],
        device: DramDevice,
        queue_depth: int,
        *,
        tables: bool,
        pacing: Pacing | None,
    ) -> None:
        self._sites = len(stored)
        self._streams = frame_streams(stored, device, tables=tables, pacing=pacing)
        self._transactions = frame_transactions(self._streams, device)
        self._result = simulate(device, self._transactions.requests, queue_depth=queue_depth)

    def cost(self) -> FrameCost:
        """What the whole frame took."""
        result = self._result
        return FrameCost(
            cycles=result.cycles,
            requests=result.reads + result.writes,
            row_hits=result.row_hits,
            activates=result.activates,
            refreshes=result.refreshes,
            energy=result.energy,
        )

    def write_bytes(self, kind: StreamKind) -> list[int]:
        """Bytes written by streams of ``kind``, by site."""
        return self._by_site(self._transactions.write_bytes(), kind)

    def read_bytes(self, kind: StreamKind) -> list[int]:
        """Bytes read by streams of ``kind``, by site; for writes, their read-modify-writes."""
        return self._by_site(self._transactions.read_bytes(), kind)

    def requests(self) -> list[int]:
        """Requests of all streams, by site."""
        return self._by_site(np.bincount(self._transactions.stream, minlength=len(self._streams)))

    def row_hits(self) -> list[int]:
        """Requests that found their row open, by site."""
        hits = self._transactions.stream[self._result.row_hit]
        return self._by_site(np.bincount(hits, minlength=len(self._streams)))

    def cycles(self) -> list[int]:
        """Cycles by site: from the end of the stream before, to the end of each of the site's streams."""
        end = np.zeros(len(self._streams), np.int64)
        np.maximum.at(end, self._transactions.stream, self._result.done)
        # A stream without a transaction ends when the one before it does.
        return self._by_site(np.diff(np.maximum.accumulate(end), prepend=0))

    def write_trace(self, path: Path, form: TraceFormat) -> None:
        """Write the frame's requests for another simulator, each with the cycle at which it was offered here."""
        requests = self._transactions.requests
        write_trace(path, form, requests.address, requests.is_write, self._phase_start() + requests.earliest)

    def _phase_start(self) -> Int64Array:
        """Per request, the end of the last data beat of the phases before its own."""
        phase = self._transactions.requests.phase
        end = np.concatenate([np.zeros(1, np.int64), np.maximum.accumulate(self._result.done)])
        return end[np.searchsorted(phase, phase)]

    def _by_site(self, per_stream: Int64Array, kind: StreamKind | None = None) -> list[int]:
        total = [0] * self._sites
        for stream, amount in zip(self._streams, per_stream, strict=True):
            if kind is None or stream.kind is kind:
                total[stream.site] += int(amount)
        return total
