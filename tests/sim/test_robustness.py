"""Mishaps of every kind on the exported Verilog, in both simulators, and proof that the bench can fail."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from actcodec.errors import ActcodecError
from actcodec.params import load_params
from actcodec.tables import Tables
from actcodec.tables.synthetic import synthetic_tables
from actcodec_sim.cosim import withstand
from actcodec_sim.cosim.job import JOB_FILE
from actcodec_sim.cosim.mishaps import Part, Phase, scenario
from actcodec_sim.cosim.simulators import Simulator
from support.cosim import CACHE

TINY = synthetic_tables(1, load_params("tiny"), side=4)
HALF_DUPLEX = synthetic_tables(1, TINY.params.model_copy(update={"shared_array": True}), side=4)


FOLDED = synthetic_tables(1, TINY.params.model_copy(update={"transforms": ("folded",)}), side=4)


@pytest.mark.parametrize(
    ("tables", "simulator", "phases"),
    [(TINY, "icarus", 10), (HALF_DUPLEX, "icarus", 10), (FOLDED, "icarus", 10), (TINY, "verilator", 60)],
    ids=["icarus", "half-duplex-icarus", "folded-icarus", "verilator"],
)
def test_whatever_happens_is_flagged_and_what_follows_is_right(
    tables: Tables, simulator: Simulator, phases: int, tmp_path: Path
) -> None:
    withstand(tables, simulator, CACHE, tmp_path / "job", seed=5, phases=phases)
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
            happens = (name, error) != ("decoder", "keep")
            assert (sum(part.errors[error] for part in parts) > 2) == happens, (name, error)
        assert any(part.tables for part in parts) and any(part.background for part in parts)
    assert 2 < sum(phase.cut is not None for phase in phases) < 12
    assert {phase.stall for phase in phases} == {0.0, 0.3, 0.7}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("flag", r"decoder, phase 1: \{.*\}, expected \{.*\}"),
        ("output", r"encoder, phase 0, output 0: got 0x\w+, expected 0x\w+"),
        ("frame", r"phase 0 does not end"),
    ],
)
def test_the_bench_notices(change: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    phases = [phase for phase in scenario(TINY, 8, 12, resets=0.0) if phase.encoder.outputs and phase.encoder.tables]
    phases = [replace(phase, decoder=Part()) for phase in phases[:1]] + [Phase(Part(), Part(), 0.0, None)]
    if change == "flag":
        phases[1].decoder.errors["late_last"] += 1
    elif change == "output":
        phases[0].encoder.outputs[0] ^= 1
    else:
        phases[0].encoder.inputs.pop()
    monkeypatch.setattr("actcodec_sim.cosim.run.scenario", lambda *_: phases)
    with pytest.raises(ActcodecError, match=f"co-simulation failed: .*{complaint}"):
        withstand(TINY, "icarus", CACHE, tmp_path / "job", seed=8, phases=2)
