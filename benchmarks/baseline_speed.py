"""The lossless baselines on three real tensors: exact sizes, and EBPC's speed against bit strings in plain Python.

python benchmarks/baseline_speed.py      prints JSON and writes benchmarks/results/baseline_speed.json

Needs ebpc_reference/ in $ACTCODEC_DATA: the tensors, and the sizes that EBPC's reference implementation gives them.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np

from actcodec.baselines import CODERS
from actcodec.data import data_root
from actcodec.files import read_json, write_json

RESULT = Path(__file__).parent / "results" / "baseline_speed.json"
REPEATS = 15
CALLS = 20
"""Calls of a compiled function that one time is the mean of: one lasts 0.2 ms."""


def zero_stream(values: list[int]) -> str:
    """EBPC's zero stream as a string of '0' and '1'."""
    symbols = []
    for zero, group in groupby(values, key=lambda value: value == 0):
        count = len(list(group))
        if zero:
            runs = [16] * (count // 16) + [count % 16] * (count % 16 > 0)
            symbols += [f"0{run - 1:04b}" for run in runs]
        else:
            symbols.append("1" * count)
    return "".join(symbols)


def plane_stream(values: list[int]) -> str:
    """EBPC's bit-plane stream of the non-zero values as a string of '0' and '1'."""
    present = [value for value in values if value != 0]
    return "".join(plane_block(present[i : i + 8]) for i in range(0, len(present), 8))


def plane_block(values: list[int]) -> str:
    """One block of the bit-plane stream."""
    n = len(values)
    if n == 1:
        return ""
    deltas = [f"{(b - a) % 512:09b}" for a, b in pairwise(values)]
    planes = ["".join(bits) for bits in zip(*deltas, strict=True)][::-1]
    below = ["0" * (n - 1), *planes[:-1]]
    stream, run = f"{values[0]:08b}", 0
    for number, (plane, before) in enumerate(zip(planes, below, strict=True)):
        dbx = "".join("0" if a == b else "1" for a, b in zip(plane, before, strict=True))
        if "1" not in dbx:
            run += 1
        else:
            stream += plane_run(run) + plane_symbol(dbx, plane, n)
            run = 0
        if number == 8:
            stream += plane_run(run)
    return stream


def plane_run(run: int) -> str:
    """Symbol of a run of zero DBX."""
    return f"001{run - 2:03b}" if run > 1 else "01" * run


def plane_symbol(dbx: str, plane: str, n: int) -> str:
    """Symbol of a DBX that is not all zero."""
    place = f"0{math.ceil(math.log2(n))}b"
    if "0" not in dbx:
        return "00000"
    if "1" not in plane:
        return "00001"
    if dbx.count("1") == 2 and "11" in dbx:
        return "00010" + format(dbx.index("1"), place)
    if dbx.count("1") == 1:
        return "00011" + format(dbx.index("1"), place)
    return "1" + dbx


def _seconds(function: Callable[[], object], calls: int) -> float:
    begin = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - begin) / calls


def main() -> None:
    """Check and size every coder, then time EBPC's encoder, its decoder and the bit strings interleaved."""
    folder = data_root() / "ebpc_reference"
    reference = read_json(folder / "reference.json")["sites"]
    with np.load(folder / "resnet20_sites.npz") as archive:
        tensors = {name: archive[name] for name in reference}
    sizes = {}
    for name, x in tensors.items():
        coded = {coder: CODERS[coder].encode(x) for coder in CODERS}
        for coder, streams in coded.items():
            assert np.array_equal(CODERS[coder].decode(streams), x.ravel()), (name, coder)
        texts = [stream.text for stream in coded["ebpc"].streams]
        assert texts == [zero_stream(x.ravel().tolist()), plane_stream(x.ravel().tolist())], name
        sizes[name] = {
            "shape_chw": x.shape,
            "values": x.size,
            "bits": {coder: streams.bits for coder, streams in coded.items()},
            "ebpc_reference_bits": reference[name]["bits"],
        }
    ebpc = CODERS["ebpc"]
    lists = [x.ravel().tolist() for x in tensors.values()]
    coded_tensors = [ebpc.encode(x) for x in tensors.values()]
    timed: list[tuple[Callable[[], object], int]] = [
        (lambda: [ebpc.encode(x) for x in tensors.values()], CALLS),
        (lambda: [ebpc.decode(coded) for coded in coded_tensors], CALLS),
        (lambda: [(zero_stream(values), plane_stream(values)) for values in lists], 1),
    ]
    times = [[_seconds(function, calls) for function, calls in timed] for _ in range(REPEATS)]
    encode, decode, python = (min(column) for column in zip(*times, strict=True))
    count = sum(x.size for x in tensors.values())
    result = {
        "command": "python benchmarks/baseline_speed.py",
        "sites": sizes,
        "values": count,
        "repeats": REPEATS,
        "calls": CALLS,
        "ebpc_million_values_per_second": {
            "encode": round(count / encode / 1e6, 1),
            "decode": round(count / decode / 1e6, 1),
            "encode_bit_strings": round(count / python / 1e6, 3),
        },
        "ebpc_encode_times_faster": round(python / encode, 1),
    }
    write_json(RESULT, result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
