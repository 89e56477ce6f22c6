"""A command-level memory controller: open page, column commands in request order, banks prepared ahead.

Every cycle at most one command goes to the device, the first of these that is legal:

1. refresh: from the cycle a rank's refresh is due, the rank gets no other command; PREA, then REF;
2. RD or WR of the oldest request, if its row is open;
3. PRE or ACT for the oldest request of a bank among those waiting, oldest first. A row that an older waiting
   request needs is never closed.

At most ``queue_depth`` requests wait; one a cycle is taken in, in order. Cycles in which nothing can happen
are skipped, which changes no figure.
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
from actcodec_sim.dram.requests import Requests
from actcodec_sim.dram.timing import CommandTiming, command_timing
from actcodec_sim.jit import compiled

DEFAULT_QUEUE_DEPTH = 32

_NEVER = np.iinfo(np.int64).max
_LOG_COLUMNS = 4


@dataclass(frozen=True, eq=False)
class DramResult:
    """What the controller did with a request list.

    ``cycles``      the cycle after the last data beat
    ``row_hits``    requests served without an ACT of their own; ``precharges`` counts PRE and PREA commands
    ``done``        per request, the cycle after its last data beat; ``row_hit`` per request
    ``commands``    every command in order, where asked for
    """

    cycles: int
    reads: int
    writes: int
    row_hits: int
    activates: int
    precharges: int
    refreshes: int
    energy: DramEnergy
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

    ``record_commands`` keeps the command log for ``audit.violations``. Raises ActcodecError for an address
    outside the device or not aligned to a transaction, or a ``queue_depth`` below 1.
    """
    if queue_depth < 1:
        raise ActcodecError("controller", f"queue_depth: {queue_depth} is below 1")
    where = locate(device, requests.address)
    outcome = _run(
        command_timing(device),
        where.bank,
        where.row,
        requests.is_write,
        requests.earliest,
        requests.phase,
        queue_depth,
        record_commands,
    )
    cycles = int(outcome.done.max()) if len(requests) else 0
    counts = outcome.counts
    writes = int(requests.is_write.sum())
    reads = len(requests) - writes
    return DramResult(
        cycles=cycles,
        reads=reads,
        writes=writes,
        row_hits=int(outcome.row_hit.sum()),
        activates=int(counts[ACTIVATE]),
        precharges=int(counts[PRECHARGE] + counts[PRECHARGE_ALL]),
        refreshes=int(counts[REFRESH]),
        energy=dram_energy(
            device,
            activates=int(counts[ACTIVATE]),
            reads=reads,
            writes=writes,
            refreshes=int(counts[REFRESH]),
            rank_cycles=cycles * device.organization.ranks,
            active_rank_cycles=int(outcome.active_cycles.sum()),
        ),
        done=outcome.done,
        row_hit=outcome.row_hit,
        commands=CommandLog(*outcome.log.T) if record_commands else None,
    )


class _Outcome(NamedTuple):
    """The kernel's results: per request, per command kind, per rank, and the command log."""

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


@compiled
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


@compiled
def _request_command(
    s: state.DeviceState,
    t: CommandTiming,
    bank: Int64Array,
    row: Int64Array,
    is_write: BoolArray,
    head: int,
    tail: int,
    refresh_due: Int64Array,
    seen: Int64Array,
    now: int,
) -> _Command:
    """The first command, in order of priority, that is legal at ``now``; else the one that is legal soonest.

    ``seen[bank]`` is the last request that looked at the bank: one at or after ``head`` is older and goes
    first.
    """
    best = _Command(_NEVER, READ, -1, -1)
    banks_per_rank = t.groups_per_rank * t.banks_per_group
    for request in range(head, tail):
        target = bank[request]
        if seen[target] >= head and seen[target] < request:
            continue
        seen[target] = request
        if refresh_due[target // banks_per_rank] <= now:
            continue
        if s.open_row[target] == row[request]:
            if request != head:
                continue
            cycle = state.earliest_column(s, t, target, is_write[request])
            kind = WRITE if is_write[request] else READ
        elif s.open_row[target] == state.CLOSED:
            cycle = state.earliest_activate(s, t, target)
            kind = ACTIVATE
        else:
            cycle = s.precharge_ready[target]
            kind = PRECHARGE
        if cycle < best.cycle:
            best = _Command(cycle, kind, target, request)
            if cycle <= now:
                break
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


@compiled
def _run(
    t: CommandTiming,
    bank: Int64Array,
    row: Int64Array,
    is_write: BoolArray,
    earliest: Int64Array,
    phase: Int64Array,
    queue_depth: int,
    record_commands: bool,
) -> _Outcome:
    """The controller's loop; requests ``head`` … ``tail − 1`` wait, adjacent because columns go in order."""
    requests = len(bank)
    s = state.new_state(t)
    column_cycle = np.zeros(requests, np.int64)
    done = np.zeros(requests, np.int64)
    row_hit = np.ones(requests, np.bool_)
    counts = np.zeros(REFRESH + 1, np.int64)
    log = np.empty((256, _LOG_COLUMNS), np.int64)
    used = 0
    # Ranks take turns, so that their refreshes do not fall together.
    refresh_due = np.array([t.refresh_interval * (rank + 1) // t.ranks for rank in range(t.ranks)])
    seen = np.full(len(s.open_row), -1, np.int64)
    head = tail = 0
    now = 0
    phase_start = last_done = 0
    last_taken = -1
    while head < requests:
        wake = _NEVER
        while tail < requests and tail - head < queue_depth:
            if tail > 0 and phase[tail] != phase[tail - 1]:
                if head < tail:
                    break
                phase_start = last_done
            offered = max(phase_start + earliest[tail], last_taken + 1)
            if tail >= queue_depth:
                offered = max(offered, column_cycle[tail - queue_depth] + 1)
            if offered > now:
                wake = offered
                break
            last_taken = offered
            tail += 1

        command = _refresh_command(s, t, refresh_due, now)
        if command.cycle > now:
            wake = min(wake, command.cycle)
            command = _request_command(s, t, bank, row, is_write, head, tail, refresh_due, seen, now)
        if command.cycle > now:
            now = min(wake, command.cycle)
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
        elif kind == ACTIVATE:
            opened = row[request]
            state.issue_activate(s, t, target, opened, now)
            row_hit[request] = False
        else:
            opened = row[request]
            column_cycle[request] = now
            done[request] = state.issue_column(s, t, target, kind == WRITE, now)
            last_done = max(last_done, done[request])
            head += 1
        counts[kind] += 1
        if record_commands:
            log = _appended(log, used, now, kind, target, opened)
            used += 1
        now += 1
    state.close_accounts(s, t, last_done)
    return _Outcome(done, row_hit, counts, s.active_cycles, log[:used])
