"""Smallest distances between two commands, derived from a device's JEDEC timing."""

from __future__ import annotations

from typing import NamedTuple

from actcodec_sim.dram.device import DramDevice


class CommandTiming(NamedTuple):
    """Distances in cycles from one command to the next, and the device's shape, for the compiled kernel.

    Column-to-column distances hold the data bus apart as well: same rank ``max(tCCD, burst)``, reads of two ranks
    ``burst + tRTRS``, writes of two ranks ``burst`` (the controller drives both), read to write
    ``CL + burst + tRTRS − CWL``, write to read of another rank ``CWL + burst + tRTRS − CL``, and write to read of the
    same rank ``CWL + burst + tWTR`` (JESD79-4). ``_near`` is the same bank group, ``_far`` another group of the same
    rank, ``_rank`` another rank. A channel refreshes its ranks in turn, one every ``refresh_spacing``.
    """

    channels: int
    ranks: int
    groups_per_rank: int
    banks_per_group: int
    read_latency: int
    write_latency: int
    burst: int
    activate_to_column: int
    activate_to_precharge: int
    activate_to_activate: int
    activate_near: int
    activate_far: int
    four_activates: int
    precharge_to_activate: int
    precharge_to_precharge: int
    read_to_precharge: int
    write_to_precharge: int
    column_near: int
    column_far: int
    read_to_read_rank: int
    write_to_write_rank: int
    read_to_write: int
    write_to_read_near: int
    write_to_read_far: int
    write_to_read_rank: int
    refresh_spacing: int
    refresh_time: int


def command_timing(device: DramDevice) -> CommandTiming:
    """Derive the distances between commands from ``device``."""
    org, t, burst = device.organization, device.timing, device.burst_cycles
    return CommandTiming(
        channels=org.channels,
        ranks=org.ranks,
        groups_per_rank=org.bank_groups,
        banks_per_group=org.banks_per_group,
        read_latency=t.CL,
        write_latency=t.CWL,
        burst=burst,
        activate_to_column=t.tRCD,
        activate_to_precharge=t.tRAS,
        activate_to_activate=t.tRC,
        activate_near=t.tRRD_L,
        activate_far=t.tRRD_S,
        four_activates=t.tFAW,
        precharge_to_activate=t.tRP,
        precharge_to_precharge=t.tPPD,
        read_to_precharge=t.tRTP,
        write_to_precharge=t.CWL + burst + t.tWR,
        column_near=max(t.tCCD_L, burst),
        column_far=max(t.tCCD_S, burst),
        read_to_read_rank=burst + t.tRTRS,
        write_to_write_rank=burst,
        read_to_write=t.CL + burst + t.tRTRS - t.CWL,
        write_to_read_near=t.CWL + burst + t.tWTR_L,
        write_to_read_far=t.CWL + burst + t.tWTR_S,
        write_to_read_rank=max(1, t.CWL + burst + t.tRTRS - t.CL),
        refresh_spacing=t.tREFI // org.ranks,
        refresh_time=t.tRFC,
    )
