"""Zero run length coding of values of 8 bits or fewer.

    non-zero value     1, then the value in width bits, 8 unless said otherwise
    n zeros, 1…16      0, then n − 1 in 4 bits

    bits = (1 + width)·(non-zero values) + 5·Σ_runs ⌈n/16⌉

The zero-RLE that EBPC is compared with in its paper (Cavigelli, Rutishauser, Benini, "EBPC: Extended Bit-Plane
Compression for Deep Neural Network Inference and Training Accelerators", IEEE JETCAS 2019, arXiv 1908.11645): a prefix
bit tells a value from a run. The run's limit, 16, is the one of EBPC's own zero stream, so that the two
differ in what they do with the non-zero values and in nothing else.
"""

from __future__ import annotations

from actcodec.baselines.coded import Coded, Values, check_width, flat_values
from actcodec.baselines.runs import decode_runs, encode_literals

STREAM = "runs"


def encode(x: Values, *, width: int = 8) -> Coded:
    """One stream, ``runs``, of x in C order, values of ``width`` bits.

    Raises ActcodecError where x is not uint8, is empty or holds a value above 2^width − 1, or for a width beyond 1…8.
    """
    flat = flat_values(x, "rle", width)
    return Coded(flat.size, (encode_literals(flat, width, STREAM),))


def decode(coded: Coded, *, width: int = 8) -> Values:
    """The values (n,). Raises ActcodecError where the stream does not hold exactly ``coded.values`` of that width."""
    check_width(width, "rle")
    return decode_runs(coded.stream(STREAM), coded.values, width)
