"""What the device allows next: state of banks, bank groups and ranks, and each command's effect on it.

Compiled with numba. A scheduler asks ``earliest_…`` and calls ``issue_…``; it knows no timing itself, so
another scheduling policy needs no change here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from actcodec_sim.arrays import Int64Array
from actcodec_sim.dram.timing import CommandTiming
from actcodec_sim.jit import compiled, compiled_without_allocation

CLOSED = -1
"""``open_row`` of a bank without an open row."""
_ACTIVATES_IN_WINDOW = 4


class DeviceState(NamedTuple):
    """First cycle at which each command is legal again, by flat bank, group or rank index
    (``address.Location``).

    ``recent_activates`` is a ring of the rank's last four activates (tFAW), ``activate_count`` its write
    index.
    ``active_cycles`` adds up the cycles in which a rank had a row open; ``active_since`` is the start of the
    stretch now running. ``group_of_bank`` and ``rank_of_bank`` never change.
    """

    group_of_bank: Int64Array
    rank_of_bank: Int64Array
    open_row: Int64Array
    activate_ready: Int64Array
    column_ready: Int64Array
    precharge_ready: Int64Array
    group_activate_ready: Int64Array
    group_read_ready: Int64Array
    group_write_ready: Int64Array
    recent_activates: Int64Array
    activate_count: Int64Array
    refresh_ready: Int64Array
    open_banks: Int64Array
    active_since: Int64Array
    active_cycles: Int64Array


@compiled
def new_state(t: CommandTiming) -> DeviceState:
    """All banks closed, every command legal at cycle 0."""
    groups = t.ranks * t.groups_per_rank
    banks = groups * t.banks_per_group
    return DeviceState(
        np.arange(banks) // t.banks_per_group,
        np.arange(banks) // (t.banks_per_group * t.groups_per_rank),
        np.full(banks, CLOSED, np.int64),
        np.zeros(banks, np.int64),
        np.zeros(banks, np.int64),
        np.zeros(banks, np.int64),
        np.zeros(groups, np.int64),
        np.zeros(groups, np.int64),
        np.zeros(groups, np.int64),
        np.full((t.ranks, _ACTIVATES_IN_WINDOW), -t.four_activates, np.int64),
        np.zeros(t.ranks, np.int64),
        np.zeros(t.ranks, np.int64),
        np.zeros(t.ranks, np.int64),
        np.zeros(t.ranks, np.int64),
        np.zeros(t.ranks, np.int64),
    )


@compiled_without_allocation
def earliest_activate(s: DeviceState, t: CommandTiming, bank: int) -> int:
    """First cycle for ACT to a closed bank: tRP, tRC, tRFC (bank), tRRD (group), tFAW (rank)."""
    group = s.group_of_bank[bank]
    rank = s.rank_of_bank[bank]
    fourth_last: int = s.recent_activates[rank, s.activate_count[rank] % _ACTIVATES_IN_WINDOW]
    bank_ready: int = s.activate_ready[bank]
    group_ready: int = s.group_activate_ready[group]
    return max(bank_ready, group_ready, fourth_last + t.four_activates)


@compiled_without_allocation
def earliest_column(s: DeviceState, t: CommandTiming, bank: int, is_write: bool) -> int:
    """First cycle for RD or WR to the open row: tRCD, tCCD, turnarounds and the data bus."""
    group = s.group_of_bank[bank]
    bus_ready: int = s.group_write_ready[group] if is_write else s.group_read_ready[group]
    row_ready: int = s.column_ready[bank]
    return max(row_ready, bus_ready)


@compiled_without_allocation
def earliest_precharge_all(s: DeviceState, t: CommandTiming, rank: int) -> int:
    """First cycle for PREA: every open bank of the rank has met tRAS, tRTP and tWR."""
    banks = t.groups_per_rank * t.banks_per_group
    ready = 0
    for bank in range(rank * banks, (rank + 1) * banks):
        if s.open_row[bank] != CLOSED:
            ready = max(ready, s.precharge_ready[bank])
    return ready


@compiled_without_allocation
def issue_activate(s: DeviceState, t: CommandTiming, bank: int, row: int, cycle: int) -> None:
    """Open ``row`` of ``bank`` at ``cycle``."""
    group = s.group_of_bank[bank]
    rank = s.rank_of_bank[bank]
    s.open_row[bank] = row
    s.activate_ready[bank] = cycle + t.activate_to_activate
    s.column_ready[bank] = cycle + t.activate_to_column
    s.precharge_ready[bank] = cycle + t.activate_to_precharge
    for other in range(rank * t.groups_per_rank, (rank + 1) * t.groups_per_rank):
        distance = t.activate_near if other == group else t.activate_far
        s.group_activate_ready[other] = max(s.group_activate_ready[other], cycle + distance)
    s.recent_activates[rank, s.activate_count[rank] % _ACTIVATES_IN_WINDOW] = cycle
    s.activate_count[rank] += 1
    if s.open_banks[rank] == 0:
        s.active_since[rank] = cycle
    s.open_banks[rank] += 1


@compiled_without_allocation
def issue_precharge(s: DeviceState, t: CommandTiming, bank: int, cycle: int) -> None:
    """Close ``bank`` at ``cycle``."""
    rank = s.rank_of_bank[bank]
    s.open_row[bank] = CLOSED
    s.activate_ready[bank] = max(s.activate_ready[bank], cycle + t.precharge_to_activate)
    s.refresh_ready[rank] = max(s.refresh_ready[rank], cycle + t.precharge_to_activate)
    s.open_banks[rank] -= 1
    if s.open_banks[rank] == 0:
        s.active_cycles[rank] += cycle - s.active_since[rank]


@compiled_without_allocation
def issue_precharge_all(s: DeviceState, t: CommandTiming, rank: int, cycle: int) -> None:
    """Close every open bank of ``rank`` at ``cycle``."""
    banks = t.groups_per_rank * t.banks_per_group
    for bank in range(rank * banks, (rank + 1) * banks):
        if s.open_row[bank] != CLOSED:
            issue_precharge(s, t, bank, cycle)


@compiled_without_allocation
def issue_refresh(s: DeviceState, t: CommandTiming, rank: int, cycle: int) -> None:
    """Refresh ``rank`` at ``cycle``: no ACT to any of its banks for tRFC."""
    banks = t.groups_per_rank * t.banks_per_group
    for bank in range(rank * banks, (rank + 1) * banks):
        s.activate_ready[bank] = max(s.activate_ready[bank], cycle + t.refresh_time)
    s.refresh_ready[rank] = cycle + t.refresh_time


@compiled_without_allocation
def issue_column(s: DeviceState, t: CommandTiming, bank: int, is_write: bool, cycle: int) -> int:
    """Read or write a burst of ``bank``'s open row at ``cycle``; the cycle after its last data beat."""
    group = s.group_of_bank[bank]
    rank = s.rank_of_bank[bank]
    to_precharge = t.write_to_precharge if is_write else t.read_to_precharge
    s.precharge_ready[bank] = max(s.precharge_ready[bank], cycle + to_precharge)
    for other in range(t.ranks * t.groups_per_rank):
        if other // t.groups_per_rank != rank:
            same_kind = t.column_rank
            write_to_read = t.write_to_read_rank
        elif other != group:
            same_kind = t.column_far
            write_to_read = t.write_to_read_far
        else:
            same_kind = t.column_near
            write_to_read = t.write_to_read_near
        to_read = write_to_read if is_write else same_kind
        to_write = same_kind if is_write else t.read_to_write
        s.group_read_ready[other] = max(s.group_read_ready[other], cycle + to_read)
        s.group_write_ready[other] = max(s.group_write_ready[other], cycle + to_write)
    return cycle + (t.write_latency if is_write else t.read_latency) + t.burst


@compiled_without_allocation
def close_accounts(s: DeviceState, t: CommandTiming, cycle: int) -> None:
    """Add the stretches of open rows that still run at ``cycle``, the end of the simulation."""
    for rank in range(t.ranks):
        if s.open_banks[rank] > 0:
            s.active_cycles[rank] += cycle - s.active_since[rank]
            s.active_since[rank] = cycle
