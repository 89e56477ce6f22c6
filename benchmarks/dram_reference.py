"""Compare the DRAM controller with a reference simulator on its request traces.

    python benchmarks/dram_reference.py [--output FILE]

Reads ``dram_reference/reference.csv`` and the traces beside it, prints our cycles / reference cycles for every trace
and writes all figures as JSON. Nothing passes or fails here; tests/sim/test_dram_reference.py holds the tolerances.

Cycles go to the moment at which the last request is done: a read after its last data, a write when it is taken in, as
in the reference; counts and energy go there, too (``posted_writes``). The reference offers the last line of its trace
twice and may end with the copy, one request early.

Energies are by the reference's count, which leaves tCK out (``cycle_ns`` of the two devices).
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path
from typing import Any

from actcodec.data import data_root
from actcodec.errors import ActcodecError
from actcodec.files import write_json
from actcodec_sim.dram import DramDevice, Requests, load_device, read_trace, simulate
from actcodec_sim.dram.audit import violations

_HERE = Path(__file__).parent
REFERENCE = "DRAMsim3, commit 2981759"


def compare(device: DramDevice, requests: Requests, reference: dict[str, str]) -> dict[str, Any]:
    """Our figures for one trace beside the reference's, and the number of timing rules our commands broke."""
    result = simulate(device, requests, posted_writes=True, record_commands=True)
    assert result.commands is not None
    seconds = min(_seconds(device, requests) for _ in range(5))
    reference_latency = float(reference["avg_read_latency_cycles"]) if int(reference["reads"]) else 0.0
    reference_cycles = int(reference["cycles_to_last_done"])
    reference_energy = float(reference["total_energy_pJ"])
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
        "precharges": result.precharges,
        "reference_precharges": int(reference["precharges"]),
        "refreshes": result.refreshes,
        "reference_refreshes": int(reference["refreshes"]),
        "read_latency": round(result.average_read_latency, 3),
        "reference_read_latency": round(reference_latency, 3),
        "energy_pj": round(result.energy.total),
        "reference_energy_pj": round(reference_energy),
        "energy_ratio": round(result.energy.total / reference_energy, 4),
        "timing_violations": len(violations(device, result.commands)),
        "requests_per_second": round(len(requests) / seconds, -3),
    }


def _seconds(device: DramDevice, requests: Requests) -> float:
    started = time.process_time()
    simulate(device, requests, posted_writes=True)
    return time.process_time() - started


def main() -> None:
    """Compare every trace and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=_HERE / "results" / "dram_reference.json")
    arguments = parser.parse_args()
    try:
        folder = data_root() / "dram_reference"
        rows = list(csv.DictReader((folder / "reference.csv").read_text().splitlines()))
        figures = []
        started = time.perf_counter()
        for row in rows:
            device = load_device(row["config"])
            figure = compare(device, read_trace(folder / row["trace"], device), row)
            figures.append(figure)
            print(
                f"{figure['config']:20} {figure['pattern']:20} {figure['cycles']:8d} / "
                f"{figure['reference_cycles']:8d} = {figure['cycle_ratio']:.3f}   "
                f"energy {figure['energy_ratio']:.3f}   "
                f"latency {figure['read_latency']:8.3f} / {figure['reference_read_latency']:8.3f}   "
                f"hits {figure['row_hits']:5d} / {figure['reference_row_hits']:5d}   "
                f"activates {figure['activates']:4d} / {figure['reference_activates']:4d}   "
                f"{figure['requests_per_second'] / 1000:5.0f} k requests/s"
            )
        print(f"{len(figures)} traces in {time.perf_counter() - started:.1f} s")
        write_json(arguments.output, {"reference": REFERENCE, "traces": figures})
    except (OSError, ActcodecError) as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
