"""The controllers' queues: waiting reads, waiting writes, and a command queue for each bank.

Compiled with numba. Requests are named by their index in the request list, so that a smaller number is an older
request. A request waits in ``waiting[channel, READS]`` or ``waiting[channel, WRITES]`` until its bank's queue has room,
and there until its column command is issued: it is pending from one to the other. No two pending requests of a kind
have the same address.
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
"""No request, no place in a queue, no bank."""
_DRAIN_ABOVE = 8
"""Idle banks take writes where more than this many wait; DRAMsim3's threshold."""
_TAGS = 1024


class Work(NamedTuple):
    """The requests, one entry each: address and where it lies, kind, pace (``Requests``, ``Location``)."""

    address: Int64Array
    bank: Int64Array
    row: Int64Array
    is_write: BoolArray
    earliest: Int64Array
    phase: Int64Array


class Queues(NamedTuple):
    """Requests in the controllers, in order of arrival in each queue.

    ``waiting[channel, kind]`` holds those not yet at their bank, ``waiting_count`` of them from ``waiting_start`` on,
    in room for twice as many as may wait; ``at_bank[bank, :at_bank_count[bank]]`` are at their bank; ``at_banks`` is
    the sum of the latter over a channel.
    ``waiting_for[kind, bank]`` counts the waiting requests of a bank, ``movable[channel, kind]`` those whose bank has
    room. ``draining`` is how many writes are still to be moved before a read is.
    ``tags[kind]`` counts pending requests by a hash of their address: where it is 0, a search would find nothing.
    """

    waiting: Int64Array
    waiting_start: Int64Array
    waiting_count: Int64Array
    at_bank: Int64Array
    at_bank_count: Int64Array
    at_banks: Int64Array
    waiting_for: Int64Array
    movable: Int64Array
    draining: Int64Array
    tags: Int64Array


@compiled
def new_queues(channels: int, banks: int, depth: int) -> Queues:
    """Empty queues, for ``depth`` reads and as many writes in each channel before the banks' own."""
    return Queues(
        np.zeros((channels, 2, 2 * depth), np.int64),
        np.zeros((channels, 2), np.int64),
        np.zeros((channels, 2), np.int64),
        np.zeros((banks, BANK_QUEUE_DEPTH), np.int64),
        np.zeros(banks, np.int64),
        np.zeros(channels, np.int64),
        np.zeros((2, banks), np.int64),
        np.zeros((channels, 2), np.int64),
        np.zeros(channels, np.int64),
        np.zeros((2, _TAGS), np.int64),
    )


@compiled_without_allocation
def depth(q: Queues) -> int:
    """How many reads, and how many writes, may wait in a channel."""
    room: int = q.waiting.shape[2]
    return room >> 1


@compiled_without_allocation
def count_tag(q: Queues, kind: int, address: int, change: int) -> None:
    """A request of ``address`` becomes pending (``change`` 1) or is served (−1)."""
    q.tags[kind, ((address >> 6) ^ (address >> 16)) % _TAGS] += change


@compiled_without_allocation
def find_waiting(q: Queues, w: Work, channel: int, kind: int, address: int) -> int:
    """The request of ``kind`` and ``address`` that waits for its bank's queue, or NONE."""
    if q.tags[kind, ((address >> 6) ^ (address >> 16)) % _TAGS] == 0:
        return NONE
    start = q.waiting_start[channel, kind]
    for place in range(start, start + q.waiting_count[channel, kind]):
        request: int = q.waiting[channel, kind, place]
        if w.address[request] == address:
            return request
    return NONE


@compiled_without_allocation
def find_pending(q: Queues, w: Work, channel: int, kind: int, bank: int, address: int) -> int:
    """The request of ``kind`` and ``address`` that waits anywhere, or NONE."""
    if q.tags[kind, ((address >> 6) ^ (address >> 16)) % _TAGS] == 0:
        return NONE
    for place in range(q.at_bank_count[bank]):
        request: int = q.at_bank[bank, place]
        if w.address[request] == address and w.is_write[request] == (kind == WRITES):
            return request
    return find_waiting(q, w, channel, kind, address)


@compiled_without_allocation
def enqueue(q: Queues, w: Work, channel: int, kind: int, request: int) -> None:
    """Put ``request`` last in its channel's queue of reads or writes, which has room."""
    bank = w.bank[request]
    start, count = q.waiting_start[channel, kind], q.waiting_count[channel, kind]
    if start + count == q.waiting.shape[2]:
        for place in range(count):
            q.waiting[channel, kind, place] = q.waiting[channel, kind, start + place]
        start = q.waiting_start[channel, kind] = 0
    q.waiting[channel, kind, start + count] = request
    q.waiting_count[channel, kind] = count + 1
    q.waiting_for[kind, bank] += 1
    if q.at_bank_count[bank] < BANK_QUEUE_DEPTH:
        q.movable[channel, kind] += 1
    count_tag(q, kind, w.address[request], 1)


@compiled_without_allocation
def kind_to_move(q: Queues, channel: int, last: bool) -> int:
    """Whether reads or writes move to the banks next; ``last`` says that no more come before all these are served.

    Writes do, all that then wait, when their queue is full, and when the banks have nothing to do and more than 8
    writes wait or nothing else does.
    """
    if q.draining[channel] > 0:
        return WRITES
    writes = q.waiting_count[channel, WRITES]
    if writes == depth(q):
        return WRITES
    if q.at_banks[channel] == 0 and (writes > _DRAIN_ABOVE or (last and q.waiting_count[channel, READS] == 0)):
        return WRITES
    return READS


@compiled_without_allocation
def move_one(q: Queues, w: Work, channel: int, last: bool) -> int:
    """Move the oldest request whose bank has room, of the kind whose turn it is. Its bank, or NONE.

    A write that would pass a pending read of its address ends the drain instead.
    """
    kind = kind_to_move(q, channel, last)
    writes = q.waiting_count[channel, WRITES]
    if kind == WRITES and q.draining[channel] == 0:
        q.draining[channel] = writes
    if q.movable[channel, kind] == 0:
        return NONE
    place = _first_movable(q, w, channel, kind)
    if kind == WRITES:
        request = q.waiting[channel, WRITES, place]
        address = w.address[request]
        if find_pending(q, w, channel, READS, w.bank[request], address) != NONE:
            q.draining[channel] = 0
            # With the writes' queue full, reads would never have a turn, and the one waited for never be served.
            stuck = writes == depth(q) and find_waiting(q, w, channel, READS, address) != NONE
            if not stuck or q.movable[channel, READS] == 0:
                return NONE
            kind = READS
            place = _first_movable(q, w, channel, READS)
        else:
            q.draining[channel] -= 1
    return _move(q, w, channel, kind, place)


@compiled_without_allocation
def _first_movable(q: Queues, w: Work, channel: int, kind: int) -> int:
    place: int = q.waiting_start[channel, kind]
    while q.at_bank_count[w.bank[q.waiting[channel, kind, place]]] == BANK_QUEUE_DEPTH:
        place += 1
    return place


@compiled_without_allocation
def _move(q: Queues, w: Work, channel: int, kind: int, place: int) -> int:
    request = q.waiting[channel, kind, place]
    start = q.waiting_start[channel, kind]
    for before in range(place, start, -1):
        q.waiting[channel, kind, before] = q.waiting[channel, kind, before - 1]
    q.waiting_start[channel, kind] = start + 1
    q.waiting_count[channel, kind] -= 1
    bank: int = w.bank[request]
    q.waiting_for[kind, bank] -= 1
    q.movable[channel, kind] -= 1
    q.at_bank[bank, q.at_bank_count[bank]] = request
    q.at_bank_count[bank] += 1
    q.at_banks[channel] += 1
    if q.at_bank_count[bank] == BANK_QUEUE_DEPTH:
        q.movable[channel, READS] -= q.waiting_for[READS, bank]
        q.movable[channel, WRITES] -= q.waiting_for[WRITES, bank]
    return bank


@compiled_without_allocation
def remove(q: Queues, w: Work, channel: int, bank: int, place: int) -> None:
    """Take the request at ``place`` of its bank's queue, which is served, out of it."""
    request = q.at_bank[bank, place]
    if q.at_bank_count[bank] == BANK_QUEUE_DEPTH:
        q.movable[channel, READS] += q.waiting_for[READS, bank]
        q.movable[channel, WRITES] += q.waiting_for[WRITES, bank]
    for after in range(place + 1, q.at_bank_count[bank]):
        q.at_bank[bank, after - 1] = q.at_bank[bank, after]
    q.at_bank_count[bank] -= 1
    q.at_banks[channel] -= 1
    count_tag(q, WRITES if w.is_write[request] else READS, w.address[request], -1)
