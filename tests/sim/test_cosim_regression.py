"""Regressions of co-simulations: a task a site and simulator, kept by what entered it, here and on a cluster."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actcodec.errors import ActcodecError
from actcodec.golden import Input
from actcodec.params import load_params
from actcodec.tables import Tables
from actcodec.tables.synthetic import synthetic_tables
from actcodec_sim.cosim import CosimResult, cosimulate
from actcodec_sim.cosim.regression import Stimulus, cosimulate_sites
from support.cluster import running_cluster
from support.cosim import CACHE, random_activations

SITES = ("synthetic0", "synthetic3", "synthetic4")
STIMULUS = Stimulus(load_params("tiny"), seed=3, stall=0.4)
Regression = tuple[Tables, dict[str, Input]]


@pytest.fixture(scope="module")
def regression() -> Regression:
    tables = synthetic_tables(11, load_params("tiny"))
    return tables, random_activations(tables, 12)


def run(regression: Regression, out: Path, stimulus: Stimulus = STIMULUS, **options: Any) -> CosimResult:
    given = {"only": SITES, **options}
    [result] = cosimulate_sites(*regression, ["icarus"], CACHE, out, stimulus, **given)
    return result


def kept(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("kept-*.json")}


@pytest.fixture(scope="module")
def local(regression: Regression, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CosimResult]:
    out = tmp_path_factory.mktemp("local")
    return out, run(regression, out)


def test_sites_alone_measure_what_they_do_in_a_row(
    regression: Regression, local: tuple[Path, CosimResult], tmp_path: Path
) -> None:
    tables, activations = regression
    whole = cosimulate(tables, activations, "icarus", CACHE, tmp_path / "job", seed=3, stall=0.4, only=SITES)
    assert local[1].sites == whole.sites and local[1].tables_digest == whole.tables_digest and local[1].agrees
    folders = sorted(path.name for path in (local[0] / "icarus-sites").iterdir())
    assert folders == ["000-synthetic0", "003-synthetic3", "004-synthetic4"]
    assert {path.name for path in (local[0] / "icarus-sites" / folders[0]).iterdir()} >= {
        "simulation.log",
        "coverage.json",
    }


def test_what_entered_decides_what_is_run(
    regression: Regression, local: tuple[Path, CosimResult], tmp_path: Path
) -> None:
    tables, activations = regression
    names = SITES[:2]
    notes: list[str] = []
    first = run(regression, tmp_path, only=names, note=notes.append)
    assert first.sites == local[1].sites[:2]
    assert notes == [f"icarus {name}: agrees" for name in names]
    before = kept(tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("simulation.log")}
    assert run(regression, tmp_path, only=names).sites == first.sites
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("simulation.log")} == times
    # Another input is another run, of that site alone; its folder keeps the last one.
    other = {**activations, names[1]: activations[names[1]] ^ np.uint8(1)}
    run((tables, other), tmp_path, only=names)
    changed = {path.parent.name for path in times if path.stat().st_mtime_ns != times[path]}
    assert changed == {"003-synthetic3"}
    after = kept(tmp_path)
    assert len(after) == len(before) == 2 and len(after.keys() & before.keys()) == 1
    run((tables, other), tmp_path, replace(STIMULUS, seed=4), only=names[:1])
    assert not kept(tmp_path).keys() & before.keys()


def test_unknown_sites_and_missing_activations_are_named(regression: Regression, tmp_path: Path) -> None:
    with pytest.raises(ActcodecError, match="'none' is none of the sites synthetic0, "):
        run(regression, tmp_path, only=["none"])
    with pytest.raises(ActcodecError, match="no activations for site 'synthetic0'"):
        run((regression[0], {}), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_cluster_that_loses_a_worker_gives_the_same_bytes(
    regression: Regression, local: tuple[Path, CosimResult], tmp_path: Path
) -> None:
    with running_cluster(tmp_path / "cluster", ("--no-nanny",), ("--no-nanny",)) as cluster:
        finished: list[str] = []

        def kill(line: str) -> None:
            finished.append(line)
            if len([each for each in finished if "agrees" in each]) == 1:
                os.kill(cluster.workers[0].pid, signal.SIGKILL)

        out = tmp_path / "out"
        result = run(regression, out, scheduler=cluster.address, note=kill)
        assert cluster.workers[0].wait(10) == -signal.SIGKILL and cluster.workers[1].poll() is None
    assert result.sites == local[1].sites and result.stalled_cycles == local[1].stalled_cycles
    assert kept(out) == kept(local[0])
    assert sum("agrees" in line for line in finished) == len(SITES)


def test_a_result_is_plain_json(local: tuple[Path, CosimResult]) -> None:
    content = json.loads(json.dumps(local[1].as_json()))
    assert content["agrees"] and content["stalled_cycles"] > 0 and content["simulator"] == "icarus"
