"""Learning in two processes of a real torchrun: the numbers of one, one set of files, no process left behind."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from actcodec.cli import app
from actcodec.data.augment import augmentation
from actcodec.errors import ActcodecError
from actcodec.learn import load_plan, plan_sha256
from actcodec.learn.distributed import ALONE, World, joined, synchronise_batchnorm, world_size
from support.learning import quick_plan
from support.together import everything

TESTS = Path(__file__).parents[1]
# Codes are rounded: once one of them falls on the other side of ½, runs go apart by what one code is worth.
LOSS, LATE_LOSS, NUMBERS = 1e-5, 2e-2, 1e-2


def torchrun(*command: object) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [*launcher, *map(str, command)], env=environment, capture_output=True, text=True, timeout=500, check=False
    )


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    run = torchrun("-m", "support.together", folder)
    assert run.returncode == 0, run.stderr[-4000:]
    return folder


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one")
    everything(folder, ALONE)
    return folder


def curve(log: Path) -> list[tuple[float, float]]:
    with log.open() as lines:
        return [(float(row["loss"] or 0), float(row["divergence"])) for row in csv.DictReader(lines)]


def apart(first: Path, second: Path) -> dict[str, float]:
    """By how much every tensor of the second file differs from that of the first, relative to its norm."""
    a, b = load_file(first), load_file(second)
    assert a.keys() == b.keys()
    return {
        name: float((a[name].double() - b[name].double()).norm() / a[name].double().norm().clamp_min(1e-9))
        for name in a
    }


def test_tuning_gives_the_losses_and_parameters_of_one_process(one: Path, two: Path) -> None:
    together, alone = curve(two / "tuned.csv"), curve(one / "tuned.csv")
    assert len(together) == 7
    np.testing.assert_allclose(together[:4], alone[:4], rtol=LOSS)
    np.testing.assert_allclose(together, alone, rtol=LATE_LOSS)
    assert max(apart(one / "tuned.0.safetensors", two / "tuned.0.safetensors").values()) < NUMBERS
    weights = [folder / "tuned" / "weights.safetensors" for folder in (one, two)]
    assert max(apart(*weights).values()) < NUMBERS


def test_search_gives_the_widths_of_one_process(one: Path, two: Path) -> None:
    together, alone = curve(two / "searched.search.csv"), curve(one / "searched.search.csv")
    np.testing.assert_allclose(together[:2], alone[:2], rtol=LOSS)
    np.testing.assert_allclose(together, alone, rtol=LATE_LOSS)
    logs = [json.loads((folder / "searched.json").read_text())["trajectory"] for folder in (one, two)]
    for mine, its in zip(*logs, strict=True):
        assert mine["bits"] == pytest.approx(its["bits"], abs=1e-4)
        for widths, others in zip(mine["widths"], its["widths"], strict=True):
            assert widths == pytest.approx(others, abs=0.02)
    widths = apart(one / "searched.0.safetensors", two / "searched.0.safetensors")
    assert {name for name, value in widths.items() if name.endswith("width") and value} == set()


def test_training_from_scratch_gives_the_numbers_of_one_process(one: Path, two: Path) -> None:
    assert max(apart(one / "trained.0.safetensors", two / "trained.0.safetensors").values()) < 1e-9


def test_all_processes_end_with_the_same_bytes(two: Path) -> None:
    for name in ("tuned", "searched", "trained"):
        assert (two / f"{name}.0.safetensors").read_bytes() == (two / f"{name}.1.safetensors").read_bytes()


def test_a_killed_run_ends_in_the_same_bytes(two: Path) -> None:
    whole = plan_sha256(load_plan(two / "tuned"))
    assert [(two / f"killed.{rank}.txt").read_text() for rank in (0, 1)] == [whole, whole]


def test_a_process_that_fails_ends_the_others(tmp_path: Path) -> None:
    run = torchrun("-m", "support.together", tmp_path, "fail")
    assert run.returncode != 0
    assert "the second process fails" in run.stderr


def test_the_command_line_writes_and_prints_once(tmp_path: Path) -> None:
    recipe = tmp_path / "short.toml"
    recipe.write_text(
        "calibration_images = 32\npositions = 512\nselection_images = 16\ntransform = 'pca'\n"
        "epochs = 1\nimages = 20\nbatch = 10\n"
    )
    out = tmp_path / "run" / "plan"
    run = torchrun("-m", "actcodec", "learn", "--recipe", recipe, "--target-bits", 2, "--out", out, "--json")
    assert run.returncode == 0, run.stderr[-4000:]
    assert json.loads(run.stdout)["sha256"] == plan_sha256(load_plan(out))
    assert sorted(path.name for path in out.parent.iterdir()) == ["plan", "plan.csv"]


def test_parts_are_the_whole_batch_in_order() -> None:
    for size in (1, 2, 3, 7):
        worlds = [World(rank, size) for rank in range(size)]
        for count in (7, 8, 37):
            assert np.concatenate([np.arange(count)[w.part(count)] for w in worlds]).tolist() == list(range(count))
            assert sum(w.share(count) for w in worlds) == pytest.approx(1)
    assert World().part(9) == slice(0, 9) and World().share(9) == 1


def test_a_part_of_a_batch_is_augmented_as_the_whole_one_is() -> None:
    images = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3), np.uint8)
    recipe = augmentation("cifar10")
    whole = recipe.apply(images, np.random.default_rng(5))
    drawn = recipe.draw(9, np.random.default_rng(5))
    for rank in range(2):
        own = np.arange(9)[World(rank, 2).part(9)]
        assert np.array_equal(recipe.apply_drawn(images[own], drawn.of(own)), whole[own])


def test_one_process_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setenv("WORLD_SIZE", "4")
    with joined() as world:
        assert world is ALONE
    norm = torch.nn.BatchNorm2d(2)
    synchronise_batchnorm(norm, ALONE)
    assert type(norm) is torch.nn.BatchNorm2d


def test_what_cannot_be_shared_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ActcodecError, match="method 'waterfill' has no epochs for 2 processes"):
        quick_plan(2.0, world=World(0, 2))
    with pytest.raises(ActcodecError, match="65 images in batches of 32: one has 1, fewer than 2 processes"):
        World(0, 2).check_batches(65, 32)
    World(0, 2).check_batches(66, 32)
    with pytest.raises(ActcodecError, match="one has 3, fewer than 4 processes"):
        World(0, 4).check_batches(3, 32)
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "many")
    with pytest.raises(ActcodecError, match="WORLD_SIZE: is 'many'"):
        world_size()


def test_verbs_of_one_process_are_refused_under_torchrun(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ActcodecError, match="torchrun: density takes one process; several share learn and train"):
        app(["density", "--out", str(tmp_path / "density")], standalone_mode=False)
    assert not any(tmp_path.iterdir())
