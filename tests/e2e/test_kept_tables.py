"""The tables that results quote: whole, named by their digest, and as accurate as said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from actcodec.activations import network_of_tables, site_taps
from actcodec.data import data_root, load_dataset
from actcodec.errors import ActcodecError
from actcodec.evaluate import evaluate
from actcodec.files import WEIGHTS, read_weights
from actcodec.networks import load_network
from actcodec.tables import digest_of, load_tables

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
KEPT = {entry["tables"]: entry for entry in json.loads((RESULTS / "headline.json").read_text())["tables"]}
IMAGES = 200


def test_every_kept_table_has_its_result() -> None:
    assert set(KEPT) == {folder.name for folder in (RESULTS / "tables").iterdir()}


@pytest.mark.parametrize("name", KEPT)
def test_kept_tables_are_those_that_were_measured(name: str) -> None:
    folder = RESULTS / "tables" / name
    tables = load_tables(folder)
    assert digest_of(tables) == KEPT[name]["digest"]
    assert tables.bpv_stream == KEPT[name]["bits_per_value"]
    assert read_weights(folder, tables.provenance.checkpoint_sha256) is not None
    network = load_network(tables.provenance.network, checkpoint=folder / WEIGHTS)
    assert len(site_taps(tables, network, network_of_tables(network, tables), coded=True)) == len(tables.sites)


@pytest.mark.parametrize("name", KEPT)
def test_they_are_accurate_on_real_images(name: str) -> None:
    """On a few images, so within what these allow: four standard deviations of a share."""
    try:
        test = load_dataset(KEPT[name]["network"].split("-")[0], "test", data_root()).head(IMAGES)
    except ActcodecError as error:
        pytest.skip(f"no data: {error}")
    folder = RESULTS / "tables" / name
    tables = load_tables(folder)
    network = load_network(tables.provenance.network, checkpoint=folder / WEIGHTS)
    accuracy = evaluate(network, test, "golden", tables=tables, progress=False).accuracy
    expected = KEPT[name]["accuracy_golden"]
    assert abs(accuracy - expected) < 4 * (expected * (1 - expected) / IMAGES) ** 0.5
