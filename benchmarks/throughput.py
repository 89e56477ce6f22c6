"""What the RTL sustains: activations and bus words a cycle, by array size, kept share and width, nobody stalling.

    python benchmarks/throughput.py [--cache build/cache]

co-simulates a site of 16 × 16 × 64 for every case (Verilator), checks every word and the formula of cycles, and writes
benchmarks/results/throughput.json. The first build of an array size takes minutes.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from actcodec.files import write_json
from actcodec.params import CodecParams, Transform
from actcodec.tables.model import SiteTable, Tables
from actcodec.tables.synthetic import synthetic_site, synthetic_tables
from actcodec_sim.cosim import cosimulate

RESULTS = Path(__file__).parent / "results" / "throughput.json"
ARRAYS = ((8, 4), (8, 8), (8, 16))
WIDTHS = (1, 2, 4, 8)
KEPT = (4, 8, 16)
SIDE, CHANNELS = 16, 64


def _params(lanes: int, rows: int) -> CodecParams:
    return CodecParams(lanes=lanes, rows=rows, plane_depth=64, step_depth=1024, coefficient_depth=1024)


def _site(params: CodecParams, transform: Transform, kept: int, width: int) -> SiteTable:
    """A site whose blocks of 16 channels store ``kept`` coefficients of ``width`` bits."""
    rng = np.random.default_rng([kept, width])
    name = f"{'identity' if transform == 'identity' else f'project {kept}/16'}, {width} bit"
    site = synthetic_site(rng, params, name, (SIDE, SIDE, CHANNELS), transform=transform, keep=1.0)
    site.arrays.width[:] = np.where(np.arange(CHANNELS) % params.block < kept, width, 0)
    site.arrays.left_shift[:] = 0
    return SiteTable(site.info, site.arrays, params)


def _measured(params: CodecParams, cache: Path) -> list[dict[str, Any]]:
    cases = [("project", kept, width) for kept in KEPT for width in WIDTHS]
    cases += [("identity", params.block, width) for width in WIDTHS]
    sites = tuple(_site(params, transform, kept, width) for transform, kept, width in cases)
    tables = Tables(params, sites, synthetic_tables(0, params).provenance)
    rng = np.random.default_rng(0)
    images = {site.info.name: rng.integers(0, 256, (SIDE, SIDE, CHANNELS), dtype=np.uint8) for site in sites}
    with tempfile.TemporaryDirectory() as job:
        result = cosimulate(tables, images, "verilator", cache, Path(job) / "job")
    points = []
    for (transform, kept, width), site, found in zip(cases, sites, result.sites, strict=True):
        assert found.agrees, site.info.name
        point: dict[str, Any] = {"transform": transform, "kept": kept, "width": width}
        for name, direction in (("encoder", found.encoder), ("decoder", found.decoder)):
            point[name] = {
                "cycles": direction.cycles,
                "activations_per_cycle": site.info.values / direction.cycles,
                "words_per_cycle": direction.words / direction.cycles,
            }
        points.append(point)
    return points


def main() -> None:
    """Measure every array."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=Path("build/cache"))
    cache = parser.parse_args().cache
    arrays = []
    for lanes, rows in ARRAYS:
        params = _params(lanes, rows)
        arrays.append({"lanes": lanes, "rows": rows, "codec": params.as_json(), "points": _measured(params, cache)})
        print(f"{lanes} × {rows}: {len(arrays[-1]['points'])} cases", flush=True)
    write_json(
        RESULTS, {"command": "python benchmarks/throughput.py", "site": [SIDE, SIDE, CHANNELS], "arrays": arrays}
    )


if __name__ == "__main__":
    main()
