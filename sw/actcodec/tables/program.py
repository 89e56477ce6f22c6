"""The codec's schedule of a site: which MAC operation happens in which order. One operation is one cycle.

Encoder: a *step* computes up to ``rows`` coefficients of a block; its operations walk over the block's input
beats (``lanes`` activations each). Decoder: a step computes one output beat of a block; its operations walk over
the block's code steps (``rows`` codes each). Either way a step covers a contiguous index range, and an index
is *fresh* the first time it is used: it is then taken from the input stream and kept for the steps that follow.
Indices whose entries of P or R are all zero are left out where that keeps the range contiguous, which is what
makes identity sites cheap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actcodec.tables.geometry import Plane
from actcodec.tables.model import SiteTable


@dataclass(frozen=True)
class Step:
    """One step: operations ``first…last``; index i is fresh where i ≥ ``fresh``."""

    first: int
    last: int
    fresh: int
    matrix: NDArray[np.int8]
    """(last − first + 1, rows, lanes): the coefficients of every operation."""
    members: tuple[int, ...]
    """Encoder: the coefficients k of the step (at most rows). Decoder: its channels c (at most lanes)."""

    @property
    def operations(self) -> int:
        """Cycles of the step."""
        return self.last - self.first + 1


def _ranges(needed: list[NDArray[np.bool_]], count: int) -> list[tuple[int, int, int]]:
    """(first, last, fresh) of every step: contiguous, covering what is needed, taking every index once, in order.

    ``needed[i]`` marks the indices 0…count−1 that step i multiplies by something other than zero.
    """
    taken, ranges = 0, []
    for number, mask in enumerate(needed):
        used = np.flatnonzero(mask)
        # Whatever no step asked for has still to leave the input stream: the last step takes it.
        last = count - 1 if number == len(needed) - 1 and taken < count else int(used[-1]) if used.size else 0
        first = int(used[0]) if used.size else last
        if last >= taken:
            first = min(first, taken)
        ranges.append((first, last, taken))
        taken = max(taken, last + 1)
    return ranges


def _padded(matrix: NDArray[np.int8], rows: int, columns: int) -> NDArray[np.int8]:
    """The matrix with zero rows and columns added up to multiples of ``rows`` and ``columns``."""
    height, width = matrix.shape
    return np.pad(matrix, ((0, -height % rows), (0, -width % columns)))


def _kept(site: SiteTable, block: int) -> NDArray[np.int64]:
    """Coefficients of a block that are stored, in table order."""
    k0, k1 = site.info.blocks[block].coefficients
    return k0 + np.flatnonzero(site.arrays.width[k0:k1] > 0)


def _any_entry(cut: NDArray[np.int8]) -> list[NDArray[np.bool_]]:
    """Per step, the indices that it multiplies by something: ``cut`` is (steps, ·, indices, ·)."""
    return [np.asarray((cut[i] != 0).any(axis=(0, 2)), dtype=np.bool_) for i in range(cut.shape[0])]


def encoder_steps(site: SiteTable, plane: Plane) -> list[Step]:
    """Steps of one position of a plane, in order."""
    rows, lanes = site.params.rows, site.params.lanes
    steps: list[Step] = []
    for j in range(plane.first_block, plane.last_block):
        c0, c1 = site.info.blocks[j].channels
        kept = _kept(site, j)
        beats = -(-(c1 - c0) // lanes)
        matrix = _padded(site.arrays.P[kept, : c1 - c0], rows, lanes)
        if not kept.size:
            matrix = np.zeros((rows, beats * lanes), dtype=np.int8)
        # (steps, rows, beats, lanes)
        cut = matrix.reshape(-1, rows, beats, lanes)
        for i, (first, last, fresh) in enumerate(_ranges(_any_entry(cut), beats)):
            entries = np.ascontiguousarray(cut[i, :, first : last + 1].transpose(1, 0, 2))
            members = tuple(int(k) for k in kept[i * rows : (i + 1) * rows])
            steps.append(Step(first, last, fresh, entries, members))
    return steps


def decoder_steps(site: SiteTable, plane: Plane) -> list[Step]:
    """Steps of one position of a plane, in order. A block without codes has one operation a beat, none fresh."""
    rows, lanes = site.params.rows, site.params.lanes
    steps: list[Step] = []
    for j in range(plane.first_block, plane.last_block):
        (c0, c1), k0 = site.info.blocks[j].channels, site.info.blocks[j].coefficients[0]
        kept = _kept(site, j)
        beats, count = -(-(c1 - c0) // lanes), -(-kept.size // rows)
        if count:
            matrix = _padded(site.arrays.R[c0:c1][:, kept - k0], lanes, rows)
            # (beats, lanes, code steps, rows)
            cut = matrix.reshape(beats, lanes, count, rows)
            ranges = _ranges(_any_entry(cut), count)
        else:
            cut = np.zeros((beats, lanes, 1, rows), dtype=np.int8)
            ranges = [(0, 0, 1)] * beats
        for i, (first, last, fresh) in enumerate(ranges):
            entries = np.ascontiguousarray(cut[i, :, first : last + 1].transpose(1, 2, 0))
            members = tuple(range(c0 + i * lanes, min(c1, c0 + (i + 1) * lanes)))
            steps.append(Step(first, last, fresh, entries, members))
    return steps


def code_steps(site: SiteTable, plane: Plane) -> list[tuple[int, ...]]:
    """The coefficients of every code step of one position, in stream order: at most ``rows`` each."""
    rows = site.params.rows
    found: list[tuple[int, ...]] = []
    for j in range(plane.first_block, plane.last_block):
        kept = _kept(site, j)
        found += [tuple(int(k) for k in kept[i : i + rows]) for i in range(0, kept.size, rows)]
    return found


@dataclass(frozen=True)
class OutputEnd:
    """Where the encoder's last bit comes from: plane, step of its last position, or the padding behind it."""

    plane: int
    step: int
    padded: bool


def encoder_end(site: SiteTable) -> OutputEnd | None:
    """The end of the encoder's output; None where the site stores nothing.

    What follows it (planes and steps of blocks that keep no coefficient) gives the stream nothing.
    """
    stored = [number for number, plane in enumerate(site.planes) if plane.position_bits]
    if not stored:
        return None
    plane = site.planes[stored[-1]]
    steps = [number for number, step in enumerate(encoder_steps(site, plane)) if step.members]
    return OutputEnd(stored[-1], steps[-1], any(padding_operations(site, plane)))


def padding_operations(site: SiteTable, plane: Plane) -> tuple[int, int]:
    """(bits of the first padding operation of a row, whole padding words after it); 0 bits = no such operation."""
    words, bits = divmod(plane.padding_bits(site.info.width), site.params.word_bits)
    return bits, words
