"""Close the functional coverage of the co-simulations: docs/coverage.md.

    python benchmarks/functional_coverage.py [--cache build/cache] [--out benchmarks/results/coverage.json]

co-simulates tables that were drawn for what they cover (`actcodec_sim.cosim.covering`), under stalls on every port, on
the inputs only and on the outputs only, each run with a pass without stalls; in Verilator, and on a small array in
Icarus. Writes the merged coverage.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from actcodec.files import write_json
from actcodec.params import load_params
from actcodec_sim.cosim import cosimulate
from actcodec_sim.cosim.coverage import merge_files
from actcodec_sim.cosim.covering import covering_tables
from actcodec_sim.cosim.simulators import Simulator

RESULTS = Path(__file__).parent / "results" / "coverage.json"
STALLS = ((0.3, 0.3), (0.4, 0.0), (0.0, 0.4), (0.6, 0.6), (0.7, 0.0), (0.85, 0.85))
"""Probabilities of a stall of inputs and outputs; the last three for frames of a few words."""
RUNS: tuple[tuple[str, int, Simulator, int], ...] = (("default", 5, "verilator", 6), ("tiny", 1, "icarus", 3))
"""Configuration, seed of its tables (for the first the search left nothing out), simulator, how many of ``STALLS``."""


def main() -> None:
    """Run and merge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=Path("build/cache"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="actcodec-coverage-") as scratch:
        for codec, seed, simulator, count in RUNS:
            tables = covering_tables(load_params(codec), seed)
            rng = np.random.default_rng(1)
            infos = [site.info for site in tables.sites]
            x = {i.name: rng.integers(0, 256, (i.height, i.width, i.channels), dtype=np.uint8) for i in infos}
            for number, (inputs, outputs) in enumerate(STALLS[:count]):
                job = Path(scratch) / f"{codec}-{number}"
                result = cosimulate(
                    tables, x, simulator, arguments.cache, job, seed=number, stall=inputs, output_stall=outputs
                )
                if not result.agrees:
                    raise SystemExit(f"error: {codec}, stalls {inputs} and {outputs}: not as the golden model")
                print(f"{codec}, stalls {inputs} and {outputs}: {len(infos)} sites agree", flush=True)
        merged = merge_files([Path(scratch)])
    write_json(arguments.out, {"command": "python benchmarks/functional_coverage.py", **merged.as_json()})
    print(f"{arguments.out}: {len(merged.holes())} holes")


if __name__ == "__main__":
    main()
