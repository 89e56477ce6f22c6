"""A command-level memory controller a channel: FR-FCFS with a queue for each bank, writes in bursts.

Reads and writes wait apart, at most ``queue_depth`` of each; one request a cycle is taken in, in the order of the
list, and in each channel one a cycle goes on to its bank's queue (``queues.py``). A request spends a cycle in each of
the two. Reads go on first. Writes are gathered and then drained: all that wait when their queue is full, when more
than 8 wait and the banks have nothing to do, or when nothing else is left. A read of an address with a pending write
is answered from that write; a second read or write of an address that still waits is merged with the first; neither
takes a command. A write never passes an older read of its address, so that accesses to one address keep their order.

Every cycle at most one command goes to each channel, the first of these that is legal:

1. refresh: from the cycle a rank's refresh is due, the rank gets no other commands than PRE of its open rows, and REF;
2. the next command of a bank; banks take turns, from the one after the last served.

In a bank the requests are looked at in order: a column command for the open row, ACT for a closed bank, PRE for the
oldest request only, where its row is not the open one, no request of the queue needs the open row or that row has had
its ``ROW_HIT_LIMIT`` column commands. With ``closed_page``, each column command closes its row (auto-precharge).

Cycles in which nothing can happen are skipped, and so are steady streams (``steady.py``); that changes no figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from actcodec.errors import ActcodecError
from actcodec_sim.arrays import BoolArray, Int64Array
from actcodec_sim.dram import state
from actcodec_sim.dram.address import locate
from actcodec_sim.dram.commands import (
    ACTIVATE,
    PRECHARGE,
    READ,
    READ_PRECHARGE,
    REFRESH,
    WRITE,
    WRITE_PRECHARGE,
    CommandLog,
)
from actcodec_sim.dram.device import DramDevice
from actcodec_sim.dram.energy import DramEnergy, dram_energy
from actcodec_sim.dram.queues import (
    NONE,
    READS,
    WRITES,
    Queues,
    Work,
    depth,
    enqueue,
    find_pending,
    kind_to_move,
    move_one,
    new_queues,
    remove,
)
from actcodec_sim.dram.requests import Requests
from actcodec_sim.dram.steady import Results, Served, find_leap, leap, new_mark
from actcodec_sim.dram.timing import CommandTiming, command_timing
from actcodec_sim.jit import compiled, compiled_without_allocation

DEFAULT_QUEUE_DEPTH = 32
ROW_HIT_LIMIT = 4
"""Column commands after which a row may be closed although requests for it wait; DRAMsim3's limit."""

_NEVER = np.iinfo(np.int64).max
_LOG_COLUMNS = 4


@dataclass(frozen=True, eq=False)
class DramResult:
    """What the controllers did with a request list.

    ``cycles``      the cycle after the last data beat; with ``posted_writes``, ``last_done``
    ``last_done``   the cycle at which the last request is done for who sent it: a read after its last data beat, a
                    write when it has been taken in
    ``row_hits``    column commands that are not the first of an opened row
    ``precharges``  PRE commands and auto-precharges
    ``forwarded``   reads answered from a write that was still in a queue; they take no command
    ``merged``      requests served by the command of an earlier one of their kind and address
    ``taken``       per request, the first cycle it is in a queue of the controller
    ``done``        per request, the cycle after its last data beat, 0 where it was not performed (``posted_writes``);
                    ``row_hit`` per request
    ``commands``    every command in order, where asked for
    """

    cycles: int
    last_done: int
    reads: int
    writes: int
    forwarded: int
    merged: int
    row_hits: int
    activates: int
    precharges: int
    refreshes: int
    energy: DramEnergy
    average_read_latency: float
    """Mean cycles from ``taken`` to the end of a read's data; 0 without reads."""
    taken: Int64Array
    done: Int64Array
    row_hit: BoolArray
    commands: CommandLog | None


def simulate(
    device: DramDevice,
    requests: Requests,
    *,
    queue_depth: int = DEFAULT_QUEUE_DEPTH,
    closed_page: bool = False,
    posted_writes: bool = False,
    record_commands: bool = False,
    leap_over_streams: bool = True,
) -> DramResult:
    """Run ``requests`` through the controllers to the last data beat.

    ``queue_depth`` reads and as many writes wait in front of the banks' own queues in each channel.
    ``closed_page`` closes a row after each column command, instead of leaving it open.
    ``posted_writes`` ends when every read has its data and every write has been taken in: writes that wait then are not
    performed, and cycles, commands and energy are those up to there.
    ``record_commands`` keeps the command log for ``audit.violations``; it takes every step. So does
    ``leap_over_streams`` False, which changes nothing but the time it takes. Raises ActcodecError for an address
    outside the device or not aligned to a transaction, or a ``queue_depth`` below 1.
    """
    if queue_depth < 1:
        raise ActcodecError("controller", f"queue_depth: {queue_depth} is below 1")
    where = locate(device, requests.address)
    outcome = _run(
        command_timing(device),
        Work(requests.address, where.bank, where.row, requests.is_write, requests.earliest, requests.phase),
        queue_depth,
        closed_page,
        posted_writes,
        record_commands,
        # The steps of a closed page open and close rows: they are no steady stream.
        leap_over_streams and not record_commands and not closed_page,
    )
    counts, totals = outcome.counts, _totals(requests.is_write, outcome.served)
    reads, writes = len(requests) - totals.writes, totals.writes
    cycles = totals.last_done if posted_writes else totals.cycles
    columns = {
        kind: int(counts[plain] + counts[closing])
        for kind, plain, closing in ((READS, READ, READ_PRECHARGE), (WRITES, WRITE, WRITE_PRECHARGE))
    }
    organization = device.organization
    return DramResult(
        cycles=cycles,
        last_done=totals.last_done,
        reads=reads,
        writes=writes,
        forwarded=outcome.forwarded,
        merged=outcome.merged,
        row_hits=int(np.count_nonzero(outcome.served.row_hit)),
        activates=int(counts[ACTIVATE]),
        precharges=int(counts[PRECHARGE] + counts[READ_PRECHARGE] + counts[WRITE_PRECHARGE]),
        refreshes=int(counts[REFRESH]),
        energy=dram_energy(
            device,
            activates=int(counts[ACTIVATE]),
            reads=columns[READS],
            writes=columns[WRITES],
            refreshes=int(counts[REFRESH]),
            rank_cycles=cycles * organization.ranks * organization.channels,
            active_rank_cycles=int(outcome.active_cycles.sum()),
        ),
        average_read_latency=totals.read_cycles / reads if reads else 0.0,
        taken=outcome.served.taken,
        done=outcome.served.done,
        row_hit=outcome.served.row_hit,
        commands=CommandLog(*outcome.log.T) if record_commands else None,
    )


class _Totals(NamedTuple):
    """Sums and ends over all requests; ``read_cycles`` are those from ``taken`` to ``done``."""

    writes: int
    read_cycles: int
    cycles: int
    last_done: int


@compiled
def _totals(is_write: BoolArray, r: Results) -> _Totals:
    writes = read_cycles = cycles = last_done = 0
    for i in range(len(is_write)):
        cycles = max(cycles, r.done[i])
        if is_write[i]:
            writes += 1
            last_done = max(last_done, r.taken[i] + 1)
        else:
            read_cycles += r.done[i] - r.taken[i]
            last_done = max(last_done, r.done[i])
    return _Totals(writes, read_cycles, cycles, last_done)


class _Outcome(NamedTuple):
    """The kernel's results: per request, per command kind, per rank, and the command log."""

    served: Results
    forwarded: int
    merged: int
    counts: Int64Array
    active_cycles: Int64Array
    log: Int64Array


class _Command(NamedTuple):
    """A command that may be issued at or after ``cycle``; ``place`` is its request's in the bank's queue."""

    cycle: int
    kind: int
    target: int
    place: int


@compiled_without_allocation
def _refresh_command(s: state.DeviceState, t: CommandTiming, rank: int, now: int) -> _Command:
    """The next command of ``rank``, whose refresh is due: PRE of the first open bank that may be closed, or REF."""
    banks = t.groups_per_rank * t.banks_per_group
    if s.open_banks[rank] == 0:
        return _Command(s.refresh_ready[rank], REFRESH, rank, NONE)
    best = _Command(_NEVER, PRECHARGE, NONE, NONE)
    for bank in range(rank * banks, (rank + 1) * banks):
        if s.open_row[bank] != state.CLOSED and best.cycle > now:
            cycle = state.earliest_precharge(s, bank)
            if cycle < best.cycle:
                best = _Command(cycle, PRECHARGE, bank, NONE)
    return best


class _Turns(NamedTuple):
    """Whose turn it is.

    By channel: ``refresh_due`` and ``refresh_rank`` of the next refresh, ``last_bank`` that was served, and the banks
    with requests, ``busy[channel, :busy_count[channel]]`` in rising order. None of bank ``b``'s commands is legal
    before ``ready[b]``, none of a channel's before ``first_ready``. ``hit[b, kind]`` is the place in the bank's queue
    of the first read or write of its open row, or NONE.
    """

    refresh_due: Int64Array
    refresh_rank: Int64Array
    last_bank: Int64Array
    busy: Int64Array
    busy_count: Int64Array
    ready: Int64Array
    first_ready: Int64Array
    hit: Int64Array


@compiled
def _new_turns(t: CommandTiming, banks: int) -> _Turns:
    of_channel = banks // t.channels
    return _Turns(
        np.full(t.channels, t.refresh_spacing, np.int64),
        np.arange(t.channels) * t.ranks,
        np.arange(t.channels) * of_channel,
        np.zeros((t.channels, of_channel), np.int64),
        np.zeros(t.channels, np.int64),
        np.full(banks, _NEVER, np.int64),
        np.full(t.channels, _NEVER, np.int64),
        np.full((banks, 2), NONE, np.int64),
    )


@compiled_without_allocation
def _refreshed(t: CommandTiming, turns: _Turns, channel: int) -> None:
    """The channel's next rank is refreshed: the turn is the one's after it."""
    turns.refresh_due[channel] += t.refresh_spacing
    turns.refresh_rank[channel] += 1
    if turns.refresh_rank[channel] == (channel + 1) * t.ranks:
        turns.refresh_rank[channel] -= t.ranks


@compiled_without_allocation
def _blocked_rank(turns: _Turns, channel: int, now: int) -> int:
    """The rank of the channel whose refresh is due, or NONE."""
    rank: int = turns.refresh_rank[channel]
    return rank if turns.refresh_due[channel] <= now else NONE


@compiled_without_allocation
def _bank_command(
    s: state.DeviceState, t: CommandTiming, turns: _Turns, bank: int, closed_page: bool, now: int
) -> _Command:
    """The next command for the requests at ``bank``, which are not none, and the first cycle it is legal."""
    if s.open_row[bank] == state.CLOSED:
        return _Command(state.earliest_activate(s, t, bank), ACTIVATE, bank, 0)
    read, write = turns.hit[bank, READS], turns.hit[bank, WRITES]
    best = _Command(_NEVER, PRECHARGE, bank, NONE)
    if read != 0 and write != 0 and ((read == NONE and write == NONE) or s.columns[bank] >= ROW_HIT_LIMIT):
        best = _Command(state.earliest_precharge(s, bank), PRECHARGE, bank, NONE)
        if best.cycle <= now:
            return best
    if read != NONE:
        cycle = state.earliest_column(s, bank, False)
        if cycle < best.cycle:
            best = _Command(cycle, READ_PRECHARGE if closed_page else READ, bank, read)
    if write != NONE:
        cycle = state.earliest_column(s, bank, True)
        # Of two that are legal the one that came to the bank first, else the sooner one.
        if (cycle < best.cycle and best.cycle > now) or (cycle <= now and write < read):
            best = _Command(cycle, WRITE_PRECHARGE if closed_page else WRITE, bank, write)
    return best


@compiled_without_allocation
def _request_command(
    s: state.DeviceState, t: CommandTiming, turns: _Turns, channel: int, blocked: int, closed_page: bool, now: int
) -> _Command:
    """The command, legal at ``now``, of the first bank whose turn it is; cycle _NEVER where there is none.

    ``ready`` grows here: another bank's command can only put off a bank's own. Banks of the rank ``blocked`` have no
    turn.
    """
    count = turns.busy_count[channel]
    place = 0
    while place < count and turns.busy[channel, place] <= turns.last_bank[channel]:
        place += 1
    for _ in range(count):
        if place == count:
            place = 0
        bank = turns.busy[channel, place]
        place += 1
        if turns.ready[bank] <= now and s.rank_of_bank[bank] != blocked:
            command = _bank_command(s, t, turns, bank, closed_page, now)
            turns.ready[bank] = command.cycle
            if command.cycle <= now:
                turns.last_bank[channel] = bank
                return command
    return _Command(_NEVER, ACTIVATE, NONE, NONE)


@compiled_without_allocation
def _first_ready(s: state.DeviceState, turns: _Turns, channel: int, blocked: int) -> int:
    """A cycle before which no bank's command is legal, those of the rank ``blocked`` left out."""
    first = _NEVER
    for place in range(turns.busy_count[channel]):
        bank = turns.busy[channel, place]
        if s.rank_of_bank[bank] != blocked:
            first = min(first, turns.ready[bank])
    return first


@compiled_without_allocation
def _renew(
    s: state.DeviceState,
    t: CommandTiming,
    q: Queues,
    w: Work,
    turns: _Turns,
    channel: int,
    bank: int,
    closed_page: bool,
    now: int,
) -> None:
    """Set a bank's ``hit`` and ``ready``, and whether it is busy, after a command or a new request of its own."""
    read = write = NONE
    open_row = s.open_row[bank]
    count = q.at_bank_count[bank]
    for place in range(count):
        request = q.at_bank[bank, place]
        if w.row[request] == open_row:
            if w.is_write[request]:
                if write == NONE:
                    write = place
            elif read == NONE:
                read = place
    turns.hit[bank, READS], turns.hit[bank, WRITES] = read, write
    was_busy = turns.ready[bank] != _NEVER
    if count == 0:
        turns.ready[bank] = _NEVER
        if was_busy:
            _remove_busy(turns, channel, bank)
        return
    turns.ready[bank] = _bank_command(s, t, turns, bank, closed_page, now).cycle
    if not was_busy:
        _insert_busy(turns, channel, bank)


@compiled_without_allocation
def _insert_busy(turns: _Turns, channel: int, bank: int) -> None:
    place = turns.busy_count[channel]
    turns.busy_count[channel] = place + 1
    while place > 0 and turns.busy[channel, place - 1] > bank:
        turns.busy[channel, place] = turns.busy[channel, place - 1]
        place -= 1
    turns.busy[channel, place] = bank


@compiled_without_allocation
def _remove_busy(turns: _Turns, channel: int, bank: int) -> None:
    place = 0
    while turns.busy[channel, place] != bank:
        place += 1
    turns.busy_count[channel] -= 1
    for after in range(place, turns.busy_count[channel]):
        turns.busy[channel, after] = turns.busy[channel, after + 1]


@compiled
def _appended(log: Int64Array, used: int, cycle: int, kind: int, target: int, row: int) -> Int64Array:
    """``log`` with one more line at ``used``, twice as long where it was full."""
    if used == len(log):
        longer = np.empty((2 * used, _LOG_COLUMNS), np.int64)
        longer[:used] = log
        log = longer
    log[used, 0] = cycle
    log[used, 1] = kind
    log[used, 2] = target
    log[used, 3] = row
    return log


@compiled_without_allocation
def _has_room(q: Queues, channel: int, is_write: bool) -> bool:
    """Whether the channel's queue of reads or of writes has room for one more."""
    full: bool = q.waiting_count[channel, WRITES if is_write else READS] == depth(q)
    return not full


@compiled_without_allocation
def _take(q: Queues, w: Work, channel: int, request: int) -> int:
    """Take ``request`` in. NONE; or, where it takes no place in a queue, the request that it is answered from."""
    kind = WRITES if w.is_write[request] else READS
    bank, address = w.bank[request], w.address[request]
    earlier = find_pending(q, w, channel, WRITES, bank, address)
    if earlier == NONE and kind == READS:
        earlier = find_pending(q, w, channel, READS, bank, address)
    if earlier == NONE:
        enqueue(q, w, channel, kind, request)
    return earlier


@compiled_without_allocation
def _continues_run(w: Work, request: int) -> bool:
    """Whether ``request`` goes on in the row and the direction of the one before it, at a higher address."""
    before = request - 1
    return (
        request > 0
        and w.bank[request] == w.bank[before]
        and w.row[request] == w.row[before]
        and w.is_write[request] == w.is_write[before]
        and w.phase[request] == w.phase[before]
        and w.address[request] > w.address[before]
    )


class _Step(NamedTuple):
    """What a channel did in a cycle: the command, or one of a later cycle where there was none; the request served."""

    command: _Command
    row: int
    request: int


@compiled_without_allocation
def _issue(
    s: state.DeviceState, t: CommandTiming, q: Queues, w: Work, r: Results, channel: int, command: _Command, now: int
) -> _Step:
    """Issue a legal command at ``now``."""
    kind, target = command.kind, command.target
    if kind == REFRESH:
        state.issue_refresh(s, t, target, now)
        return _Step(command, state.CLOSED, NONE)
    if kind == PRECHARGE:
        state.issue_precharge(s, t, target, now)
        return _Step(command, state.CLOSED, NONE)
    request = q.at_bank[target, command.place]
    row = w.row[request]
    if kind == ACTIVATE:
        state.issue_activate(s, t, target, row, now)
        return _Step(command, row, NONE)
    r.row_hit[request] = s.columns[target] > 0
    r.done[request] = state.issue_column(s, t, target, w.is_write[request], now)
    if kind in (READ_PRECHARGE, WRITE_PRECHARGE):
        state.close_bank(s, t, target, s.precharge_ready[target])
    remove(q, w, channel, target, command.place)
    return _Step(command, row, request)


@compiled_without_allocation
def _step(
    s: state.DeviceState,
    t: CommandTiming,
    q: Queues,
    w: Work,
    r: Results,
    turns: _Turns,
    channel: int,
    closed_page: bool,
    last: bool,
    now: int,
) -> _Step:
    """One cycle of a channel: a command, if one is legal, and then a request moved to its bank."""
    blocked = _blocked_rank(turns, channel, now)
    step = _Step(_Command(_NEVER, ACTIVATE, NONE, NONE), state.CLOSED, NONE)
    command = step.command
    if blocked != NONE:
        command = _refresh_command(s, t, blocked, now)
    searched = command.cycle > now and turns.first_ready[channel] <= now
    if searched:
        command = _request_command(s, t, turns, channel, blocked, closed_page, now)
    changed = NONE
    if command.cycle <= now:
        step = _issue(s, t, q, w, r, channel, command, now)
        if command.kind == REFRESH:
            _refreshed(t, turns, channel)
            blocked = _blocked_rank(turns, channel, now)
        else:
            changed = command.target
    moved_to = move_one(q, w, channel, last)
    if changed != NONE:
        _renew(s, t, q, w, turns, channel, changed, closed_page, now)
    if moved_to != NONE and moved_to != changed:
        _renew(s, t, q, w, turns, channel, moved_to, closed_page, now)
    if searched or changed != NONE or moved_to != NONE or blocked != NONE or step.command.kind == REFRESH:
        turns.first_ready[channel] = _first_ready(s, turns, channel, blocked)
    return step


@compiled_without_allocation
def _wake(s: state.DeviceState, t: CommandTiming, q: Queues, turns: _Turns, channel: int, last: bool, now: int) -> int:
    """The first cycle after ``now`` in which a channel may have something to do, if no request is taken in."""
    if q.movable[channel, kind_to_move(q, channel, last)] > 0:
        return now + 1
    blocked = _blocked_rank(turns, channel, now)
    refresh: int = turns.refresh_due[channel] if blocked == NONE else _refresh_command(s, t, blocked, now).cycle
    request: int = turns.first_ready[channel]
    return max(now + 1, min(refresh, request))


@compiled_without_allocation
def _resolve_merged(r: Results) -> None:
    """A merged request is done with the one it was merged with, whose index its ``done`` holds as −1 − index."""
    for request in range(len(r.done)):
        if r.done[request] < 0:
            r.done[request] = r.done[-1 - r.done[request]]


@compiled
def _run(
    t: CommandTiming,
    w: Work,
    queue_depth: int,
    closed_page: bool,
    posted_writes: bool,
    record_commands: bool,
    leap_over_streams: bool,
) -> _Outcome:
    """The controllers' loop; requests from ``tail`` on have not come, ``pending`` ones wait to be served.

    ``reads`` of these are reads; ``posted_end`` is when the last request so far is done for who sent it.
    """
    requests = len(w.bank)
    s = state.new_state(t)
    banks = len(s.open_row)
    q = new_queues(t.channels, banks, queue_depth)
    r = Results(np.zeros(requests, np.int64), np.zeros(requests, np.int64), np.zeros(requests, np.bool_))
    turns = _new_turns(t, banks)
    counts = np.zeros(REFRESH + 1, np.int64)
    log = np.empty((256, _LOG_COLUMNS), np.int64)
    mark = new_mark()
    used = tail = pending = now = run_start = phase_start = last_done = forwarded = merged = 0
    reads = posted_end = 0
    while tail < requests or pending > 0:
        if posted_writes and tail == requests and reads == 0 and now > posted_end:
            break
        # Whether all requests of the phase are in.
        last = tail == requests or (tail > 0 and w.phase[tail] != w.phase[tail - 1])
        served = NONE
        for channel in range(t.channels):
            step = _step(s, t, q, w, r, turns, channel, closed_page, last, now)
            if step.command.cycle <= now:
                counts[step.command.kind] += 1
                if step.request != NONE:
                    served = step.request
                    pending -= 1
                    last_done = max(last_done, r.done[served])
                    if not w.is_write[served]:
                        reads -= 1
                        posted_end = max(posted_end, r.done[served])
                if record_commands:
                    log = _appended(log, used, now, step.command.kind, step.command.target, step.row)
                    used += 1

        if tail < requests and (pending == 0 or not last):
            if last:
                phase_start = last_done
            if phase_start + w.earliest[tail] <= now and _has_room(
                q, s.channel_of_bank[w.bank[tail]], w.is_write[tail]
            ):
                r.taken[tail] = now + 1
                earlier = _take(q, w, s.channel_of_bank[w.bank[tail]], tail)
                posted_end = max(posted_end, now + 2)
                if earlier == NONE:
                    pending += 1
                    if not w.is_write[tail]:
                        reads += 1
                elif w.is_write[earlier] and not w.is_write[tail]:
                    forwarded += 1
                    r.done[tail] = now + 2
                    last_done = max(last_done, now + 2)
                else:
                    merged += 1
                    r.done[tail] = -1 - earlier
                if not _continues_run(w, tail):
                    run_start = tail
                tail += 1
                last = tail == requests or w.phase[tail] != w.phase[tail - 1]

        wake = _NEVER
        for channel in range(t.channels):
            wake = min(wake, _wake(s, t, q, turns, channel, last, now))
        if tail < requests and (pending == 0 or not last):
            start = last_done if last else phase_start
            if _has_room(q, s.channel_of_bank[w.bank[tail]], w.is_write[tail]):
                wake = min(wake, max(now + 1, start + w.earliest[tail]))

        if leap_over_streams and served != NONE:
            bank = w.bank[served]
            issued = Served(now, served, s.channel_of_bank[bank], bank)
            next_refresh = _NEVER
            for channel in range(t.channels):
                next_refresh = min(next_refresh, turns.refresh_due[channel])
            distance = find_leap(s, q, w, issued, tail, run_start, phase_start, next_refresh, pending, mark)
            if distance.commands > 0:
                leap(s, t, q, w, r, issued, tail, distance)
                counts[WRITE if w.is_write[served] else READ] += distance.commands
                tail += distance.commands
                last_done = max(last_done, r.done[served + distance.commands])
                posted_end = max(posted_end, r.taken[tail - 1] + 1)
                if not w.is_write[served]:
                    posted_end = max(posted_end, last_done)
                now += distance.commands * distance.period
                wake = now + 1
        now = wake
    if merged > 0:
        _resolve_merged(r)
    state.close_accounts(s, posted_end if posted_writes else last_done)
    return _Outcome(r, forwarded, merged, counts, s.active_cycles, log[:used])
