"""The AXI shell in both simulators, driven by cocotbext-axi, against the golden model; and the bench can fail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from actcodec.errors import ActcodecError
from actcodec.params import Direction, load_params
from actcodec.tables.descriptors import Tiling
from actcodec.tables.synthetic import synthetic_tables
from actcodec_sim.axi.job import write_job
from actcodec_sim.axi.run import run_job, simulate_axi
from actcodec_sim.cosim.simulators import Simulator
from support.cosim import CACHE, random_activations

TABLES = synthetic_tables(11, load_params("tiny"), side=4)
ACTIVATIONS = random_activations(TABLES, 12)
FOLDED = synthetic_tables(11, TABLES.params.model_copy(update={"transforms": ("folded",)}), side=4)


@pytest.mark.parametrize(
    ("simulator", "sites"),
    # Channels that are no multiple of lanes, block-major, identity; in Verilator every site.
    [("icarus", [2, 3, 4, 7]), ("verilator", None)],
)
def test_the_shell_does_what_registers_and_streams_say(
    simulator: Simulator, sites: list[int] | None, tmp_path: Path
) -> None:
    simulate_axi(
        TABLES, ACTIVATIONS, simulator, CACHE, tmp_path / "job", seed=3, sites=sites, tiling=Tiling(3, 2, halo=1)
    )


@pytest.mark.parametrize("direction", ["encoder", "decoder"])
def test_a_shell_of_one_direction_has_its_streams_and_registers(direction: Direction, tmp_path: Path) -> None:
    build = TABLES.params.model_copy(update={"directions": (direction,)})
    simulate_axi(
        *(TABLES, ACTIVATIONS, "icarus", CACHE, tmp_path / "job"),
        build_params=build,
        seed=5,
        sites=[2, 4],
        tiling=Tiling(3, 2, halo=1),
    )


def test_the_shell_takes_accumulators(tmp_path: Path) -> None:
    activations = random_activations(FOLDED, 12)
    simulate_axi(FOLDED, activations, "icarus", CACHE, tmp_path / "job", seed=4, sites=[3, 4])


@pytest.mark.parametrize(
    ("file", "place", "message"),
    [
        ("site3/stream.npy", (1, 0), r"(en|de)coder, site 3: beat \d: got"),
        ("site3/valid.npy", (1, 1), r"decoder, site 3: beat 1: got .* keep"),
        ("tables.npy", (0, 3), r"AssertionError: assert \(0"),
    ],
)
def test_a_difference_is_found_and_located(file: str, place: tuple[int, int], message: str, tmp_path: Path) -> None:
    write_job(tmp_path, TABLES, ACTIVATIONS, TABLES.params.directions, 0, 0.2, [3], None)
    content = np.load(tmp_path / file)
    content[place] = ~content[place] if content.dtype == np.bool_ else content[place] ^ 8
    np.save(tmp_path / file, content)
    with pytest.raises(ActcodecError, match=message):
        run_job(TABLES.params, "icarus", CACHE, tmp_path, 120, r"\.frames$")


def test_missing_activations_are_named(tmp_path: Path) -> None:
    with pytest.raises(ActcodecError, match="no activations for site 'synthetic3'"):
        simulate_axi(TABLES, {}, "icarus", CACHE, tmp_path / "job", sites=[3])
    assert not (tmp_path / "job").exists()
