"""Speed of the golden model on one core: values a second, encode and decode of a projected site.

python benchmarks/golden_speed.py      prints JSON and writes benchmarks/results/golden_speed.json
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from actcodec.files import write_json
from actcodec.golden import SiteCodec
from actcodec.params import load_params
from actcodec.tables.synthetic import synthetic_site

RESULT = Path(__file__).parent / "results" / "golden_speed.json"
SHAPE = (32, 32, 64)
IMAGES = 32
REPEATS = 15


def _seconds(function: Callable[[], object]) -> float:
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def main() -> None:
    """Measure encode and decode interleaved and report the minima."""
    rng = np.random.default_rng(0)
    site = synthetic_site(rng, load_params("default"), "site", SHAPE, keep=0.8)
    codec = SiteCodec(site)
    x = rng.integers(0, 256, (IMAGES, *SHAPE)).astype(np.uint8)
    stream = codec.encode(x)
    codec.decode(stream)
    times = [(_seconds(lambda: codec.encode(x)), _seconds(lambda: codec.decode(stream))) for _ in range(REPEATS)]
    encode, decode = (min(column) for column in zip(*times, strict=True))
    result = {
        "command": "python benchmarks/golden_speed.py",
        "site": {"shape_hwc": SHAPE, "coefficients": site.coefficients, "transform": site.info.transform},
        "values": x.size,
        "repeats": REPEATS,
        "million_values_per_second": {
            "encode": round(x.size / encode / 1e6, 1),
            "decode": round(x.size / decode / 1e6, 1),
            "both": round(x.size / (encode + decode) / 1e6, 1),
        },
    }
    write_json(RESULT, result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
