"""The golden model of one site: activations → bytes of the stream → activations, in exact integers.

    acc_k  = Σ_{c∈block} P[k,c]·(x_c − zero) + bias_k          code_k = clamp(round_shift(acc_k, s_k), 0, 2^b_k − 1)
    acc_c  = Σ_{k∈block} R[c,k]·(code_k << e_k) + bias'_c      x̂_c   = clamp(round_shift(acc_c, t) + zero, lo, hi)

A folded site's encoder is given Σ P·(x − zero), the accumulators of the convolution before it, and adds the bias.
This is the reference that the RTL is compared with bit for bit.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actcodec.errors import ActcodecError
from actcodec.golden.beats import Input
from actcodec.golden.kernels import decode_plane, encode_plane
from actcodec.tables.geometry import Plane, Window
from actcodec.tables.model import SiteTable

Bytes = NDArray[np.uint8]


class SiteCodec:
    """Encoder and decoder of one site; holds the tables in the shape that the kernels want."""

    def __init__(self, site: SiteTable) -> None:
        self.site = site

    @cached_property
    def _kernel_tables(self) -> dict[str, NDArray[Any]]:
        info, arrays, b = self.site.info, self.site.arrays, self.site.params.block
        forward = np.zeros((len(info.blocks), b, b), dtype=np.int32)
        backward = np.zeros_like(forward)
        blocks = np.zeros((len(info.blocks), 4), dtype=np.int64)
        inputs = np.zeros_like(blocks)
        for j, block in enumerate(info.blocks):
            (c0, c1), (k0, k1) = block.channels, block.coefficients
            blocks[j] = (c0, c1, k0, k1)
            forward[j, : c1 - c0, : k1 - k0] = arrays.P[k0:k1, : c1 - c0].T
            inputs[j] = (c0, c1, k0, k1)
            if info.transform == "folded":
                # Coefficient i of the block is its accumulator i.
                forward[j, : k1 - k0, : k1 - k0] = np.eye(k1 - k0)
                inputs[j] = (k0, k1, k0, k1)
            backward[j, : k1 - k0, : c1 - c0] = arrays.R[c0:c1, : k1 - k0].T
        shift = arrays.shift.astype(np.int64)
        return {
            "blocks": blocks,
            "inputs": inputs,
            "forward": forward,
            "backward": backward,
            "bias": arrays.bias.astype(np.int32),
            "half": np.where(shift > 0, np.int64(1) << np.maximum(shift - 1, 0), 0),
            "shift": shift,
            "width": arrays.width.astype(np.int64),
            "left_shift": arrays.left_shift.astype(np.int64),
            "bias_out": arrays.bias_out.astype(np.int32),
        }

    @property
    def _diagonal(self) -> bool:
        """Whether P and R have one entry a channel."""
        return self.site.info.transform in ("identity", "bypass")

    @cached_property
    def stream_bytes(self) -> int:
        """Bytes of one image's stream."""
        return self.site.sizes(1).stream_bytes

    def _row_starts(self, plane: Plane, images: int) -> NDArray[np.int64]:
        """Bit at which every row of every image starts, the images' streams lying one after another."""
        rows = plane.base_bits + np.arange(self.site.info.height, dtype=np.int64) * plane.pitch_bits
        image = np.arange(images, dtype=np.int64)[:, None] * (8 * self.stream_bytes)
        return np.ascontiguousarray((image + rows).ravel())

    def check_input(self, x: NDArray[Any]) -> None:
        """Raise ActcodecError where x is nothing that `encode` takes."""
        where, shape, acc_range = f"site {self.site.info.name}", self.site.encoder_shape, self.site.arrays.acc_range
        what, dtype, axes = ("activations", "uint8", "C") if acc_range is None else ("accumulators", "int32", "K")
        if x.dtype != np.dtype(dtype):
            raise ActcodecError(where, f"{what} are {x.dtype}, expected {dtype}")
        if x.shape[-3:] != shape or x.ndim not in (3, 4):
            raise ActcodecError(where, f"{what} have shape {x.shape}, expected {shape} (H, W, {axes})")
        if acc_range is None or not x.size:
            return
        sums = x.reshape(-1, shape[-1])
        least, most = sums.min(axis=0), sums.max(axis=0)
        for k in np.flatnonzero((least < acc_range[:, 0]) | (most > acc_range[:, 1]))[:1]:
            low, high = acc_range[k]
            problem = f"accumulator {k} reaches {least[k]}…{most[k]}, the convolution's range is {low}…{high}"
            raise ActcodecError(where, problem)

    def encode(self, x: Input) -> Bytes:
        """Stream of activations x, uint8 (H, W, C) or (N, H, W, C): bytes (S,) or (N, S).

        A folded site takes the accumulators of the convolution before it, int32 (H, W, K) or (N, H, W, K), without the
        bias of the tables. Raises ActcodecError where type or shape are not the site's, or an accumulator is outside
        the range that its tables are made for.
        """
        return self.encode_counted(x)[0]

    def encode_counted(self, x: Input) -> tuple[Bytes, int]:
        """The stream as of `encode`, and the bits of codes that were written into it (all images together)."""
        self.check_input(x)
        info = self.site.info
        images = 1 if x.ndim == 3 else x.shape[0]
        out = np.zeros(images * self.stream_bytes, dtype=np.uint8)
        rows = np.ascontiguousarray(x).reshape(-1, info.width, x.shape[-1])
        tables = self._kernel_tables
        payload = 0
        for plane in self.site.planes:
            part = slice(plane.first_block, plane.last_block)
            payload += encode_plane(
                rows,
                out,
                self._row_starts(plane, images) // 8,
                tables["inputs"][part],
                tables["forward"][part],
                tables["bias"],
                tables["half"],
                tables["shift"],
                tables["width"],
                0 if info.transform == "folded" else info.zero,
                self._diagonal or info.transform == "folded",
            )
        return (out if x.ndim == 3 else out.reshape(images, self.stream_bytes)), payload

    def decode(self, stream: Bytes) -> NDArray[np.uint8]:
        """Activations (H, W, C) or (N, H, W, C), uint8, of a stream (S,) or (N, S).

        Raises ActcodecError where the stream's length is not the site's.
        """
        info = self.site.info
        if stream.dtype != np.uint8 or stream.ndim not in (1, 2):
            raise ActcodecError(
                f"site {info.name}", f"stream is {stream.dtype} with {stream.ndim} axes, expected bytes"
            )
        if stream.shape[-1] != self.stream_bytes:
            raise ActcodecError(
                f"site {info.name}", f"stream has {stream.shape[-1]} bytes, expected {self.stream_bytes}"
            )
        images = 1 if stream.ndim == 1 else stream.shape[0]
        x = np.empty((images * info.height, info.width, info.channels), dtype=np.uint8)
        flat = np.ascontiguousarray(stream).reshape(-1)
        for plane in self.site.planes:
            self._decode_into(x, flat, self._row_starts(plane, images), plane, 0)
        shape = (info.height, info.width, info.channels)
        return x.reshape(shape if stream.ndim == 1 else (images, *shape))

    def decode_run(self, stream: Bytes, plane: int, bit_offset: int, count: int, stride: int = 1) -> NDArray[np.uint8]:
        """``count`` positions of a plane from bit ``bit_offset`` of the stream on, every ``stride``-th.

        This is what halos and strided readers of a row need: bit_offset = base + y·pitch + x·B. Returns
        (count, channels of the plane). Raises ActcodecError where the run leaves the stream.
        """
        info = self.site.info
        where = f"site {info.name}"
        if stream.dtype != np.uint8 or stream.ndim != 1:
            raise ActcodecError(where, f"stream is {stream.dtype} with {stream.ndim} axes, expected bytes")
        if not 0 <= plane < len(self.site.planes):
            raise ActcodecError(where, f"plane = {plane} is outside 0…{len(self.site.planes) - 1}")
        part = self.site.planes[plane]
        last = bit_offset + (count - 1) * stride * part.position_bits + part.position_bits
        if count < 1 or stride < 1 or bit_offset < 0 or last > 8 * stream.size:
            raise ActcodecError(
                where,
                f"run of bit_offset = {bit_offset}, count = {count}, stride = {stride} "
                f"leaves the stream of {8 * stream.size} bits",
            )
        x = np.empty((1, count, info.channels), dtype=np.uint8)
        flat = np.ascontiguousarray(stream)
        self._decode_into(x, flat, np.array([bit_offset]), part, (stride - 1) * part.position_bits)
        return np.ascontiguousarray(x[0, :, self._channels(part)])

    def decode_window(self, words: Bytes, window: Window) -> NDArray[np.uint8]:
        """Activations (rows, count, channels of the plane) of a window, from its words (N, word_bytes) and no others.

        The words of every row (`Window.row_words`) follow one another, wherever in the stream they come from. Raises
        ActcodecError for a window that is impossible and for another number of words.
        """
        info, params = self.site.info, self.site.params
        where = f"site {info.name}"
        if not 0 <= window.plane < len(self.site.planes):
            raise ActcodecError(where, f"plane = {window.plane} is outside 0…{len(self.site.planes) - 1}")
        for name, least in (("count", 1), ("stride", 1), ("rows", 1), ("offset", 0)):
            if getattr(window, name) < least:
                raise ActcodecError(where, f"window with {name} = {getattr(window, name)}, at least {least} expected")
        if window.offset >= params.word_bits:
            raise ActcodecError(where, f"window with offset = {window.offset}, a word has {params.word_bits} bits")
        plane = self.site.planes[window.plane]
        row_words = window.row_words(plane.position_bits, params.word_bits)
        expected = (window.rows * row_words, params.word_bytes)
        if words.dtype != np.uint8 or words.shape != expected:
            raise ActcodecError(where, f"words are {words.dtype}{list(words.shape)}, expected uint8{list(expected)}")
        x = np.empty((window.rows, window.count, info.channels), dtype=np.uint8)
        row_bits = np.arange(window.rows, dtype=np.int64) * (row_words * params.word_bits) + window.offset
        flat = np.ascontiguousarray(words).reshape(-1)
        self._decode_into(x, flat, row_bits, plane, (window.stride - 1) * plane.position_bits)
        return np.ascontiguousarray(x[:, :, self._channels(plane)])

    def _channels(self, plane: Plane) -> slice:
        blocks = self.site.info.blocks
        return slice(blocks[plane.first_block].channels[0], blocks[plane.last_block - 1].channels[1])

    def _decode_into(
        self, x: NDArray[np.uint8], stream: Bytes, row_bits: NDArray[np.int64], plane: Plane, skip_bits: int
    ) -> None:
        info, tables = self.site.info, self._kernel_tables
        part = slice(plane.first_block, plane.last_block)
        decode_plane(
            stream,
            x,
            row_bits,
            skip_bits,
            tables["blocks"][part],
            tables["backward"][part],
            tables["bias_out"],
            tables["left_shift"],
            tables["width"],
            info.output_shift,
            info.zero,
            info.low,
            info.high,
            self._diagonal,
        )
