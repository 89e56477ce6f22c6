"""Compare the DRAM controller with a reference simulator on its request traces.

    ACTCODEC_DATA=<data folder> python benchmarks/dram_reference.py [--output FILE]

Reads ``dram_reference/reference.csv`` and the traces beside it, prints our cycles / reference cycles for every trace
and writes all figures as JSON. Nothing passes or fails here. The reference schedules out of order (FR-FCFS with
queues per bank); this controller sends columns in request order, so it is slower wherever reordering pays.

The reference's energies lack the factor tCK (they are mW · cycles); they are multiplied by it here.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from actcodec.errors import ActcodecError
from actcodec.files import write_json
from actcodec_sim.dram import DramDevice, Requests, load_device, simulate, single_phase
from actcodec_sim.dram.audit import violations

_HERE = Path(__file__).parent
_DEVICES: dict[str, str | Path] = {
    "DDR4_8Gb_x8_2400": "DDR4-2400",
    "LPDDR4_8Gb_x16_2400": _HERE / "dram_reference_lpddr4.toml",
}
REFERENCE = "DRAMsim3, commit 2981759"


def read_trace(path: Path) -> Requests:
    """Requests of a trace: one a line, ``0xADDRESS READ|WRITE CYCLE``."""
    lines = [line.split() for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
    return single_phase(
        np.array([int(address, 16) for address, _, _ in lines], np.int64),
        np.array([kind == "WRITE" for _, kind, _ in lines], np.bool_),
        np.array([int(cycle) for _, _, cycle in lines], np.int64),
    )


def compare(device: DramDevice, requests: Requests, reference: dict[str, str]) -> dict[str, Any]:
    """Our figures for one trace beside the reference's, and the number of timing rules our commands broke."""
    result = simulate(device, requests, record_commands=True)
    assert result.commands is not None
    reference_cycles = int(reference["cycles_to_last_done"])
    reference_energy = float(reference["total_energy_pJ"]) * device.timing.tCK
    return {
        "config": reference["config"],
        "pattern": reference["pattern"],
        "requests": len(requests),
        "cycles": result.cycles,
        "reference_cycles": reference_cycles,
        "cycle_ratio": round(result.cycles / reference_cycles, 4),
        "row_hits": result.row_hits,
        "reference_row_hits": int(reference["read_row_hits"]) + int(reference["write_row_hits"]),
        "activates": result.activates,
        "reference_activates": int(reference["activates"]),
        "refreshes": result.refreshes,
        "reference_refreshes": int(reference["refreshes"]),
        "energy_pj": round(result.energy.total),
        "reference_energy_pj": round(reference_energy),
        "energy_ratio": round(result.energy.total / reference_energy, 4),
        "timing_violations": len(violations(device, result.commands)),
    }


def main() -> None:
    """Compare every trace and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=_HERE / "results" / "dram_reference.json")
    arguments = parser.parse_args()
    if "ACTCODEC_DATA" not in os.environ:
        raise SystemExit("error: ACTCODEC_DATA is not set: the folder that holds dram_reference/")
    folder = Path(os.environ["ACTCODEC_DATA"]) / "dram_reference"
    try:
        rows = list(csv.DictReader((folder / "reference.csv").read_text().splitlines()))
        figures = []
        started = time.perf_counter()
        for row in rows:
            figure = compare(load_device(_DEVICES[row["config"]]), read_trace(folder / row["trace"]), row)
            figures.append(figure)
            print(
                f"{figure['config']:20} {figure['pattern']:20} {figure['cycles']:8d} / "
                f"{figure['reference_cycles']:8d} = {figure['cycle_ratio']:.3f}   energy {figure['energy_ratio']:.3f}"
            )
        print(f"{len(figures)} traces in {time.perf_counter() - started:.1f} s")
        write_json(arguments.output, {"reference": REFERENCE, "traces": figures})
    except (OSError, ActcodecError) as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
