"""Extended bit-plane compression (EBPC) of values of 8 bits or fewer: a zero stream and a bit-plane stream.

    zero      all values: 1 for a non-zero one; n zeros, 1…16, are 0 + (n − 1) in 4 bits (`actcodec.baselines.runs`)
    planes    the non-zero values, in blocks of 8 (`actcodec.baselines.planes`)

    bits = bits of zero + bits of planes

Cavigelli, Rutishauser, Benini, "EBPC: Extended Bit-Plane Compression for Deep Neural Network Inference and Training
Accelerators", IEEE JETCAS 2019, arXiv 1908.11645; streams and sizes are those of its hardware's reference
implementation (stream-ebpc), 8-bit words, blocks of 8. Narrower words, ``width`` bits, have narrower first values and
fewer planes, and the same symbols.

That implementation writes nothing for a last block of one value (non-zero values ≡ 1 modulo 8): its size counts 0 bits
and its streams do not determine that value. Streams and ``bits`` here are the same. The value is kept beside them as
``Coded.leftover``; without it `decode` refuses rather than invents one. ``Coded.uncounted_bits`` is what it would cost.
"""

from __future__ import annotations

import numpy as np

from actcodec.baselines.coded import Coded, Values, check_width, flat_values
from actcodec.baselines.planes import BLOCK, decode_planes, encode_planes
from actcodec.baselines.runs import decode_runs, encode_marks
from actcodec.errors import ActcodecError

ZERO, PLANE = "zero", "planes"


def encode(x: Values, *, width: int = 8) -> Coded:
    """The streams ``zero`` and ``planes`` of x in C order, words of ``width`` bits.

    Raises ActcodecError where x is not uint8, is empty or holds a value above 2^width − 1, or for a width beyond 1…8.
    """
    flat = flat_values(x, "ebpc", width)
    nonzero = flat != 0
    present = flat[nonzero]
    leftover = int(present[-1]) if present.size % BLOCK == 1 else None
    streams = encode_marks(nonzero, ZERO), encode_planes(present, width, PLANE)
    return Coded(flat.size, streams, leftover, width)


def decode(coded: Coded, *, width: int = 8) -> Values:
    """The values (n,).

    Raises ActcodecError where the streams do not hold exactly ``coded.values`` of that width, or where
    ``coded.leftover`` is absent though a block has one value left over, or given though none has.
    """
    check_width(width, "ebpc")
    largest = (1 << width) - 1
    x = decode_runs(coded.stream(ZERO), coded.values, 0)
    marked = x != 0
    present = np.empty(np.count_nonzero(marked), dtype=np.uint8)
    decode_planes(coded.stream(PLANE), width, present)
    alone = present.size % BLOCK == 1
    if alone != (coded.leftover is not None) or (coded.leftover is not None and not 1 <= coded.leftover <= largest):
        expected = f"1…{largest}: the last block has one value" if alone else "None: the last block has several values"
        raise ActcodecError("ebpc", f"leftover = {coded.leftover}, expected {expected}")
    if coded.leftover is not None:
        present[-1] = coded.leftover
    x[marked] = present
    return x
