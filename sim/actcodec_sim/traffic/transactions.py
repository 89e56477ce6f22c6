"""Streams → the device's transactions, and the count of what they move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from actcodec_sim.arrays import BoolArray, Int64Array
from actcodec_sim.dram import DramDevice, Requests
from actcodec_sim.traffic.streams import Stream, StreamKind


@dataclass(frozen=True, eq=False)
class FrameTransactions:
    """Requests of a frame; ``stream`` holds, for every request, the index of the stream it serves."""

    requests: Requests
    stream: Int64Array
    stream_count: int
    transaction_bytes: int

    def write_bytes(self) -> Int64Array:
        """Bytes written, per stream: counted from the requests."""
        return self._count(self.requests.is_write)

    def read_bytes(self) -> Int64Array:
        """Bytes read, per stream: counted from the requests; for a write stream, its read-modify-writes."""
        return self._count(~self.requests.is_write)

    def _count(self, chosen: BoolArray) -> Int64Array:
        return np.bincount(self.stream[chosen], minlength=self.stream_count) * self.transaction_bytes


def frame_transactions(streams: Sequence[Stream], device: DramDevice) -> FrameTransactions:
    """Cut every stream into transactions; each stream is a phase of its own, so that streams do not overlap.

    S bytes take ⌈S/T⌉ transactions of T bytes. A write whose last transaction is partial reads that transaction
    first (read-modify-write). A read is offered when its stream's even pace reaches its first byte, a write when
    it reaches its last.
    """
    parts = [_stream_requests(stream, device.transaction_bytes) for stream in streams]
    lengths = [len(address) for address, _, _ in parts]
    index = np.repeat(np.arange(len(streams)), lengths)
    empty = np.zeros(0, np.int64)
    requests = Requests(
        address=np.concatenate([empty, *(address for address, _, _ in parts)]),
        is_write=np.concatenate([empty.astype(np.bool_), *(is_write for _, is_write, _ in parts)]),
        earliest=np.concatenate([empty, *(earliest for _, _, earliest in parts)]),
        phase=index,
    )
    return FrameTransactions(requests, index, len(streams), device.transaction_bytes)


_StreamRequests = tuple[Int64Array, BoolArray, Int64Array]


def _stream_requests(stream: Stream, transaction: int) -> _StreamRequests:
    """Address, direction and earliest cycle of every request of one stream."""
    count = -(-stream.size // transaction)
    number = np.arange(count, dtype=np.int64)
    is_write = np.full(count, stream.kind is StreamKind.WRITE)
    if stream.kind is StreamKind.WRITE and stream.size % transaction:
        number = np.append(number, count - 1)
        is_write = np.append(is_write, True)
        is_write[-2] = False
    moment = number + (stream.kind is StreamKind.WRITE)
    return stream.base + number * transaction, is_write, moment * stream.duration // max(count, 1)
