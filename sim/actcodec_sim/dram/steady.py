"""Steady streams: a stretch of requests in which every column command follows the one before in the same way.

While all pending requests are of one kind and one row, with rising addresses, nothing but their column commands can
happen before the next refresh. Where the controller is in the same state after two column commands, one after the
other, up to a shift of time and of request numbers, it will be so after the next ones, as long as the requests go on
alike. ``skip`` leaps over those: its results are those of the steps it leaves out. Compiled with numba.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from actcodec_sim.arrays import BoolArray, Int64Array
from actcodec_sim.dram import state
from actcodec_sim.dram.queues import READS, WRITES, Queues, Work, count_tag, depth
from actcodec_sim.dram.timing import CommandTiming
from actcodec_sim.jit import compiled, compiled_without_allocation

_MARK_FIELDS = 11
_CYCLE, _REQUEST, _TAIL = 0, 1, 2
"""Fields of the mark that move on; the others must not change from one column command to the next."""


class Results(NamedTuple):
    """By request: when it was taken in, when it is done, whether it found its row open."""

    taken: Int64Array
    done: Int64Array
    row_hit: BoolArray


class Served(NamedTuple):
    """The column command just issued: when, for which request, where."""

    cycle: int
    request: int
    channel: int
    bank: int


class Leap(NamedTuple):
    """So many column commands further on, ``period`` cycles apart."""

    commands: int
    period: int


@compiled
def new_mark() -> Int64Array:
    """The controller's state after the last column command; of none at first."""
    return np.full(_MARK_FIELDS, -1, np.int64)


@compiled_without_allocation
def find_leap(
    s: state.DeviceState,
    q: Queues,
    w: Work,
    served: Served,
    tail: int,
    run_start: int,
    phase_start: int,
    next_refresh: int,
    pending: int,
    mark: Int64Array,
) -> Leap:
    """How far the stream that ``served`` belongs to can be leapt over; 0 commands where it is not steady.

    Requests from ``tail`` on have not been taken in; those from ``run_start`` to ``tail`` are of one kind and row
    with rising addresses. ``pending`` requests wait in all channels; the first refresh is due at ``next_refresh``.
    ``mark`` is compared and renewed.
    """
    none = Leap(0, 0)
    bank, channel = served.bank, served.channel
    kind = WRITES if w.is_write[served.request] else READS
    waiting, at_bank = q.waiting_count[channel, kind], q.at_bank_count[bank]
    if waiting + at_bank != pending or tail == len(w.bank) or next_refresh <= served.cycle:
        return none
    oldest = served.request
    if at_bank > 0:
        oldest = min(oldest, q.at_bank[bank, 0])
    if waiting > 0:
        oldest = min(oldest, q.waiting[channel, kind, q.waiting_start[channel, kind]])
    if oldest < run_start:
        return none
    # Drained one by one, with another taken in at once, writes go on as long as their queue is full.
    if q.draining[channel] != 0 if kind == READS else waiting != depth(q):
        return none
    offered = phase_start + w.earliest[tail]
    last, last_request, last_tail = mark[_CYCLE], mark[_REQUEST], mark[_TAIL]
    mark[_CYCLE], mark[_REQUEST], mark[_TAIL] = served.cycle, served.request, tail
    same = last_request == served.request - 1 and last_tail == tail - 1
    same &= _renewed(mark, 3, bank)
    same &= _renewed(mark, 4, kind)
    same &= _renewed(mark, 5, waiting)
    same &= _renewed(mark, 6, at_bank)
    same &= _renewed(mark, 7, max(0, s.column_ready[bank] - served.cycle))
    same &= _renewed(mark, 8, max(0, state.earliest_column(s, bank, kind == WRITES) - served.cycle))
    same &= _renewed(mark, 9, max(0, offered - served.cycle))
    same &= _renewed(mark, 10, next_refresh)
    if not same:
        return none
    period = served.cycle - last
    return Leap(_commands(w, served, tail, phase_start, next_refresh, period, offered > served.cycle), period)


@compiled_without_allocation
def _renewed(mark: Int64Array, field: int, value: int) -> bool:
    """Put ``value`` into the mark; whether it was there."""
    same: bool = mark[field] == value
    mark[field] = value
    return same


@compiled_without_allocation
def _commands(w: Work, served: Served, tail: int, phase_start: int, next_refresh: int, period: int, paced: bool) -> int:
    """Column commands before the next refresh for which there are requests alike, offered in time.

    One more request is taken in with each. ``paced`` says that the controller waits for requests, so that they must
    come ``period`` apart; otherwise they must have come when there is room for them.
    """
    limit = min((next_refresh - 1 - served.cycle) // period, len(w.bank) - 1 - tail)
    number = 0
    offered = phase_start + w.earliest[tail - 1] if paced else served.cycle
    while number < limit:
        i = tail + number
        alike = (
            w.bank[i] == w.bank[i - 1]
            and w.row[i] == w.row[i - 1]
            and w.is_write[i] == w.is_write[i - 1]
            and w.phase[i + 1] == w.phase[i - 1]
            and w.address[i] > w.address[i - 1]
        )
        offered += period
        comes = phase_start + w.earliest[i]
        if not alike or (comes != offered if paced else comes > offered - period):
            break
        number += 1
    # Of a paced stream the request after the last must not come early either.
    return max(0, number - 1) if paced else number


@compiled_without_allocation
def leap(
    s: state.DeviceState,
    t: CommandTiming,
    q: Queues,
    w: Work,
    r: Results,
    served: Served,
    tail: int,
    distance: Leap,
) -> None:
    """Put controller and device into the state after ``distance.commands`` more column commands."""
    channel, bank, count = served.channel, served.bank, distance.commands
    kind = WRITES if w.is_write[served.request] else READS
    for step in range(1, count + 1):
        r.done[served.request + step] = r.done[served.request] + step * distance.period
        r.row_hit[served.request + step] = True
        r.taken[tail - 1 + step] = r.taken[tail - 1] + step * distance.period
    # Requests that were or will be pending at both ends keep their tags.
    first_pending = served.request + 1
    for request in range(first_pending, min(tail, first_pending + count)):
        count_tag(q, kind, w.address[request], -1)
    for request in range(max(tail, first_pending + count), tail + count):
        count_tag(q, kind, w.address[request], 1)
    start = q.waiting_start[channel, kind]
    for place in range(start, start + q.waiting_count[channel, kind]):
        q.waiting[channel, kind, place] += count
    for place in range(q.at_bank_count[bank]):
        q.at_bank[bank, place] += count
    if kind == WRITES:
        q.draining[channel] = (q.draining[channel] - count) % depth(q)
    s.columns[bank] += count - 1
    # The last command's effects outlast those of the others.
    state.issue_column(s, t, bank, kind == WRITES, served.cycle + count * distance.period)
