"""Extended bit-plane compression (EBPC) of 8-bit values: a zero stream and a bit-plane stream.

    zero      all values: 1 for a non-zero one; n zeros, 1…16, are 0 + (n − 1) in 4 bits (`actcodec.baselines.runs`)
    planes    the non-zero values, in blocks of 8 (`actcodec.baselines.planes`)

    bits = bits of zero + bits of planes

Cavigelli, Rutishauser, Benini, "EBPC: Extended Bit-Plane Compression for Deep Neural Network Inference and Training
Accelerators", IEEE JETCAS 2019, arXiv 1908.11645; streams and sizes are those of its hardware's reference
implementation (stream-ebpc), 8-bit words, blocks of 8.

That implementation writes nothing for a last block of one value (non-zero values ≡ 1 modulo 8): its size counts 0 bits
and its streams do not determine that value. Streams and ``bits`` here are the same. The value is kept beside them as
``Coded.leftover``; without it `decode` refuses rather than invents one. ``Coded.uncounted_bits`` is what it would cost.
"""

from __future__ import annotations

import numpy as np

from actcodec.baselines.coded import Coded, Values, flat_values
from actcodec.baselines.planes import BLOCK, decode_planes, encode_planes
from actcodec.baselines.runs import decode_runs, encode_marks
from actcodec.errors import ActcodecError

ZERO, PLANE = "zero", "planes"


def encode(x: Values) -> Coded:
    """The streams ``zero`` and ``planes`` of x in C order. Raises ActcodecError where x is not uint8 or is empty."""
    flat = flat_values(x, "ebpc")
    nonzero = flat != 0
    present = flat[nonzero]
    leftover = int(present[-1]) if present.size % BLOCK == 1 else None
    return Coded(flat.size, (encode_marks(nonzero, ZERO), encode_planes(present, PLANE)), leftover)


def decode(coded: Coded) -> Values:
    """The values (n,).

    Raises ActcodecError where the streams do not hold exactly ``coded.values``, or where ``coded.leftover`` is absent
    though a block has one value left over, or given though none has.
    """
    x = decode_runs(coded.stream(ZERO), coded.values, 0)
    marked = x != 0
    present = np.empty(np.count_nonzero(marked), dtype=np.uint8)
    decode_planes(coded.stream(PLANE), present)
    alone = present.size % BLOCK == 1
    if alone != (coded.leftover is not None) or (coded.leftover is not None and not 1 <= coded.leftover <= 255):
        expected = "1…255: the last block has one value" if alone else "None: the last block has several values"
        raise ActcodecError("ebpc", f"leftover = {coded.leftover}, expected {expected}")
    if coded.leftover is not None:
        present[-1] = coded.leftover
    x[marked] = present
    return x
