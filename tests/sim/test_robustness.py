"""Mishaps of every kind on the exported Verilog, in both simulators, and proof that the bench can fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from actcodec.params import load_params
from actcodec.tables.synthetic import synthetic_tables
from actcodec_sim.cosim import withstand
from actcodec_sim.cosim.job import JOB_FILE
from actcodec_sim.cosim.mishaps import scenario
from actcodec_sim.cosim.simulators import Simulator
from support.cosim import CACHE

TINY = synthetic_tables(1, load_params("tiny"), side=4)


@pytest.mark.parametrize(("simulator", "phases"), [("icarus", 20), ("verilator", 60)])
def test_whatever_happens_is_flagged_and_what_follows_is_right(
    simulator: Simulator, phases: int, tmp_path: Path
) -> None:
    withstand(TINY, simulator, CACHE, tmp_path / "job", seed=5, phases=phases)
    job = json.loads((tmp_path / "job" / JOB_FILE).read_text())
    assert (
        f"{phases} phases, {sum(phase['cut'] is not None for phase in job['phases'])} resets"
        in (tmp_path / "job" / "simulation.log").read_text()
    )


def test_a_scenario_holds_every_mishap_and_is_the_same_every_time() -> None:
    phases = scenario(TINY, 5, 20)
    assert phases == scenario(TINY, 5, 20) and phases != scenario(TINY, 6, 20)
    for name in ("encoder", "decoder"):
        parts = [getattr(phase, name) for phase in phases]
        for error in parts[0].errors:
            assert sum(part.errors[error] for part in parts) > 2, (name, error)
        assert any(part.tables for part in parts) and any(part.background for part in parts)
    assert 2 < sum(phase.cut is not None for phase in phases) < 12
    assert {phase.stall for phase in phases} == {0.0, 0.3, 0.7}
