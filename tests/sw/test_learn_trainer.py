"""The trainer: what it changes, when it stops, and that a run killed anywhere ends in the same bytes."""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from actcodec.errors import ActcodecError
from actcodec.learn import LearnRecipe, Plan, plan_sha256
from actcodec.learn import checkpoint as checkpoints
from actcodec.learn.tuning import trainer
from actcodec.learn.tuning.compressed import CompressedNetwork, selection_divergence
from actcodec.networks import SitedNetwork, sited_network
from actcodec.networks.registry import network_with
from support.learning import QUICK, network, quick_plan, split

TRAINED = {"epochs": 3, "weights": True, "rate": 2e-3, "weight_rate": 2e-3}


def divergence(plan: Plan, sited: SitedNetwork | None = None) -> float:
    images = split().selection.images[:48]
    student = sited or sited_network(network())
    compressed = CompressedNetwork.of_plan(student, plan.sites)
    return selection_divergence(compressed, sited_network(network()), network(), images, False)


@pytest.fixture(scope="module")
def start() -> Plan:
    return quick_plan(1.6)


@pytest.fixture(scope="module")
def whole() -> Plan:
    return quick_plan(1.6, **TRAINED)


def test_training_lowers_the_divergence_and_leaves_the_geometry(start: Plan, whole: Plan) -> None:
    assert [site.info for site in whole.sites] == [site.info for site in start.sites]
    assert whole.weights is not None and whole.provenance.weights_trained
    tuned = network_with(network(), whole.weights)
    assert tuned.checkpoint_sha256 == whole.provenance.checkpoint_sha256
    after = divergence(whole, sited_network(tuned))
    frozen = quick_plan(1.6, epochs=2, rate=2e-3)
    assert frozen.weights is None and frozen.provenance.checkpoint_sha256 == network().checkpoint_sha256
    assert after < divergence(start)
    assert divergence(frozen) < divergence(start)


def test_the_loss_terms_do_something(tmp_path: Path) -> None:
    terms: list[dict[str, Any]] = [
        {},
        {"cross_entropy": 1.0},
        {"reconstruction": 1.0},
        {"mixup": 1.0},
        {"temperature": 4.0},
        {"distillation": 0.0, "cross_entropy": 1.0},
    ]
    ends = set()
    for number, term in enumerate(terms):
        quick_plan(1.6, epochs=1, images=32, rate=5e-3, **term, state=tmp_path / f"{number}.resume")
        ends.add((tmp_path / f"{number}.csv").read_text().splitlines()[-1])
    assert len(ends) == len(terms)
    with pytest.raises(ValueError, match="nothing to minimise"):
        LearnRecipe(epochs=1, distillation=0)


def test_a_run_stops_when_nothing_gets_better(tmp_path: Path) -> None:
    # A rate this large destroys: the plan that came in stays the best one.
    quick_plan(3.0, epochs=6, patience=2, rate=3.0, state=tmp_path / "plan.resume")
    with (tmp_path / "plan.csv").open() as log:
        rows = list(csv.DictReader(log))
    assert [int(row["epoch"]) for row in rows] == [0, 1, 2]
    assert float(rows[0]["divergence"]) < float(rows[1]["divergence"])


def test_the_last_epoch_counts_where_the_recipe_says_so(start: Plan) -> None:
    destroying = {"epochs": 1, "rate": 3.0}
    assert divergence(quick_plan(1.6, **destroying)) == divergence(start)
    assert divergence(quick_plan(1.6, **destroying, keep="last")) > divergence(start)
    with pytest.raises(ValueError, match="patience = 2"):
        LearnRecipe(epochs=4, patience=2, keep="last")


@pytest.mark.parametrize("kill_at", ["epoch 1", "epoch 2", "writing 2"])
def test_a_killed_run_ends_in_the_same_bytes(
    kill_at: str, whole: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "plan.resume"
    moment, number = kill_at.split()
    epoch, written = trainer._Run.epoch, 0

    def stop_in_epoch(self: Any, index: int, progress: bool) -> float:
        if moment == "epoch" and index == int(number):
            raise KeyboardInterrupt
        return epoch(self, index, progress)

    def stop_while_writing(target: Path, content: bytes) -> None:
        nonlocal written
        written += 1
        if moment == "writing" and written == int(number):
            # Half a file under a temporary name is what a kill leaves behind.
            target.with_name(f".{target.name}.left").write_bytes(content[: len(content) // 2])
            raise KeyboardInterrupt
        target.write_bytes(content)

    with monkeypatch.context() as patched:
        patched.setattr(trainer._Run, "epoch", stop_in_epoch)
        patched.setattr(checkpoints, "write_bytes", stop_while_writing)
        with pytest.raises(KeyboardInterrupt):
            quick_plan(1.6, **TRAINED, state=state)
    assert state.exists()
    again = quick_plan(1.6, **TRAINED, state=state)
    assert plan_sha256(again) == plan_sha256(whole)
    assert again.weights == whole.weights


RUN = """
import sys
from pathlib import Path
from support.learning import quick_plan
from actcodec.learn import plan_sha256
print(plan_sha256(quick_plan(1.6, epochs=3, weights=True, rate=2e-3, weight_rate=2e-3, state=Path(sys.argv[1]))))
"""


def test_a_process_killed_at_random_moments_ends_in_the_same_bytes(whole: Plan, tmp_path: Path) -> None:
    state = tmp_path / "plan.resume"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", RUN, str(state)]
    moments = random.Random(7)
    for _ in range(2):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        # Once this process has written a checkpoint, any moment of the next epoch and what follows.
        known = state.stat().st_mtime_ns if state.exists() else None
        for _ in range(600):
            written = state.exists() and state.stat().st_mtime_ns != known
            if written or process.poll() is not None:
                break
            time.sleep(0.05)
        time.sleep(moments.uniform(0, 0.6))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert state.exists()
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=300)
    assert finished.stdout.strip() == plan_sha256(whole)


def test_a_state_of_another_run_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "plan.resume"
    quick_plan(3.0, epochs=1, state=state)
    with pytest.raises(ActcodecError, match=r"plan\.resume: recipe\.\w+ is .* this run has"):
        quick_plan(3.0, epochs=2, state=state)
    state.write_bytes(b"no checkpoint")
    with pytest.raises(ActcodecError, match=r"plan\.resume: cannot be read as a checkpoint"):
        quick_plan(3.0, epochs=1, state=state)


def test_cuda_is_refused_where_there_is_none() -> None:
    if torch.cuda.is_available():
        assert trainer.device_of(QUICK.model_copy(update={"device": "cuda"})).type == "cuda"
    else:
        with pytest.raises(ActcodecError, match="device = 'cuda'"):
            trainer.device_of(QUICK.model_copy(update={"device": "cuda"}))
    assert trainer.device_of(QUICK).type == "cpu"


def test_bfloat16_trains_too(tmp_path: Path) -> None:
    """The epoch itself is looked at: a plan that got worse would not show, since the best epoch is kept."""
    ends = []
    for precision in ("float32", "bfloat16"):
        quick_plan(1.6, epochs=1, rate=1e-3, precision=precision, state=tmp_path / f"{precision}.resume")
        ends.append(float((tmp_path / f"{precision}.csv").read_text().splitlines()[-1].split(",")[2]))
    plain, reduced = ends
    assert plain != reduced
    assert reduced == pytest.approx(plain, rel=0.3)
