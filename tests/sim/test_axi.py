"""The AXI shell in both simulators, driven by cocotbext-axi, against the golden model."""

from __future__ import annotations

from pathlib import Path

import pytest

from actcodec.params import load_params
from actcodec.tables.descriptors import Tiling
from actcodec.tables.synthetic import synthetic_tables
from actcodec_sim.axi import simulate_axi
from actcodec_sim.cosim.simulators import Simulator
from support.cosim import CACHE, random_activations


@pytest.mark.parametrize("simulator", ["icarus", "verilator"])
def test_the_shell_does_what_registers_and_streams_say(simulator: Simulator, tmp_path: Path) -> None:
    tables = synthetic_tables(11, load_params("tiny"), side=4)
    simulate_axi(
        tables, random_activations(tables, 12), simulator, CACHE, tmp_path / "job", seed=3, tiling=Tiling(3, 2, halo=1)
    )
