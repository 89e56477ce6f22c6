"""The codec's schedule of a site: which operation happens in which order.

MAC array, one *operation* a cycle. Encoder: a *step* computes up to ``rows`` coefficients of a block, its operations
walk over the block's beats of ``lanes`` activations. Decoder: a step computes one beat of a block, its operations walk
over the block's groups of ``rows`` codes. A beat (group) is *fresh* in the operation that takes it from the stream; it
is kept for the steps that follow. Operations whose entries of P or R are all zero are left out.

Sites that code every channel by itself (identity, bypass) have *diagonal* operations: ``codes`` channels of a beat at
once, each with a multiplier of its own.

The encoder of *folded* sites has no array: it takes one *beat* of up to ``codes`` accumulators a cycle, and has one
record for each.

Codes' side, one *record* a cycle: up to ``codes`` codes that are requantized and packed, or unpacked, together. Every
record stores at least one bit. The records of a step (a group) follow one another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from actcodec.params import CodecParams
from actcodec.tables.geometry import Plane
from actcodec.tables.model import SiteTable

Matrix = NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class Operation:
    """One cycle of a MAC array."""

    index: int
    """Encoder: beat of the block. Decoder: group of codes of the block."""
    fresh: bool
    first: bool
    """The accumulators begin with this operation."""
    last: bool
    """The accumulators are complete: the encoder has something to code, the decoder a beat."""
    matrix: Matrix
    """(rows, lanes) entries of P or R; diagonal operations use row 0."""
    diagonal: bool = False
    part: int = 0
    """Diagonal only: which ``codes`` lanes of the beat."""
    step: int = 0
    """Decoder: beat of the position that is computed."""
    last_lane: int = 0
    """Encoder: last lane of the beat that holds a channel."""


@dataclass(frozen=True)
class CodeRecord:
    """Codes that cross between MAC array and bus in one cycle."""

    slots: tuple[int | None, ...]
    """``codes`` coefficients k, None where nothing is stored."""
    ends: bool
    """The last record of its step (encoder) and group (decoder)."""

    @property
    def stored(self) -> list[int]:
        """The coefficients without the slots that hold none."""
        return [k for k in self.slots if k is not None]


def _fresh_order(needed: list[NDArray[np.int64]], count: int) -> list[list[tuple[int, bool]]]:
    """(index, fresh) of every step's operations: all it needs, and every index 0…count − 1 taken once, in order."""
    taken, order = 0, []
    for number, used in enumerate(needed):
        reach = count if number == len(needed) - 1 else int(used.max()) + 1 if used.size else 0
        indices = sorted({int(i) for i in used} | set(range(taken, reach))) or [0]
        reach = max(reach, indices[-1] + 1)
        order.append([(i, i >= taken) for i in indices])
        taken = max(taken, reach)
    return order


def _padded(matrix: Matrix, rows: int, columns: int) -> Matrix:
    """The matrix with zero rows and columns added up to multiples of ``rows`` and ``columns``."""
    height, width = matrix.shape
    return np.pad(matrix, ((0, -height % rows), (0, -width % columns)))


def _kept(site: SiteTable, block: int) -> NDArray[np.int64]:
    """Coefficients of a block that are stored, in table order."""
    k0, k1 = site.info.blocks[block].coefficients
    return k0 + np.flatnonzero(site.arrays.width[k0:k1] > 0)


def _is_diagonal(site: SiteTable) -> bool:
    return site.info.transform in ("identity", "bypass")


def _needed(cut: Matrix) -> list[NDArray[np.int64]]:
    """Per step, the indices that it multiplies by something: ``cut`` is (steps, ·, indices, ·)."""
    return [np.flatnonzero((part != 0).any(axis=(0, 2))) for part in cut]


@dataclass(frozen=True)
class _Part:
    """A part of a beat that is coded channel by channel."""

    beat: int
    part: int
    slots: tuple[int | None, ...]

    @property
    def stored(self) -> bool:
        return any(k is not None for k in self.slots)


def _parts(site: SiteTable, block: int) -> Iterator[_Part]:
    """Parts of a diagonal block that hold channels, in the order of the channels; K = C there."""
    lanes, codes = site.params.lanes, site.params.codes_per_cycle
    c0, c1 = site.info.blocks[block].channels
    for c in range(c0, c1, codes):
        members = [k if k < c1 and site.arrays.width[k] else None for k in range(c, c + codes)]
        yield _Part((c - c0) // lanes, (c - c0) % lanes // codes, tuple(members))


def _diagonal_matrix(params: CodecParams, part: _Part, diagonal: Matrix) -> Matrix:
    """``diagonal`` (codes,) in the lanes of the part."""
    matrix = np.zeros((params.rows, params.lanes), dtype=np.int8)
    start = part.part * params.codes_per_cycle
    matrix[0, start : start + len(diagonal)] = diagonal
    return matrix


def _diagonal_entries(array: Matrix, start: int, part: _Part) -> Matrix:
    """Entries of P (of R) of the part's coefficients, 0 where nothing is stored; the block starts at ``start``."""
    return np.array([0 if k is None else array[k, k - start] for k in part.slots], dtype=np.int8)


def _last_lane(channels: int, beat: int, lanes: int) -> int:
    """The last lane that holds a channel in a beat of a block of ``channels``."""
    return min(lanes, channels - beat * lanes) - 1


def encoder_operations(site: SiteTable, plane: Plane) -> list[Operation]:
    """Operations of one position of a plane, in order."""
    rows, lanes = site.params.rows, site.params.lanes
    found: list[Operation] = []
    for j in range(plane.first_block, plane.last_block):
        c0, c1 = site.info.blocks[j].channels
        beats = -(-(c1 - c0) // lanes)
        if _is_diagonal(site):
            for part in _parts(site, j):
                if part.stored or part.part == 0:
                    matrix = _diagonal_matrix(site.params, part, _diagonal_entries(site.arrays.P, c0, part))
                    operation = Operation(part.beat, part.part == 0, True, part.stored, matrix, True, part.part)
                    found.append(replace(operation, last_lane=_last_lane(c1 - c0, part.beat, lanes)))
            continue
        kept = _kept(site, j)
        matrix = _padded(site.arrays.P[kept, : c1 - c0], rows, lanes)
        if not kept.size:
            matrix = np.zeros((rows, beats * lanes), dtype=np.int8)
        # (steps, rows, beats, lanes)
        cut = matrix.reshape(-1, rows, beats, lanes)
        for part_of, order in zip(cut, _fresh_order(_needed(cut), beats), strict=True):
            for place, (i, fresh) in enumerate(order):
                last = bool(kept.size) and place == len(order) - 1
                entries = np.ascontiguousarray(part_of[:, i])
                found.append(Operation(i, fresh, place == 0, last, entries, last_lane=_last_lane(c1 - c0, i, lanes)))
    return found


def decoder_operations(site: SiteTable, plane: Plane) -> list[Operation]:
    """Operations of one position of a plane, in order; a beat without codes has one, which takes nothing."""
    rows, lanes = site.params.rows, site.params.lanes
    found: list[Operation] = []
    steps = 0
    for j in range(plane.first_block, plane.last_block):
        (c0, c1), k0 = site.info.blocks[j].channels, site.info.blocks[j].coefficients[0]
        beats = -(-(c1 - c0) // lanes)
        nothing = np.zeros((rows, lanes), dtype=np.int8)
        if _is_diagonal(site):
            stored: list[list[_Part]] = [[] for _ in range(beats)]
            for part in _parts(site, j):
                if part.stored:
                    stored[part.beat].append(part)
            for parts in stored:
                for place, part in enumerate(parts):
                    matrix = _diagonal_matrix(site.params, part, _diagonal_entries(site.arrays.R, c0, part))
                    ends = place == len(parts) - 1
                    found.append(Operation(0, True, place == 0, ends, matrix, True, part.part, steps))
                if not parts:
                    found.append(Operation(0, False, True, True, nothing, step=steps))
                steps += 1
            continue
        kept = _kept(site, j)
        groups = -(-kept.size // rows)
        if not groups:
            found += [Operation(0, False, True, True, nothing, step=steps + i) for i in range(beats)]
            steps += beats
            continue
        matrix = _padded(site.arrays.R[c0:c1][:, kept - k0], lanes, rows)
        # (beats, lanes, groups, rows)
        cut = matrix.reshape(beats, lanes, groups, rows)
        for beat, order in zip(cut, _fresh_order(_needed(cut), groups), strict=True):
            for place, (i, fresh) in enumerate(order):
                entries = np.ascontiguousarray(beat[:, i].T)
                found.append(Operation(i, fresh, place == 0, place == len(order) - 1, entries, step=steps))
            steps += 1
    return found


def decoder_beats(site: SiteTable, plane: Plane) -> list[range]:
    """Channels of every beat of one position."""
    lanes = site.params.lanes
    cuts = [site.info.blocks[j].channels for j in range(plane.first_block, plane.last_block)]
    return [range(c, min(c1, c + lanes)) for c0, c1 in cuts for c in range(c0, c1, lanes)]


def encoder_beats(site: SiteTable, plane: Plane) -> list[range]:
    """What the encoder takes for one position, beat by beat: channels; of a folded site coefficients.

    A block begins a beat; coefficients of a folded site do not mind blocks, only a plane begins one.
    """
    if site.info.transform != "folded":
        return decoder_beats(site, plane)
    lanes, blocks = site.params.encoder_lanes, site.info.blocks
    first, end = blocks[plane.first_block].coefficients[0], blocks[plane.last_block - 1].coefficients[1]
    return [range(k, min(end, k + lanes)) for k in range(first, end, lanes)]


def encoder_code_records(site: SiteTable, plane: Plane) -> list[CodeRecord]:
    """Records of one position of a plane that the encoder works off, in stream order."""
    if site.info.transform != "folded":
        return code_records(site, plane)
    empty = [None] * site.params.encoder_lanes
    return [CodeRecord((*beat, *empty[len(beat) :]), True) for beat in encoder_beats(site, plane)]


def code_records(site: SiteTable, plane: Plane) -> list[CodeRecord]:
    """Records of one position of a plane, in stream order, for the decoder and for an encoder with a MAC array."""
    rows, codes = site.params.rows, site.params.codes_per_cycle
    found: list[CodeRecord] = []
    for j in range(plane.first_block, plane.last_block):
        if _is_diagonal(site):
            found += [CodeRecord(part.slots, True) for part in _parts(site, j) if part.stored]
            continue
        kept = [int(k) for k in _kept(site, j)]
        for group in (kept[i : i + rows] for i in range(0, len(kept), rows)):
            for i in range(0, len(group), codes):
                slots = (group[i : i + codes] + [None] * codes)[:codes]
                found.append(CodeRecord(tuple(slots), i + codes >= len(group)))
    return found


def code_planes(site: SiteTable) -> list[Plane]:
    """The planes that store anything."""
    return [plane for plane in site.planes if plane.position_bits]


def padding(site: SiteTable, plane: Plane) -> tuple[bool, int]:
    """What follows a row: whether its last word is filled up, and whole words of padding."""
    words, bits = divmod(plane.padding_bits(site.info.width), site.params.word_bits)
    return bits > 0, words
