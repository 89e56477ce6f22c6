"""The controller against DRAMsim3 on its whole request traces, to the cycle but for how it ends (docs/traffic.md).

The figures are in benchmarks/results/dram_reference.json; the traces are data, so that this is skipped without them.
"""

import csv
from pathlib import Path

import pytest

from actcodec.data import data_root
from actcodec.errors import ActcodecError
from actcodec_sim.dram import load_device, read_trace, simulate, single_phase
from actcodec_sim.dram.audit import violations


def reference_folder() -> Path | None:
    """The traces in the data folder; None where there is no data."""
    try:
        folder = data_root() / "dram_reference"
    except ActcodecError:
        return None
    return folder if (folder / "reference.csv").is_file() else None


FOLDER = reference_folder()
ROWS = list(csv.DictReader((FOLDER / "reference.csv").open())) if FOLDER else []
CYCLES, ENERGY, LATENCY = 0.003, 0.003, 0.001
"""Largest relative errors. The reference's last request may be its second copy of the trace's last line, so that it
ends up to one random access early."""
ACTIVATES, ROW_HITS, COUNT = 0.003, 0.001, 4
"""Largest relative errors of the counts, or the count by which any of them may differ."""
AUDITED = 1500
"""Requests of each trace whose commands are checked one by one."""


@pytest.mark.skipif(not ROWS, reason="needs dram_reference/ in the data folder")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["trace"].removesuffix(".trace.gz"))
def test_figures_agree_with_the_reference(row):
    device = load_device(row["config"])
    requests = read_trace(FOLDER / row["trace"], device)
    result = simulate(device, requests, posted_writes=True)
    assert result.cycles == pytest.approx(int(row["cycles_to_last_done"]), rel=CYCLES)
    # The reference's energies are mW · cycles.
    assert result.energy.total == pytest.approx(float(row["total_energy_pJ"]), rel=ENERGY)
    hits = int(row["read_row_hits"]) + int(row["write_row_hits"])
    assert result.row_hits == pytest.approx(hits, rel=ROW_HITS, abs=COUNT)
    assert result.activates == pytest.approx(int(row["activates"]), rel=ACTIVATES, abs=COUNT)
    assert result.precharges == pytest.approx(int(row["precharges"]), rel=ACTIVATES, abs=COUNT)
    assert result.refreshes == int(row["refreshes"])
    if result.reads:
        assert result.average_read_latency == pytest.approx(float(row["avg_read_latency_cycles"]), rel=LATENCY)

    first = single_phase(requests.address[:AUDITED], requests.is_write[:AUDITED], requests.earliest[:AUDITED])
    log = simulate(device, first, record_commands=True).commands
    assert log is not None
    assert violations(device, log) == []
