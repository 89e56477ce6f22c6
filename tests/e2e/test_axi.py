"""Real sites of the embedded network, tables as `actcodec export` froze them, through the AXI shell."""

from __future__ import annotations

from pathlib import Path

from actcodec.activations import stored_activations
from actcodec.data import load_dataset
from actcodec.networks import load_network
from actcodec.tables import load_tables
from actcodec_sim.axi.run import simulate_axi
from support.cosim import CACHE


def test_sites_of_the_embedded_network_come_through_the_shell_word_for_word(mnist_tables: Path, tmp_path: Path) -> None:
    tables = load_tables(mnist_tables)
    network = load_network(tables.provenance.network)
    images = load_dataset(network.dataset, "test").images[3:4]
    activations = {name: x[0] for name, x in stored_activations(network, tables, images).items()}
    values = [site.info.values for site in tables.sites]
    # The two smallest: Icarus needs no build, and is slow.
    sites = sorted(range(len(values)), key=lambda number: values[number])[:2]
    simulate_axi(tables, activations, "icarus", CACHE, tmp_path / "job", sites=sites, tests=r"\.frames$", seed=1)
