"""A command-level memory controller: FR-FCFS with a queue for each bank, open page, writes in bursts.

Reads and writes wait apart, at most ``queue_depth`` of each; one request a cycle is taken in, in the order of the
list, and one a cycle goes on to its bank's queue (``queues.py``). Reads go on first. Writes are gathered and then
drained: all that wait when their queue is full, when more than 8 wait and the banks have nothing to do, or when no
more requests come. A read of an address with a write in a queue is answered from that write and takes no command;
a write never passes an older read of its address, so that accesses to one address keep their order.

Every cycle at most one command goes to the device, the first of these that is legal:

1. refresh: from the cycle a rank's refresh is due, the rank gets no other command; PREA, then REF;
2. RD or WR of an open row, of the first such request in its bank's queue;
3. ACT or PRE for a bank's oldest request; PRE only where no request of its queue is left for the open row.

Banks take turns in 2 and 3, from the one after the last served. In a bank a row hit may overtake requests of other
rows; a request that was overtaken 32 times is served before any more hits (OVERTAKE_LIMIT).

Cycles in which nothing can happen are skipped, which changes no figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from actcodec.errors import ActcodecError
from actcodec_sim.arrays import BoolArray, Int64Array
from actcodec_sim.dram import state
from actcodec_sim.dram.address import locate
from actcodec_sim.dram.commands import ACTIVATE, PRECHARGE, PRECHARGE_ALL, READ, REFRESH, WRITE, CommandLog
from actcodec_sim.dram.device import DramDevice
from actcodec_sim.dram.energy import DramEnergy, dram_energy
from actcodec_sim.dram.queues import (
    NONE,
    READS,
    WRITES,
    Queues,
    Work,
    find_hits,
    move_one,
    new_queues,
    remove,
    write_is_pending,
)
from actcodec_sim.dram.requests import Requests
from actcodec_sim.dram.timing import CommandTiming, command_timing
from actcodec_sim.jit import compiled, compiled_without_allocation

DEFAULT_QUEUE_DEPTH = 32
OVERTAKE_LIMIT = 32
"""Row hits that may go before a bank's oldest request while that one waits."""

_NEVER = np.iinfo(np.int64).max
_LOG_COLUMNS = 4
_DRAIN_ABOVE = 8
"""Idle banks take writes where more than this many wait; DRAMsim3's threshold."""


@dataclass(frozen=True, eq=False)
class DramResult:
    """What the controller did with a request list.

    ``cycles``      the cycle after the last data beat
    ``row_hits``    requests that are not the first of an opened row; ``precharges`` counts PRE and PREA commands
    ``forwarded``   reads answered from a write that was still in a queue; they take no command
    ``taken``       per request, the cycle it was taken into the controller
    ``done``        per request, the cycle after its last data beat; ``row_hit`` per request
    ``commands``    every command in order, where asked for
    """

    cycles: int
    reads: int
    writes: int
    forwarded: int
    row_hits: int
    activates: int
    precharges: int
    refreshes: int
    energy: DramEnergy
    average_read_latency: float
    """Mean cycles from taking a read into the controller to the end of its data; 0 without reads."""
    taken: Int64Array
    done: Int64Array
    row_hit: BoolArray
    commands: CommandLog | None


def simulate(
    device: DramDevice,
    requests: Requests,
    *,
    queue_depth: int = DEFAULT_QUEUE_DEPTH,
    record_commands: bool = False,
) -> DramResult:
    """Run ``requests`` through the controller to the last data beat.

    ``queue_depth`` reads and as many writes wait in front of the banks' own queues.
    ``record_commands`` keeps the command log for ``audit.violations``. Raises ActcodecError for an address
    outside the device or not aligned to a transaction, or a ``queue_depth`` below 1.
    """
    if queue_depth < 1:
        raise ActcodecError("controller", f"queue_depth: {queue_depth} is below 1")
    where = locate(device, requests.address)
    outcome = _run(
        command_timing(device),
        Work(requests.address, where.bank, where.row, requests.is_write, requests.earliest, requests.phase),
        queue_depth,
        record_commands,
    )
    cycles = int(outcome.done.max()) if len(requests) else 0
    counts = outcome.counts
    writes = int(requests.is_write.sum())
    reads = len(requests) - writes
    latency = (outcome.done - outcome.taken)[~requests.is_write]
    return DramResult(
        cycles=cycles,
        reads=reads,
        writes=writes,
        forwarded=reads - int(counts[READ]),
        row_hits=int(outcome.row_hit.sum()),
        activates=int(counts[ACTIVATE]),
        precharges=int(counts[PRECHARGE] + counts[PRECHARGE_ALL]),
        refreshes=int(counts[REFRESH]),
        energy=dram_energy(
            device,
            activates=int(counts[ACTIVATE]),
            reads=int(counts[READ]),
            writes=int(counts[WRITE]),
            refreshes=int(counts[REFRESH]),
            rank_cycles=cycles * device.organization.ranks,
            active_rank_cycles=int(outcome.active_cycles.sum()),
        ),
        average_read_latency=float(latency.mean()) if reads else 0.0,
        taken=outcome.taken,
        done=outcome.done,
        row_hit=outcome.row_hit,
        commands=CommandLog(*outcome.log.T) if record_commands else None,
    )


class _Outcome(NamedTuple):
    """The kernel's results: per request, per command kind, per rank, and the command log."""

    taken: Int64Array
    done: Int64Array
    row_hit: BoolArray
    counts: Int64Array
    active_cycles: Int64Array
    log: Int64Array


class _Command(NamedTuple):
    """A command that may be issued at or after ``cycle``; ``request`` is −1 where it serves none."""

    cycle: int
    kind: int
    target: int
    request: int


@compiled_without_allocation
def _refresh_command(s: state.DeviceState, t: CommandTiming, refresh_due: Int64Array, now: int) -> _Command:
    """The next command of a rank whose refresh is due; with none due, the cycle of the next refresh."""
    best = _Command(_NEVER, REFRESH, -1, -1)
    for rank in range(t.ranks):
        if refresh_due[rank] > now:
            command = _Command(refresh_due[rank], REFRESH, -1, -1)
        elif s.open_banks[rank] > 0:
            command = _Command(state.earliest_precharge_all(s, t, rank), PRECHARGE_ALL, rank, -1)
        else:
            command = _Command(s.refresh_ready[rank], REFRESH, rank, -1)
        if command.cycle < best.cycle:
            best = command
    return best


@compiled_without_allocation
def _bank_command(s: state.DeviceState, t: CommandTiming, q: Queues, w: Work, bank: int, now: int) -> _Command:
    """The next command for the requests at ``bank``, which are not none, and the first cycle it is legal."""
    oldest = q.at_bank[bank, 0]
    open_row = s.open_row[bank]
    if open_row == state.CLOSED:
        return _Command(state.earliest_activate(s, t, bank), ACTIVATE, bank, oldest)
    best = _Command(_NEVER, PRECHARGE, bank, oldest)
    if w.row[oldest] == open_row or q.overtaken[bank] < OVERTAKE_LIMIT:
        read, write = q.hit[bank, READS], q.hit[bank, WRITES]
        if read != NONE:
            best = _Command(state.earliest_column(s, t, bank, False), READ, bank, q.at_bank[bank, read])
        if write != NONE:
            cycle = state.earliest_column(s, t, bank, True)
            # Of two that are legal the one that came to the bank first, else the sooner one.
            if (cycle < best.cycle and best.cycle > now) or (cycle <= now and write < read):
                best = _Command(cycle, WRITE, bank, q.at_bank[bank, write])
    if best.kind == PRECHARGE:
        best = _Command(s.precharge_ready[bank], PRECHARGE, bank, oldest)
    return best


@compiled_without_allocation
def _request_command(
    s: state.DeviceState, t: CommandTiming, q: Queues, w: Work, refresh_due: Int64Array, last_bank: int, now: int
) -> _Command:
    """The first command, in order of priority, that is legal at ``now``; else the one that is legal soonest."""
    best = _Command(_NEVER, READ, -1, -1)
    banks = len(s.open_row)
    bank = last_bank
    for _ in range(banks):
        bank += 1
        if bank == banks:
            bank = 0
        if q.at_bank_count[bank] == 0 or refresh_due[s.rank_of_bank[bank]] <= now:
            continue
        command = _bank_command(s, t, q, w, bank, now)
        if command.cycle <= now and (command.kind == READ or command.kind == WRITE):
            return command
        if command.cycle < best.cycle and best.cycle > now:
            best = command
    return best


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
def _take(q: Queues, w: Work, request: int, now: int, done: Int64Array) -> bool:
    """Take ``request`` in at ``now``; False where its queue has no room.

    A read of an address with a write in a queue is answered from it, in the next cycle.
    """
    kind = WRITES if w.is_write[request] else READS
    if kind == READS and write_is_pending(q, w, request):
        done[request] = now + 1
        return True
    count = q.waiting_count[kind]
    if count == q.waiting.shape[1]:
        return False
    q.waiting[kind, count] = request
    q.waiting_count[kind] = count + 1
    return True


@compiled_without_allocation
def _move(q: Queues, w: Work, at_banks: int, last: bool) -> int:
    """Move one request to its bank: a read, or a write while writes are drained. Its bank, or NONE.

    ``at_banks`` requests are at the banks; ``last`` says that no more come before all these are served.
    """
    reads, writes = q.waiting_count[READS], q.waiting_count[WRITES]
    if q.draining[0] == 0:
        full = writes == q.waiting.shape[1]
        if full or (writes > _DRAIN_ABOVE and at_banks == 0) or (last and reads == 0):
            q.draining[0] = writes
    if q.draining[0] == 0:
        return move_one(q, w, READS)
    bank = move_one(q, w, WRITES)
    if bank != NONE:
        q.draining[0] -= 1
    elif at_banks == 0:
        # Every bank has room, so each of these writes waits for an older read of its address.
        bank = move_one(q, w, READS)
    return bank


@compiled
def _run(t: CommandTiming, w: Work, queue_depth: int, record_commands: bool) -> _Outcome:
    """The controller's loop; requests from ``tail`` on have not come, those in a queue are not served."""
    requests = len(w.bank)
    s = state.new_state(t)
    banks = len(s.open_row)
    q = new_queues(banks, queue_depth)
    taken = np.zeros(requests, np.int64)
    done = np.zeros(requests, np.int64)
    row_hit = np.zeros(requests, np.bool_)
    row_used = np.zeros(banks, np.bool_)
    counts = np.zeros(REFRESH + 1, np.int64)
    log = np.empty((256, _LOG_COLUMNS), np.int64)
    used = 0
    # Ranks take turns, so that their refreshes do not fall together.
    refresh_due = np.array([t.refresh_interval * (rank + 1) // t.ranks for rank in range(t.ranks)])
    tail = at_banks = now = 0
    phase_start = last_done = 0
    last_bank = banks - 1
    # No request's command is legal before this cycle, unless another request comes to its bank.
    idle_until = 0
    while True:
        waits = q.waiting_count[READS] + q.waiting_count[WRITES] + at_banks
        if tail == requests and waits == 0:
            break
        wake = _NEVER
        changed = False
        if waits == 0 and tail > 0 and w.phase[tail] != w.phase[tail - 1]:
            phase_start = last_done
        if tail < requests and (waits == 0 or w.phase[tail] == w.phase[tail - 1]):
            offered = phase_start + w.earliest[tail]
            if offered > now:
                wake = offered
            elif _take(q, w, tail, now, done):
                taken[tail] = now
                last_done = max(last_done, done[tail])
                tail += 1
                changed = True
        last = tail == requests or (tail > 0 and w.phase[tail] != w.phase[tail - 1])
        bank = _move(q, w, at_banks, last)
        if bank != NONE:
            at_banks += 1
            changed = True
            find_hits(q, w, bank, s.open_row[bank])
            idle_until = min(idle_until, _bank_command(s, t, q, w, bank, now).cycle)

        command = _refresh_command(s, t, refresh_due, now)
        if command.cycle > now:
            wake = min(wake, command.cycle)
            if idle_until <= now:
                command = _request_command(s, t, q, w, refresh_due, last_bank, now)
                idle_until = command.cycle
            wake = min(wake, idle_until)
        if command.cycle > now:
            now = now + 1 if changed else wake
            continue

        kind, target, request = command.kind, command.target, command.request
        opened = state.CLOSED
        if kind == REFRESH:
            state.issue_refresh(s, t, target, now)
            refresh_due[target] += t.refresh_interval
        elif kind == PRECHARGE_ALL:
            state.issue_precharge_all(s, t, target, now)
        elif kind == PRECHARGE:
            state.issue_precharge(s, t, target, now)
            last_bank = target
        elif kind == ACTIVATE:
            opened = w.row[request]
            state.issue_activate(s, t, target, opened, now)
            find_hits(q, w, target, opened)
            row_used[target] = False
            last_bank = target
        else:
            opened = w.row[request]
            done[request] = state.issue_column(s, t, target, kind == WRITE, now)
            last_done = max(last_done, done[request])
            row_hit[request] = row_used[target]
            row_used[target] = True
            remove(q, target, request)
            find_hits(q, w, target, opened)
            at_banks -= 1
            last_bank = target
        counts[kind] += 1
        if record_commands:
            log = _appended(log, used, now, kind, target, opened)
            used += 1
        now += 1
        idle_until = now
    state.close_accounts(s, t, last_done)
    return _Outcome(taken, done, row_hit, counts, s.active_cycles, log[:used])
