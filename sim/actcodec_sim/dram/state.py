"""What the device allows next: state of banks, bank groups and ranks, and each command's effect on it.

Compiled with numba. A scheduler asks ``earliest_…`` and calls ``issue_…``; it knows no timing itself, so
another scheduling policy needs no change here. All indices are flat over the channels (``address.Location``).
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
    """First cycle at which each command is legal again, by flat bank, group or rank index.

    A column command waits for its bank's ``column_ready`` (tRCD), its group's ready cycle (the same group's column
    commands) and its rank's (those of other groups and ranks); an activate likewise.
    ``columns`` counts column commands of the open row. ``recent_activates`` is a ring of the rank's last four activates
    (tFAW), ``activate_count`` its write index.
    ``active_cycles`` adds up the cycles in which a rank had a row open, without the stretch now running, which goes
    from ``active_since`` to ``active_until`` or, with ``open_banks`` above 0, on. ``group_of_bank``, ``rank_of_bank``
    and ``channel_of_bank`` never change.
    """

    group_of_bank: Int64Array
    rank_of_bank: Int64Array
    channel_of_bank: Int64Array
    open_row: Int64Array
    columns: Int64Array
    activate_ready: Int64Array
    column_ready: Int64Array
    precharge_ready: Int64Array
    group_activate_ready: Int64Array
    group_read_ready: Int64Array
    group_write_ready: Int64Array
    rank_activate_ready: Int64Array
    rank_precharge_ready: Int64Array
    rank_read_ready: Int64Array
    rank_write_ready: Int64Array
    recent_activates: Int64Array
    activate_count: Int64Array
    refresh_ready: Int64Array
    open_banks: Int64Array
    active_since: Int64Array
    active_until: Int64Array
    active_cycles: Int64Array


@compiled
def new_state(t: CommandTiming) -> DeviceState:
    """All banks closed, every command legal at cycle 0."""
    ranks = t.channels * t.ranks
    groups = ranks * t.groups_per_rank
    banks = groups * t.banks_per_group
    return DeviceState(
        np.arange(banks) // t.banks_per_group,
        np.arange(banks) // (t.banks_per_group * t.groups_per_rank),
        np.arange(banks) // (t.banks_per_group * t.groups_per_rank * t.ranks),
        np.full(banks, CLOSED, np.int64),
        np.zeros(banks, np.int64),
        np.zeros(banks, np.int64),
        np.zeros(banks, np.int64),
        np.zeros(banks, np.int64),
        np.zeros(groups, np.int64),
        np.zeros(groups, np.int64),
        np.zeros(groups, np.int64),
        np.zeros(ranks, np.int64),
        np.zeros(ranks, np.int64),
        np.zeros(ranks, np.int64),
        np.zeros(ranks, np.int64),
        np.full((ranks, _ACTIVATES_IN_WINDOW), -t.four_activates, np.int64),
        np.zeros(ranks, np.int64),
        np.zeros(ranks, np.int64),
        np.zeros(ranks, np.int64),
        np.zeros(ranks, np.int64),
        np.zeros(ranks, np.int64),
        np.zeros(ranks, np.int64),
    )


@compiled_without_allocation
def earliest_activate(s: DeviceState, t: CommandTiming, bank: int) -> int:
    """First cycle for ACT to a closed bank: tRP, tRC, tRFC (bank), tRRD (group, rank), tFAW (rank)."""
    group = s.group_of_bank[bank]
    rank = s.rank_of_bank[bank]
    fourth_last: int = s.recent_activates[rank, s.activate_count[rank] % _ACTIVATES_IN_WINDOW]
    bank_ready: int = s.activate_ready[bank]
    bus_ready: int = max(s.group_activate_ready[group], s.rank_activate_ready[rank])
    return max(bank_ready, bus_ready, fourth_last + t.four_activates)


@compiled_without_allocation
def earliest_column(s: DeviceState, bank: int, is_write: bool) -> int:
    """First cycle for a read or write of the open row: tRCD, tCCD, turnarounds and the data bus."""
    group = s.group_of_bank[bank]
    rank = s.rank_of_bank[bank]
    row_ready: int = s.column_ready[bank]
    group_ready: int = s.group_write_ready[group] if is_write else s.group_read_ready[group]
    rank_ready: int = s.rank_write_ready[rank] if is_write else s.rank_read_ready[rank]
    return max(row_ready, group_ready, rank_ready)


@compiled_without_allocation
def earliest_precharge(s: DeviceState, bank: int) -> int:
    """First cycle for PRE of an open bank: tRAS, tRTP and tWR (bank), tPPD (rank)."""
    bank_ready: int = s.precharge_ready[bank]
    rank_ready: int = s.rank_precharge_ready[s.rank_of_bank[bank]]
    return max(bank_ready, rank_ready)


@compiled_without_allocation
def issue_activate(s: DeviceState, t: CommandTiming, bank: int, row: int, cycle: int) -> None:
    """Open ``row`` of ``bank`` at ``cycle``."""
    group = s.group_of_bank[bank]
    rank = s.rank_of_bank[bank]
    s.open_row[bank] = row
    s.columns[bank] = 0
    s.activate_ready[bank] = cycle + t.activate_to_activate
    s.column_ready[bank] = cycle + t.activate_to_column
    s.precharge_ready[bank] = cycle + t.activate_to_precharge
    s.group_activate_ready[group] = max(s.group_activate_ready[group], cycle + t.activate_near)
    s.rank_activate_ready[rank] = max(s.rank_activate_ready[rank], cycle + t.activate_far)
    s.recent_activates[rank, s.activate_count[rank] % _ACTIVATES_IN_WINDOW] = cycle
    s.activate_count[rank] += 1
    if s.open_banks[rank] == 0 and cycle > s.active_until[rank]:
        s.active_cycles[rank] += s.active_until[rank] - s.active_since[rank]
        s.active_since[rank] = cycle
    s.open_banks[rank] += 1


@compiled_without_allocation
def issue_precharge(s: DeviceState, t: CommandTiming, bank: int, cycle: int) -> None:
    """Close ``bank`` with a command at ``cycle``."""
    rank = s.rank_of_bank[bank]
    s.rank_precharge_ready[rank] = cycle + t.precharge_to_precharge
    close_bank(s, t, bank, cycle)


@compiled_without_allocation
def close_bank(s: DeviceState, t: CommandTiming, bank: int, cycle: int) -> None:
    """Close ``bank`` at ``cycle``, which is still to come where its column command closes it (auto-precharge)."""
    rank = s.rank_of_bank[bank]
    s.open_row[bank] = CLOSED
    s.activate_ready[bank] = max(s.activate_ready[bank], cycle + t.precharge_to_activate)
    s.refresh_ready[rank] = max(s.refresh_ready[rank], cycle + t.precharge_to_activate)
    s.open_banks[rank] -= 1
    s.active_until[rank] = max(s.active_until[rank], cycle)


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
    s.columns[bank] += 1
    to_precharge = t.write_to_precharge if is_write else t.read_to_precharge
    s.precharge_ready[bank] = max(s.precharge_ready[bank], cycle + to_precharge)
    near_read = t.write_to_read_near if is_write else t.column_near
    near_write = t.column_near if is_write else t.read_to_write
    s.group_read_ready[group] = max(s.group_read_ready[group], cycle + near_read)
    s.group_write_ready[group] = max(s.group_write_ready[group], cycle + near_write)
    first = s.channel_of_bank[bank] * t.ranks
    for other in range(first, first + t.ranks):
        if is_write:
            to_read = t.write_to_read_far if other == rank else t.write_to_read_rank
            to_write = t.column_far if other == rank else t.write_to_write_rank
        else:
            to_read = t.column_far if other == rank else t.read_to_read_rank
            to_write = t.read_to_write
        s.rank_read_ready[other] = max(s.rank_read_ready[other], cycle + to_read)
        s.rank_write_ready[other] = max(s.rank_write_ready[other], cycle + to_write)
    return cycle + (t.write_latency if is_write else t.read_latency) + t.burst


@compiled_without_allocation
def close_accounts(s: DeviceState, cycle: int) -> None:
    """Add the stretches of open rows that run at ``cycle``, the end of the simulation, or ended before it."""
    for rank in range(len(s.open_banks)):
        end = cycle if s.open_banks[rank] > 0 else min(s.active_until[rank], cycle)
        s.active_cycles[rank] += max(0, end - s.active_since[rank])
        s.active_since[rank] = s.active_until[rank] = end
