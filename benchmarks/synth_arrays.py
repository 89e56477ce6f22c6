"""Gate equivalents of the codec at three array sizes, everything else as in the default configuration.

    python benchmarks/synth_arrays.py [--array 8x4 ...]

exports the RTL of every size and measures its gates, in all and by block, into benchmarks/results/synth/array-8x4,
array-8x8 and array-8x16 (minutes each). Needs the extra ``synth`` (`make synth` installs it).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from actcodec.errors import ActcodecError
from actcodec.files import atomic_directory, write_json
from actcodec.params import CodecParams, load_params
from actcodec_rtl.generate import FILE_LIST, TOP, generate
from actcodec_rtl.synth.measure import Request, measure
from actcodec_rtl.synth.sources import collect

RESULTS = Path(__file__).parent / "results" / "synth"
ARRAYS = ("8x4", "8x8", "8x16")


def _params(array: str) -> CodecParams:
    """The default configuration with ``lanes``x``rows`` multipliers a direction."""
    lanes, rows = array.split("x")
    content = load_params("default").as_json() | {"lanes": int(lanes), "rows": int(rows)}
    return CodecParams.model_validate(content)


def _measure(array: str) -> None:
    params = _params(array)
    name = f"array-{array}"
    with tempfile.TemporaryDirectory(prefix="actcodec-arrays-") as scratch:
        rtl = Path(scratch) / "rtl"
        generate(params, rtl)
        sources = collect([rtl / FILE_LIST], [], TOP)
        with atomic_directory(RESULTS / name) as folder:
            measured = measure(Request(sources), Path(scratch), lambda line: print(f"{array} {line}", file=sys.stderr))
            command = f"python benchmarks/synth_arrays.py --array {array}"
            result = {"name": name, "command": command, "codec": params.as_json(), **measured.result}
            write_json(folder / "synth.json", result)
    print(f"{array}: {result['gates']['ge'] / 1000:.1f} kGE", flush=True)


def main() -> None:
    """Measure the arrays that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--array", nargs="+", default=list(ARRAYS), choices=ARRAYS, help="lanes x rows (default: all)")
    try:
        for array in parser.parse_args().array:
            _measure(array)
    except ActcodecError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
