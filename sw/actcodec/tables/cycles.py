"""Cycles of a site in the RTL: the formula that co-simulation checks and the traffic model uses.

From the cycle in which the start command is accepted to the one in which the last word (beat) leaves, both included,
inputs always valid and outputs always ready.

**Encoder.** A step's result waits until the records and padding of the one before have passed. Two results may wait
behind the MAC array, then the array waits too. With o_i operations up to the result of step i, r_i records of step i
and p_i cycles of padding after it (0 but at the end of a row), a_i and b_i the cycles in which result i leaves the
array and in which its first record takes it, for all n steps of a frame in order:

    a_i = max(a_{i−1} + o_i, b_{i−2} + 1)
    b_i = max(a_i + 1, b_{i−1} + r_{i−1} + p_{i−1})
    encode = ENCODER_LATENCY + b_n + r_n + p_n                                      a_0 = 0

so a dense block of C_j channels takes max(⌈K_j/rows⌉·⌈C_j/lanes⌉, ⌈K_j/codes⌉) cycles as a rule, and a diagonal one
⌈C_j/codes⌉. Operations behind the last result are not waited for.

An encoder of accumulators has no array to wait for. With r beats of a position and p cycles of padding after a row of
each plane:

    encode = ACCUMULATOR_LATENCY + Σ_planes height · (width · r + p)

**Decoder.** Groups of codes are unpacked, cut, assembled and handed to the MAC array, each in a stage that holds one,
but for the codes of two records. With u_n, c_n, v_n the cycles in which record n leaves the unpacker, is cut into codes
and enters the group's register, and t_j the cycle of the operation that takes group j:

    u_n = max(u_{n−1} + 1 + padding before n, c_{n−1})
    c_n = max(u_n + 1, v_{n−2} + 1)
    v_n = max(c_n + 1, v_{n−1} + 1, t_{j−1} where n is the first of its group)
    t_j = max(v_{last of j} + 1, cycle after the operation before)

and every other operation takes the cycle after the one before it. In a window the records of positions that are
skipped count as padding, and so does the search for the first bit of every row: one cycle. The state between two
positions is a few small differences, so that positions and rows repeat after a few: the sum is exact for any size.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeVar

from actcodec.tables.geometry import Plane, Window
from actcodec.tables.model import SiteTable
from actcodec.tables.program import (
    code_planes,
    code_records,
    decoder_operations,
    encoder_beats,
    encoder_operations,
    padding,
)

ENCODER_LATENCY = 19
"""Cycles of start-up and of draining the pipeline, encoder."""
ACCUMULATOR_LATENCY = 15
"""Cycles of start-up and of draining the pipeline, encoder of accumulators."""
DECODER_LATENCY = 15
"""Cycles of start-up and of draining the pipeline, decoder."""

WINDOW_LATENCY = DECODER_LATENCY + 3
"""The same for a window, whose plane is looked up."""

State = TypeVar("State", bound=Hashable)


Move = Callable[[State], tuple[State, int]]
"""A part of a frame: from a state to the state after it and the cycles that it takes."""


def repeat(move: Move[State], state: State, times: int) -> tuple[State, int]:
    """``move`` applied ``times`` times, as quickly as its states repeat."""
    seen: dict[State, tuple[int, int]] = {}
    total = done = 0
    while done < times:
        if state in seen:
            before, cycles = seen[state]
            period = done - before
            rounds = (times - done) // period
            total += rounds * (total - cycles)
            done += rounds * period
            seen.clear()
            if done == times:
                break
        seen[state] = (done, total)
        state, cycles = move(state)
        total, done = total + cycles, done + 1
    return state, total


def _padding_cycles(site: SiteTable, plane: Plane) -> int:
    partial, words = padding(site, plane)
    return partial + words


# --- encoder


@dataclass(frozen=True)
class _Coded:
    """Between two steps, relative to the cycle in which the last result left the array: when the result before it was
    taken, when it is taken itself, when its records and padding have passed; and operations since.
    """

    before: int
    taken: int
    passed: int
    operations: int


def _encoder_position(steps: tuple[tuple[int, int], ...], trailing: int, state: _Coded) -> tuple[_Coded, int]:
    """Go through (operations, records) of the steps of a position; time counts from result to result."""
    total = 0
    for operations, records in steps:
        cycles = max(state.operations + operations, state.before + 1)
        taken = max(1, state.passed - cycles)
        # What was taken before the result left holds up nothing, however long ago it was.
        state = _Coded(max(0, state.taken - cycles), taken, taken + records, 0)
        total += cycles
    return replace(state, operations=state.operations + trailing), total


def _encoder_plane(site: SiteTable, plane: Plane, rows: int, state: _Coded) -> tuple[_Coded, int]:
    found, operations, records = [], 0, iter(code_records(site, plane))
    for operation in encoder_operations(site, plane):
        operations += 1
        if operation.last:
            count = 1
            while not next(records).ends:
                count += 1
            found.append((operations, count))
            operations = 0
    steps, trailing, pads = tuple(found), operations, _padding_cycles(site, plane)

    def row(before: _Coded) -> tuple[_Coded, int]:
        after, cycles = repeat(lambda state: _encoder_position(steps, trailing, state), before, site.info.width)
        return replace(after, passed=after.passed + pads), cycles

    return repeat(row, state, rows)


def encode_cycles(site: SiteTable, rows: int | None = None) -> int:
    """Cycles to encode one image of the site, or a stripe of ``rows``; 0 where nothing is stored, as no word leaves."""
    if not code_planes(site):
        return 0
    height = rows or site.info.height
    if site.info.transform == "folded":
        of_a_row = (
            site.info.width * len(encoder_beats(site, plane)) + _padding_cycles(site, plane)
            for plane in code_planes(site)
        )
        return ACCUMULATOR_LATENCY + height * sum(of_a_row)
    state, total = _Coded(0, 0, 0, 0), 0
    for plane in site.planes:
        state, cycles = _encoder_plane(site, plane, height, state)
        total += cycles
    return total + state.passed + ENCODER_LATENCY


# --- decoder


@dataclass(frozen=True)
class _Unpacked:
    """Cycles relative to that of the last operation: when the last record left the unpacker, was cut and entered its
    group, when the record before it did, when the last group was taken, and padding that is still to be dropped.
    """

    left: int
    cut: int
    before: int
    entered: int
    taken: int
    padding: int


@lru_cache(maxsize=4096)
def _decoder_position(groups: tuple[int, ...], operations: tuple[bool, ...], state: _Unpacked) -> tuple[_Unpacked, int]:
    """Go through one position: records of every group, and which operations take one."""
    left, cut, before, entered = state.left, state.cut, state.before, state.entered
    taken, pads, now = state.taken, state.padding, 0
    count = iter(groups)
    for fresh in operations:
        now += 1
        if fresh:
            for record in range(next(count)):
                left = max(left + 1 + pads, cut)
                cut = max(left + 1, before + 1)
                before, entered = entered, max(cut + 1, entered + 1, taken if record == 0 else entered + 1)
                pads = 0
            now = max(now, entered + 1)
            taken = now
    return _Unpacked(left - now, cut - now, before - now, entered - now, taken - now, pads), now


@dataclass(frozen=True)
class _Walk:
    """Which positions are decoded: rows and columns, and the unpacker's cycles between columns and between rows."""

    rows: int
    columns: int
    between_columns: int
    between_rows: int


def _decoder_plane(site: SiteTable, plane: Plane, walk: _Walk, state: _Unpacked) -> tuple[_Unpacked, int]:
    counts, count = [], 0
    for record in code_records(site, plane):
        count += 1
        if record.ends:
            counts.append(count)
            count = 0
    groups, takes = tuple(counts), tuple(operation.fresh for operation in decoder_operations(site, plane))

    def position(before: _Unpacked, between: int) -> tuple[_Unpacked, int]:
        after, cycles = _decoder_position(groups, takes, before)
        return replace(after, padding=after.padding + between), cycles

    def row(before: _Unpacked) -> tuple[_Unpacked, int]:
        state, cycles = repeat(lambda state: position(state, walk.between_columns), before, walk.columns - 1)
        after, last = position(state, walk.between_rows)
        return after, cycles + last

    return repeat(row, state, walk.rows)


def decode_cycles(site: SiteTable, window: Window | None = None) -> int:
    """Cycles to decode one image of the site once, or a window of it."""
    # A record passes one stage more than an operation before it does anything.
    if window is None:
        state, total = _Unpacked(1, 0, 0, 0, 0, 0), 0
        for plane in site.planes:
            walk = _Walk(site.info.height, site.info.width, 0, _padding_cycles(site, plane))
            state, cycles = _decoder_plane(site, plane, walk, state)
            total += cycles
        return total + DECODER_LATENCY
    plane = site.planes[window.plane]
    skipped = (window.stride - 1) * len(code_records(site, plane))
    # The place of the first bit is looked up before every row, in a cycle of the unpacker's.
    walk = _Walk(window.rows, window.count, skipped, 1)
    return _decoder_plane(site, plane, walk, _Unpacked(1, 0, 0, 0, 0, 1))[1] + WINDOW_LATENCY
