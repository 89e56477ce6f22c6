"""A folded site of the embedded network from learning to the Verilog, on a real image."""

from __future__ import annotations

from pathlib import Path

from actcodec.activations import load_folded, stored_activations
from actcodec.data import load_dataset
from actcodec.export import beside, export_folded
from actcodec.tables import Tables, load_tables
from actcodec_sim.cosim import cosimulate
from support.cosim import CACHE
from support.learning import network, quick_plan


def test_the_sums_of_a_composed_convolution_go_through_the_rtl(tmp_path: Path) -> None:
    plan = quick_plan(3.0, folded=True, calibration_images=16, positions=256, selection_images=8)
    out = tmp_path / "tables"
    export_folded(plan, network(), out)
    tables, folded = load_tables(out), load_folded(beside(out))
    stored = stored_activations(network(), tables, load_dataset("mnist", "test").images[7:8], folded)
    site = min(folded.tables.sites, key=lambda site: site.info.height * site.info.width)
    alone = Tables(folded.tables.params, (site,), folded.tables.provenance)
    sums = {site.info.name: stored[site.info.name][0]}
    result = cosimulate(alone, sums, "icarus", CACHE, tmp_path / "job", seed=1, stall=0.4)
    assert result.agrees and [found.name for found in result.sites] == [site.info.name]
