"""The controller's queues: waiting reads, waiting writes, and a command queue for each bank.

Compiled with numba. Requests are named by their index in the request list, so that a smaller number is an older
request. A request waits in ``waiting[READS]`` or ``waiting[WRITES]`` until its bank's queue has room, and there
until its column command is issued.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from actcodec_sim.arrays import BoolArray, Int64Array
from actcodec_sim.jit import compiled, compiled_without_allocation

BANK_QUEUE_DEPTH = 8
"""Requests that wait at one bank, as in DRAMsim3's configurations (``cmd_queue_size``)."""
READS, WRITES = 0, 1
NONE = -1
"""No request, no place in a queue."""


class Work(NamedTuple):
    """The requests, one entry each: address and where it lies, kind, pace (``Requests``, ``Location``)."""

    address: Int64Array
    bank: Int64Array
    row: Int64Array
    is_write: BoolArray
    earliest: Int64Array
    phase: Int64Array


class Queues(NamedTuple):
    """Requests in the controller, in order of arrival in each queue.

    ``waiting[kind, :waiting_count[kind]]`` are not yet at their bank, ``at_bank[bank, :at_bank_count[bank]]`` are.
    ``hit[bank, kind]`` is the place in the bank's queue of the first read or write of its open row that may go,
    or NONE; ``overtaken[bank]`` counts the requests that went before the one that is now first. ``draining[0]``
    is how many writes are still to be moved before a read is.
    """

    waiting: Int64Array
    waiting_count: Int64Array
    at_bank: Int64Array
    at_bank_count: Int64Array
    hit: Int64Array
    overtaken: Int64Array
    draining: Int64Array


@compiled
def new_queues(banks: int, depth: int) -> Queues:
    """Empty queues, for ``depth`` reads and as many writes before the banks' own."""
    return Queues(
        np.zeros((2, depth), np.int64),
        np.zeros(2, np.int64),
        np.zeros((banks, BANK_QUEUE_DEPTH), np.int64),
        np.zeros(banks, np.int64),
        np.full((banks, 2), NONE, np.int64),
        np.zeros(banks, np.int64),
        np.zeros(1, np.int64),
    )


@compiled_without_allocation
def write_is_pending(q: Queues, w: Work, request: int) -> bool:
    """Whether an earlier write to the address of ``request`` is still in a queue."""
    address = w.address[request]
    for place in range(q.waiting_count[WRITES]):
        if w.address[q.waiting[WRITES, place]] == address:
            return True
    bank = w.bank[request]
    for place in range(q.at_bank_count[bank]):
        other = q.at_bank[bank, place]
        if w.is_write[other] and w.address[other] == address:
            return True
    return False


@compiled_without_allocation
def _read_waits(q: Queues, w: Work, address: int) -> bool:
    """Whether a read of ``address`` has not come to its bank; it is older than any write that waits there."""
    for place in range(q.waiting_count[READS]):  # noqa: SIM110 - numba compiles no any() of a generator
        if w.address[q.waiting[READS, place]] == address:
            return True
    return False


@compiled_without_allocation
def find_hits(q: Queues, w: Work, bank: int, open_row: int) -> None:
    """Set ``hit[bank]`` again, after a change of the bank's queue or of its open row.

    A write may not go before an older read of its address. The reverse cannot arise: such a read is answered
    from the write and comes to no queue.
    """
    q.hit[bank, READS] = NONE
    q.hit[bank, WRITES] = NONE
    for place in range(q.at_bank_count[bank]):
        request = q.at_bank[bank, place]
        kind = WRITES if w.is_write[request] else READS
        if w.row[request] != open_row or q.hit[bank, kind] != NONE:
            continue
        free = True
        if kind == WRITES:
            for before in range(place):
                other = q.at_bank[bank, before]
                if not w.is_write[other] and w.address[other] == w.address[request]:
                    free = False
        if free:
            q.hit[bank, kind] = place


@compiled_without_allocation
def move_one(q: Queues, w: Work, kind: int) -> int:
    """Move the oldest waiting request of ``kind`` whose bank has room to its bank's queue.

    The bank, or NONE where nothing could be moved. A write stays behind a waiting read of its address.
    """
    for place in range(q.waiting_count[kind]):
        request = q.waiting[kind, place]
        bank: int = w.bank[request]
        if q.at_bank_count[bank] == BANK_QUEUE_DEPTH:
            continue
        if kind == WRITES and _read_waits(q, w, w.address[request]):
            continue
        for after in range(place + 1, q.waiting_count[kind]):
            q.waiting[kind, after - 1] = q.waiting[kind, after]
        q.waiting_count[kind] -= 1
        q.at_bank[bank, q.at_bank_count[bank]] = request
        q.at_bank_count[bank] += 1
        return bank
    return NONE


@compiled_without_allocation
def remove(q: Queues, bank: int, request: int) -> None:
    """Take ``request``, which is served, out of its bank's queue; count whom it overtook."""
    place = 0
    while q.at_bank[bank, place] != request:
        place += 1
    q.overtaken[bank] = 0 if place == 0 else q.overtaken[bank] + 1
    for after in range(place + 1, q.at_bank_count[bank]):
        q.at_bank[bank, after - 1] = q.at_bank[bank, after]
    q.at_bank_count[bank] -= 1
