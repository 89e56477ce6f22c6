"""The controller against DRAMsim3 on its whole request traces; the tolerances are those measured, rounded up.

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
CYCLES = {
    ("DDR4_8Gb_x8_2400", "interleaved_streams"): 0.02,
    ("DDR4_8Gb_x8_2400", "random_read"): 0.05,
    ("DDR4_8Gb_x8_2400", "random_mixed"): 0.04,
    ("LPDDR4_8Gb_x16_2400", "interleaved_streams"): 0.02,
    ("LPDDR4_8Gb_x16_2400", "tile_read"): 0.04,
}
"""Largest relative error of the cycles; 1 % on the other traces."""
ENERGY, ROW_HITS, LATENCY = 0.03, 0.04, 0.07
AUDITED = 1500
"""Requests of each trace whose commands are checked one by one."""


@pytest.mark.skipif(not ROWS, reason="needs dram_reference/ in the data folder")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["trace"].removesuffix(".trace.gz"))
def test_figures_agree_with_the_reference(row):
    device = load_device(row["config"])
    requests = read_trace(FOLDER / row["trace"], device)
    result = simulate(device, requests)
    cycles = CYCLES.get((row["config"], row["pattern"]), 0.01)
    assert result.cycles == pytest.approx(int(row["cycles_to_last_done"]), rel=cycles)
    # The reference's energies are mW · cycles.
    assert result.energy.total == pytest.approx(float(row["total_energy_pJ"]) * device.timing.tCK, rel=ENERGY)
    hits = int(row["read_row_hits"]) + int(row["write_row_hits"])
    assert result.row_hits == pytest.approx(hits, rel=ROW_HITS, abs=5)
    if result.reads:
        assert result.average_read_latency == pytest.approx(float(row["avg_read_latency_cycles"]), rel=LATENCY)

    first = single_phase(requests.address[:AUDITED], requests.is_write[:AUDITED], requests.earliest[:AUDITED])
    log = simulate(device, first, record_commands=True).commands
    assert log is not None
    assert violations(device, log) == []
