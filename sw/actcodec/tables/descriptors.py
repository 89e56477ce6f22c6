"""What a DMA needs to fetch tiles of stored activations: addresses of words, and the decoder's job for them.

A reader goes through a site in tiles of height × width positions, each with a halo of neighbours around it that is cut
off at the image's edges. With a stride it wants only the positions whose row and column are multiples of it: the
decoder skips columns, the DMA skips rows.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from actcodec.errors import ActcodecError
from actcodec.tables.geometry import Window, round_up
from actcodec.tables.io import digest_of
from actcodec.tables.model import SiteTable, Tables

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True)
class Tiling:
    """How a reader cuts a site up, in positions."""

    height: int
    width: int
    halo: int = 0
    stride: int = 1

    def __post_init__(self) -> None:
        for name, least in (("height", 1), ("width", 1), ("halo", 0), ("stride", 1)):
            if getattr(self, name) < least:
                raise ActcodecError("tiling", f"{name} = {getattr(self, name)}, at least {least} expected")


@dataclass(frozen=True)
class Descriptor:
    """One tile of one plane: ``rows`` transfers of ``row_words`` words, and the job that decodes them.

    Transfer r begins at byte ``address + r·pitch``; its words follow one another. All rows together are one packet.
    """

    site: int
    name: str
    tile_y: int
    tile_x: int
    plane: int
    first_channel: int
    channels: int
    y: int
    """Row of the first position."""
    x: int
    """Column of the first position."""
    base: int
    """Byte at which the site's stream begins."""
    pitch: int
    """Bytes from one row that is fetched to the next one."""
    address: int
    """Byte of the first word."""
    row_words: int
    words: int
    """Words of all rows; 0 where the plane stores nothing."""
    offset: int
    count: int
    stride: int
    rows: int

    @property
    def window(self) -> Window:
        """The fields of the decoder's job."""
        return Window(self.plane, self.offset, self.count, self.stride, self.rows)

    def word_addresses(self, word_bytes: int) -> NDArray[np.int64]:
        """Byte address of every word, in the order in which the decoder takes them."""
        rows = np.arange(self.rows, dtype=np.int64)[:, None] * self.pitch
        words = np.arange(self.row_words, dtype=np.int64)[None, :] * word_bytes
        return (self.address + rows + words).ravel()


def _wanted(size: int, tile: int, tiling: Tiling, number: int) -> range:
    """Rows (or columns) of tile ``number``, halo included, that the reader wants."""
    first = max(0, number * tile - tiling.halo)
    end = min(size, (number + 1) * tile + tiling.halo)
    return range(round_up(first, tiling.stride), end, tiling.stride)


def site_descriptors(site: SiteTable, number: int, tiling: Tiling, base: int) -> Iterator[Descriptor]:
    """Tiles of a site whose stream begins at byte ``base``, row by row of tiles, all planes of a tile together.

    Tiles in which the stride leaves no position are left out.
    """
    info, word_bits = site.info, site.params.word_bits
    for tile_y in range(-(-info.height // tiling.height)):
        for tile_x in range(-(-info.width // tiling.width)):
            rows = _wanted(info.height, tiling.height, tiling, tile_y)
            columns = _wanted(info.width, tiling.width, tiling, tile_x)
            if not rows or not columns:
                continue
            for place, plane in enumerate(site.planes):
                blocks = info.blocks[plane.first_block].channels, info.blocks[plane.last_block - 1].channels
                window = Window.at(
                    site.planes,
                    place,
                    columns[0],
                    len(columns),
                    word_bits=word_bits,
                    stride=tiling.stride,
                    rows=len(rows),
                )
                row_words = window.row_words(plane.position_bits, word_bits)
                yield Descriptor(
                    site=number,
                    name=info.name,
                    tile_y=tile_y,
                    tile_x=tile_x,
                    plane=place,
                    first_channel=blocks[0][0],
                    channels=blocks[1][1] - blocks[0][0],
                    y=rows[0],
                    x=columns[0],
                    base=base,
                    pitch=plane.pitch_bits // 8 * tiling.stride,
                    address=base + (plane.position_bit(rows[0], columns[0]) - window.offset) // 8,
                    row_words=row_words,
                    words=len(rows) * row_words,
                    offset=window.offset,
                    count=window.count,
                    stride=window.stride,
                    rows=window.rows,
                )


def site_bases(tables: Tables, base: int, align: int) -> list[int]:
    """Byte at which the stream of every site begins: one after another from ``base``, each aligned to ``align``.

    Raises ActcodecError where the alignment is not a multiple of the bus word.
    """
    word_bytes = tables.params.word_bytes
    if align < 1 or align % word_bytes:
        raise ActcodecError("descriptors", f"alignment = {align} bytes is not a multiple of the word's {word_bytes}")
    found, place = [], base
    for site in tables.sites:
        place = round_up(place, align)
        found.append(place)
        place += site.sizes(tables.transaction_bytes).stream_bytes
    return found


def all_descriptors(tables: Tables, tiling: Tiling, base: int, align: int) -> list[Descriptor]:
    """Descriptors of every site, streams laid out as of `site_bases`."""
    bases = site_bases(tables, base, align)
    return [
        descriptor
        for number, (site, first) in enumerate(zip(tables.sites, bases, strict=True))
        for descriptor in site_descriptors(site, number, tiling, first)
    ]


def as_json(tables: Tables, found: Sequence[DataclassInstance], **cut: Any) -> dict[str, Any]:
    """Descriptors as JSON values, with the tables that they are of and how the tensors are ``cut``."""
    return {
        "tables": digest_of(tables),
        "word_bytes": tables.params.word_bytes,
        **cut,
        "descriptors": [asdict(descriptor) for descriptor in found],
    }


def as_csv(kind: type[DataclassInstance], found: Sequence[DataclassInstance]) -> str:
    """Descriptors of a ``kind`` as CSV: names of the fields, then a line each."""
    text = io.StringIO()
    names = [field.name for field in fields(kind)]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(descriptor) for descriptor in found)
    return text.getvalue()
