"""How a tensor lies in memory under one codec: which transactions a window of it takes, and the codec's cycles for it.

Two kinds. ``RowLayout`` has rows of a fixed pitch, so that any row is found without the ones before it: raw bytes,
values of any other equal width, and this project's streams. ``ShareLayout`` is for codes of variable length: every
stripe that a tiling writes or reads is taken for a stream of its own, of its share of the whole tensor's bytes, rounded
up to a transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Protocol

import numpy as np

from actcodec.graph import Tensor
from actcodec.tables import SiteTable
from actcodec.tables.cycles import decode_cycles, encode_cycles
from actcodec.tables.geometry import Window
from actcodec_sim.arrays import Int64Array
from actcodec_sim.traffic.site import StoredSite

_NONE = range(0)


class Layout(Protocol):
    """A stored tensor. Transactions are numbered from the beginning of its region, which starts one."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""

    @property
    def region_bytes(self) -> int:
        """Bytes of memory to set aside."""

    @property
    def encoder_table_bytes(self) -> int:
        """Bytes that a codec without the site's tables loads before it encodes."""

    @property
    def decoder_table_bytes(self) -> int:
        """The same before it decodes."""

    @property
    def shared_codec(self) -> bool:
        """Whether encoder and decoder take turns."""

    def count(self, rows: range, columns: range, transaction: int, held: range = _NONE) -> int:
        """Transactions of ``transaction`` bytes to read these rows and columns, without those of row ``held``."""

    def read(self, rows: range, columns: range, transaction: int, held: range = _NONE) -> Int64Array:
        """Numbers of those transactions, rising."""

    def write_count(self, stripes: Sequence[range], transaction: int) -> int:
        """Transactions of ``write``."""

    def write(self, stripes: Sequence[range], transaction: int) -> list[Int64Array]:
        """Numbers of the transactions that are complete when each of ``stripes`` (of whole rows) is encoded."""

    def modifies(self, transaction: int) -> bool:
        """Whether the last transaction written is a partial one, which is read before."""

    def encode_cycles(self, rows: int) -> int:
        """Cycles to encode a stripe of ``rows``."""

    def decode_cycles(self, rows: range, columns: range) -> int:
        """Cycles to decode these rows and columns."""

    def decoded(self, rows: range, columns: range) -> float:
        """Share of the tensor's positions that are decoded to get these rows and columns."""


@dataclass(frozen=True)
class _Rows:
    """A plane in bytes and bits: row y begins at byte ``base`` + y·``pitch``, column x ``position_bits``·x later."""

    base: int
    pitch: int
    position_bits: int


@dataclass(frozen=True, eq=False)
class RowLayout:
    """Rows of a fixed pitch, fetched in words of ``word_bits``.

    ``skips``: a window with a column stride leaves out transactions without a wanted position. A transaction that
    stripes share is moved once where they follow one another: what a stripe ends in waits for the rest of it before it
    is written, and is still there when the next stripe is read (``held``: the row before).
    """

    shape: tuple[int, int, int]
    planes: tuple[_Rows, ...]
    word_bits: int = 8
    skips: bool = False
    table: SiteTable | None = None
    loaded_bytes: int = 0
    """Bytes that encoder and decoder load each, where there is no ``table``."""

    @staticmethod
    def raw(tensor: Tensor) -> RowLayout:
        """Bytes, position by position, all channels of a position together."""
        plane = _Rows(0, tensor.width * tensor.channels, 8 * tensor.channels)
        return RowLayout((tensor.channels, tensor.height, tensor.width), (plane,), skips=True)

    @staticmethod
    def packed(stored: StoredSite, bits: int) -> RowLayout:
        """Values of ``bits`` bits, position by position; rows begin on a byte. No coder, so no cycles."""
        channels, height, width = stored.shape
        plane = _Rows(0, -(-width * channels * bits // 8), bits * channels)
        return RowLayout((channels, height, width), (plane,), skips=True, loaded_bytes=stored.table_bytes)

    @staticmethod
    def coded(table: SiteTable) -> RowLayout:
        """The stream of this site of the tables."""
        return RowLayout(
            (table.info.channels, table.info.height, table.info.width),
            tuple(_Rows(p.base_bits // 8, p.pitch_bits // 8, p.position_bits) for p in table.planes),
            word_bits=table.params.word_bits,
            table=table,
        )

    @property
    def height(self) -> int:
        """Rows."""
        return self.shape[1]

    @property
    def width(self) -> int:
        """Positions of a row."""
        return self.shape[2]

    @property
    def region_bytes(self) -> int:
        """Bytes of all rows."""
        return sum(plane.pitch for plane in self.planes) * self.height

    @cached_property
    def _table_parts(self) -> tuple[int, int]:
        """Bytes of the encoder's and the decoder's part; widths and shifts are in both."""
        if self.table is None:
            return self.loaded_bytes, self.loaded_bytes
        if not self.table.table_bytes:
            return 0, 0
        site = self.table
        kept = int((site.arrays.width > 0).sum())
        both = kept + (site.coefficients + 1) // 2
        return (
            site.encode_multiplications + 4 * kept + both,
            site.decode_multiplications + 4 * site.info.channels + both + 1,
        )

    @property
    def encoder_table_bytes(self) -> int:
        """Bytes of the encoder's tables."""
        return self._table_parts[0]

    @property
    def decoder_table_bytes(self) -> int:
        """Bytes of the decoder's tables."""
        return self._table_parts[1]

    @property
    def shared_codec(self) -> bool:
        """Whether encoder and decoder share an array."""
        return self.table is not None and self.table.params.shared_array

    def _contiguous(self, rows: range, columns: range) -> bool:
        return rows.step == columns.step == 1 and len(columns) == self.width

    def count(self, rows: range, columns: range, transaction: int, held: range = _NONE) -> int:
        """Transactions of ``read``."""
        if len(self.planes) == 1 and rows and self._contiguous(rows, columns):
            plane = self.planes[0]
            first, stop = plane.base + rows.start * plane.pitch, plane.base + rows.stop * plane.pitch
            low = first // transaction
            if held and plane.pitch:
                low = max(low, -(-(plane.base + held.stop * plane.pitch) // transaction))
            return max(0, -(-stop // transaction) - low) if stop > first else 0
        return len(self.read(rows, columns, transaction, held))

    def read(self, rows: range, columns: range, transaction: int, held: range = _NONE) -> Int64Array:
        """Transactions of a window, each once."""
        if not rows or not columns:
            return np.zeros(0, np.int64)
        if held:
            there = self.read(held, columns, transaction)
            return np.setdiff1d(self.read(rows, columns, transaction), there, assume_unique=True)
        firsts, stops = [], []
        for plane in self.planes:
            if not plane.position_bits:
                continue
            if self._contiguous(rows, columns):
                firsts.append(np.array([plane.base + rows.start * plane.pitch]))
                stops.append(np.array([plane.base + rows.stop * plane.pitch]))
                continue
            starts = plane.base + np.arange(rows.start, rows.stop, rows.step, dtype=np.int64) * plane.pitch
            if self.skips and columns.step > 1:
                wanted = np.arange(columns.start, columns.stop, columns.step, dtype=np.int64)
                begin, end = wanted * plane.position_bits // 8, -(-(wanted + 1) * plane.position_bits // 8)
            else:
                word = self.word_bits
                begin = np.array([columns[0] * plane.position_bits // word * (word // 8)], np.int64)
                end = np.array([-(-(columns[-1] + 1) * plane.position_bits // word) * (word // 8)], np.int64)
            firsts.append((starts[:, None] + begin).ravel())
            stops.append((starts[:, None] + end).ravel())
        return _touched(firsts, stops, transaction)

    def write_count(self, stripes: Sequence[range], transaction: int) -> int:
        """Transactions of ``write``."""
        return -(-self.region_bytes // transaction)

    def write(self, stripes: Sequence[range], transaction: int) -> list[Int64Array]:
        """Transactions by the stripe that completes them."""
        last = np.full(-(-self.region_bytes // transaction), -1, np.int64)
        for number, rows in enumerate(stripes):
            # A later stripe takes over what the one before left incomplete.
            last[self.read(rows, range(self.width), transaction)] = number
        return [np.flatnonzero(last == number) for number in range(len(stripes))]

    def modifies(self, transaction: int) -> bool:
        """Whether the stream ends inside a transaction."""
        return self.region_bytes % transaction != 0

    def encode_cycles(self, rows: int) -> int:
        """Cycles of the encoder for a stripe."""
        if self.table is None or not rows:
            return 0
        if rows not in self._encoded:
            self._encoded[rows] = encode_cycles(self.table, rows)
        return self._encoded[rows]

    @cached_property
    def _encoded(self) -> dict[int, int]:
        return {}

    @cached_property
    def _decoded(self) -> dict[tuple[int, int, int, int], int]:
        return {}

    def decode_cycles(self, rows: range, columns: range) -> int:
        """Cycles of the decoder for a window: a job a plane."""
        if self.table is None or not rows or not columns:
            return 0
        key = (len(rows), columns[0], len(columns), columns.step)
        if key not in self._decoded and len(rows) == self.height and len(columns) == self.width:
            self._decoded[key] = decode_cycles(self.table)
        if key not in self._decoded:
            planes = self.table.planes
            self._decoded[key] = sum(
                decode_cycles(
                    self.table,
                    Window.at(
                        planes,
                        number,
                        columns[0],
                        len(columns),
                        word_bits=self.word_bits,
                        stride=columns.step,
                        rows=len(rows),
                    ),
                )
                for number, plane in enumerate(planes)
                if plane.position_bits
            )
        return self._decoded[key]

    def decoded(self, rows: range, columns: range) -> float:
        """Share of the positions; those that a stride leaves out are not decoded."""
        return len(rows) * len(columns) / (self.height * self.width)


@dataclass(frozen=True, eq=False)
class ShareLayout:
    """A tensor of a codec that codes with variable length; tables and cycles are those of ``stored``, by share.

    Nothing inside a stripe can be skipped: a stride saves neither bytes nor cycles.
    """

    stored: StoredSite

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.stored.shape

    @property
    def _height(self) -> int:
        return self.stored.shape[1]

    @property
    def _width(self) -> int:
        return self.stored.shape[2]

    @property
    def region_bytes(self) -> int:
        """Bytes of the stream, every row rounded up."""
        # Every row may be rounded up, to transactions of up to a kilobyte.
        return self.stored.stream_bytes + 1024 * (self._height + 1)

    @property
    def encoder_table_bytes(self) -> int:
        """Bytes of the codec's tables."""
        return self.stored.table_bytes

    @property
    def decoder_table_bytes(self) -> int:
        """Bytes of the codec's tables."""
        return self.stored.table_bytes

    @property
    def shared_codec(self) -> bool:
        """Never."""
        return False

    def _share(self, whole: int, positions: int) -> int:
        return -(-whole * positions // (self._height * self._width))

    @staticmethod
    def _positions(rows: range, columns: range) -> int:
        """Positions of the smallest window without gaps."""
        if not rows or not columns:
            return 0
        return (rows[-1] + 1 - rows[0]) * (columns[-1] + 1 - columns[0])

    def count(self, rows: range, columns: range, transaction: int, held: range = _NONE) -> int:
        """Transactions of ``read``."""
        return -(-self._share(self.stored.stream_bytes, self._positions(rows, columns)) // transaction)

    def read(self, rows: range, columns: range, transaction: int, held: range = _NONE) -> Int64Array:
        """Transactions of a window, each once."""
        count = self.count(rows, columns, transaction)
        before = rows[0] * self._width + columns[0] if count else 0
        first = self.stored.stream_bytes * before // (self._height * self._width) // transaction
        return np.arange(first, first + count, dtype=np.int64)

    def write_count(self, stripes: Sequence[range], transaction: int) -> int:
        """Transactions of ``write``."""
        return sum(self.count(rows, range(self._width), transaction) for rows in stripes)

    def write(self, stripes: Sequence[range], transaction: int) -> list[Int64Array]:
        """Transactions of each stripe's stream."""
        counts = [self.count(rows, range(self._width), transaction) for rows in stripes]
        ends = np.cumsum([0, *counts])
        return [np.arange(first, stop, dtype=np.int64) for first, stop in pairwise(ends)]

    def modifies(self, transaction: int) -> bool:
        """Never: stripes are rounded up."""
        return False

    def encode_cycles(self, rows: int) -> int:
        """Cycles of the encoder for a stripe, by share."""
        return self._share(self.stored.encode_cycles, rows * self._width)

    def decode_cycles(self, rows: range, columns: range) -> int:
        """Cycles of the decoder for a window, by share."""
        return self._share(self.stored.decode_cycles, self._positions(rows, columns))

    def decoded(self, rows: range, columns: range) -> float:
        """Share of the positions of the smallest window without gaps."""
        return self._positions(rows, columns) / (self._height * self._width)


def _touched(firsts: Sequence[Int64Array], stops: Sequence[Int64Array], transaction: int) -> Int64Array:
    """Transactions that hold a byte of ``firsts`` … ``stops`` − 1, rising, each once."""
    if not firsts:
        return np.zeros(0, np.int64)
    low = np.concatenate(firsts) // transaction
    high = -(-np.concatenate(stops) // transaction)
    counts = np.maximum(high - low, 0)
    ends = np.cumsum(counts)
    numbers = np.arange(int(ends[-1]), dtype=np.int64) - np.repeat(ends - counts, counts) + np.repeat(low, counts)
    # Rows of a narrow window may share transactions, and planes meet inside one.
    return numbers if (low[1:] >= high[:-1]).all() else np.unique(numbers)
