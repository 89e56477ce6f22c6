"""A tensor stored in patches of pixels (`actcodec.networks.patches`), seen by an accelerator that counts pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actcodec_sim.accelerator.layout import Layout
from actcodec_sim.arrays import Int64Array

_NONE = range(0)


@dataclass(frozen=True, eq=False)
class PatchLayout:
    """``patches`` by the pixel: a window takes every patch of ``side``×``side`` pixels that it has a pixel of.

    A patch is encoded when its last row of pixels is there, and a stripe that begins inside a row of patches reads and
    decodes that row anew: what is kept of the row before are pixels, not a stream.
    """

    patches: Layout
    side: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width in pixels."""
        channels, height, width = self.patches.shape
        return channels // self.side**2, height * self.side, width * self.side

    @property
    def region_bytes(self) -> int:
        """Bytes of the stream."""
        return self.patches.region_bytes

    @property
    def encoder_table_bytes(self) -> int:
        """Bytes of the encoder's tables."""
        return self.patches.encoder_table_bytes

    @property
    def decoder_table_bytes(self) -> int:
        """Bytes of the decoder's tables."""
        return self.patches.decoder_table_bytes

    @property
    def shared_codec(self) -> bool:
        """Whether encoder and decoder share an array."""
        return self.patches.shared_codec

    def _of(self, pixels: range) -> range:
        """Patches with one of these rows or columns of pixels; those that a stride steps over are left out."""
        if not pixels:
            return _NONE
        step = pixels.step // self.side if pixels.step % self.side == 0 else 1
        return range(pixels[0] // self.side, pixels[-1] // self.side + 1, step)

    def _held(self, rows: range, held: range) -> range:
        patches = self._of(held)
        return patches if patches and rows and patches[-1] < rows[0] // self.side else _NONE

    def count(self, rows: range, columns: range, transaction: int, held: range = _NONE) -> int:
        """Transactions of ``read``."""
        return self.patches.count(self._of(rows), self._of(columns), transaction, self._held(rows, held))

    def read(self, rows: range, columns: range, transaction: int, held: range = _NONE) -> Int64Array:
        """Transactions of a window, each once."""
        return self.patches.read(self._of(rows), self._of(columns), transaction, self._held(rows, held))

    def _complete(self, stripes: Sequence[range]) -> list[range]:
        """Rows of patches whose last row of pixels is in each of ``stripes``."""
        return [range(rows.start // self.side, rows.stop // self.side) for rows in stripes]

    def write_count(self, stripes: Sequence[range], transaction: int) -> int:
        """Transactions of ``write``."""
        return self.patches.write_count(self._complete(stripes), transaction)

    def write(self, stripes: Sequence[range], transaction: int) -> list[Int64Array]:
        """Transactions by the stripe that completes them."""
        return self.patches.write(self._complete(stripes), transaction)

    def modifies(self, transaction: int) -> bool:
        """Whether the stream ends inside a transaction."""
        return self.patches.modifies(transaction)

    def encode_cycles(self, rows: int) -> int:
        """Cycles of the encoder for a stripe, its last row of patches whole."""
        return self.patches.encode_cycles(-(-rows // self.side))

    def decode_cycles(self, rows: range, columns: range) -> int:
        """Cycles of the decoder for the patches of a window."""
        return self.patches.decode_cycles(self._of(rows), self._of(columns))

    def decoded(self, rows: range, columns: range) -> float:
        """Share of the patches that are decoded."""
        return self.patches.decoded(self._of(rows), self._of(columns))


def by_the_pixel(layout: Layout, shape: tuple[int, int, int]) -> Layout | None:
    """Return ``layout`` for a tensor of ``shape`` C×H×W, which it may store in patches; None where it does not fit."""
    if layout.shape == shape:
        return layout
    side = shape[1] // layout.shape[1] if layout.shape[1] else 0
    patched = PatchLayout(layout, side) if side > 1 else None
    return patched if patched is not None and patched.shape == shape and layout.shape[0] % side**2 == 0 else None
