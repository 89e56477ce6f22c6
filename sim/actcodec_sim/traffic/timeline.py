"""What the command bus does while a site is written and first read: windows of the controller's log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from actcodec_sim.arrays import Int64Array
from actcodec_sim.dram import DramDevice, simulate
from actcodec_sim.dram.commands import ACTIVATE, NAMES, REFRESH, CommandLog
from actcodec_sim.traffic.site import StoredSite
from actcodec_sim.traffic.streams import Stream, StreamKind, frame_streams
from actcodec_sim.traffic.transactions import frame_transactions


@dataclass(frozen=True)
class CommandRun:
    """``count`` equal commands, the first at ``cycle``, each ``pitch`` cycles after the one before (0: only one).

    ``target`` is a flat bank index, for REF a flat rank index; ``row`` as in ``CommandLog``. ``cycle`` counts from
    the start of the window.
    """

    cycle: int
    kind: str
    target: int
    row: int
    count: int
    pitch: int


@dataclass(frozen=True)
class CommandWindow:
    """The first commands while one stream is moved, in the frame as fast as the memory goes, tables resident.

    ``start``      cycle of the frame at which the stream starts, the end of the one before it
    ``cycles``     cycles that are shown: up to the end of the stream where all its commands are, else to the last one
    ``commands``   commands during the whole stream, of which ``shown`` are in ``runs``
    ``open_rows``  (bank, row) of the rows that are open at ``start``
    """

    site: str
    kind: StreamKind
    start: int
    cycles: int
    commands: int
    shown: int
    open_rows: tuple[tuple[int, int], ...]
    runs: tuple[CommandRun, ...]


def command_windows(
    stored: Sequence[StoredSite], device: DramDevice, queue_depth: int, limit: int
) -> tuple[CommandWindow, ...]:
    """Windows of at most ``limit`` commands of every site: its write, then its first read.

    A read of the same tensor by another reader looks like the first one and is left out. The frame is run again with
    the log kept. Raises ActcodecError where the frame does not fit the device.
    """
    streams = frame_streams(stored, device, tables=False, pacing=None)
    transactions = frame_transactions(streams, device)
    result = simulate(device, transactions.requests, queue_depth=queue_depth, record_commands=True)
    assert result.commands is not None
    end = np.zeros(len(streams), np.int64)
    np.maximum.at(end, transactions.stream, result.done)
    bounds = np.concatenate([np.zeros(1, np.int64), np.maximum.accumulate(end)])
    return tuple(
        _window(stored[stream.site].name, stream, int(bounds[i]), int(bounds[i + 1]), result.commands, device, limit)
        for i, stream in enumerate(streams)
        if _shown(streams, i)
    )


def _shown(streams: Sequence[Stream], index: int) -> bool:
    """A write, or the read right after it."""
    return streams[index].kind is StreamKind.WRITE or streams[index - 1].kind is StreamKind.WRITE


def _window(
    site: str, stream: Stream, start: int, end: int, log: CommandLog, device: DramDevice, limit: int
) -> CommandWindow:
    first, after = (int(place) for place in np.searchsorted(log.cycle, [start, end]))
    last = min(after, first + limit)
    whole = last == after
    return CommandWindow(
        site=site,
        kind=stream.kind,
        start=start,
        cycles=(end if whole else int(log.cycle[last - 1]) + device.burst_cycles) - start,
        commands=after - first,
        shown=last - first,
        open_rows=_open_rows(log, first),
        runs=_runs(log, first, last, start),
    )


def _open_rows(log: CommandLog, before: int) -> tuple[tuple[int, int], ...]:
    """Banks whose last command before place ``before`` of the log left a row open.

    An open page controller opens by ACT and closes by PRE; its column commands change nothing.
    """
    rows: dict[int, int] = {}
    changes = np.flatnonzero((log.row[:before] < 0) | (log.kind[:before] == ACTIVATE))
    for place in changes:
        bank = int(log.target[place])
        if log.kind[place] == ACTIVATE:
            rows[bank] = int(log.row[place])
        elif log.kind[place] != REFRESH:
            rows.pop(bank, None)
    return tuple(sorted(rows.items()))


def _runs(log: CommandLog, first: int, last: int, start: int) -> tuple[CommandRun, ...]:
    columns: list[Int64Array] = [log.cycle[first:last] - start, log.kind[first:last]]
    columns += [log.target[first:last], log.row[first:last]]
    runs: list[CommandRun] = []
    for cycle, kind, target, row in np.stack(columns, axis=1).tolist():
        run = runs[-1] if runs else None
        if run is not None and (run.kind, run.target, run.row) == (NAMES[kind], target, row):
            pitch = cycle - run.cycle - run.pitch * (run.count - 1)
            if run.count == 1 or pitch == run.pitch:
                runs[-1] = CommandRun(run.cycle, run.kind, target, row, run.count + 1, pitch)
                continue
        runs.append(CommandRun(cycle, NAMES[kind], target, row, 1, 0))
    return tuple(runs)
