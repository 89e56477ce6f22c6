"""Training by density: the rules, when it stops, and that a run killed anywhere ends in the same bytes."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from actcodec.cli import app
from actcodec.data import load_dataset
from actcodec.density import train as training
from actcodec.density.recipe import DensityRecipe, load_density_recipe
from actcodec.density.rules import next_channels, next_width, saturated, training_complexity
from actcodec.density.train import train_density
from actcodec.errors import ActcodecError

torch.set_num_threads(1)
QUICK = DensityRecipe(
    method="quick", prune=True, epochs=4, batch=32, rate=3e-3, first=1, longest=2, settle=1, accuracy_drop=1.0
)


@pytest.fixture(scope="module", autouse=True)
def few_images() -> Iterator[None]:
    """Only a part of the test set: its accuracy is not what is tested here."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(training, "load_dataset", lambda *chosen: load_dataset(*chosen).head(100))
        yield


class InterruptedRunError(Exception):
    pass


def run(out: Path, seed: int = 3, **changes: object) -> dict[str, Any]:
    recipe = QUICK.model_copy(update=changes)
    return train_density("mnist-resnet12", out, recipe=recipe, seed=seed, images=80, progress=False).summary


def test_widths_and_channels_are_rounded_products() -> None:
    assert [next_width(16, density, 2) for density in (0.31, 0.28125, 0.9, 0.05, 1.0)] == [5, 5, 14, 2, 16]
    assert [next_width(16, density, 2, pim=True) for density in (0.31, 0.1, 0.6)] == [8, 2, 16]
    assert next_width(2, 0.5, 3) == 2
    assert [next_channels(64, density) for density in (0.3, 0.001, 1.0)] == [19, 1, 64]


def test_saturation_needs_every_layer_and_a_whole_window() -> None:
    epochs = [{"a": 0.5, "b": 0.30}, {"a": 0.51, "b": 0.36}, {"a": 0.5, "b": 0.37}]
    assert not saturated(epochs[:1], 2, 0.02)
    assert not saturated(epochs[:2], 2, 0.02)
    assert saturated(epochs, 2, 0.02)
    assert not saturated(epochs, 3, 0.02)


def test_training_complexity_is_in_epochs_of_the_baseline() -> None:
    assert training_complexity([1.0] * 10) == 10
    assert training_complexity([1.0] * 4 + [4.0] * 8) == 6


def test_contradicting_recipes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="longest = 1 is shorter"):
        DensityRecipe(longest=1)
    with pytest.raises(ValueError, match="pim = true"):
        DensityRecipe(quantize=False, pim=True)
    path = tmp_path / "bad.toml"
    path.write_text("widths = 3\n")
    with pytest.raises(ActcodecError, match=r"bad\.toml: widths"):
        load_density_recipe(path)
    for name in ("baseline", "quantize", "prune", "quantize-prune", "pim"):
        assert load_density_recipe(name).method == name


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("density") / "whole"
    run(out)
    return out


def test_widths_fall_by_the_densities_that_were_counted(whole: Path) -> None:
    summary = json.loads((whole / "result.json").read_text())
    first, second = summary["stages"][:2]
    assert first["epochs"] == 2 and set(first["widths"].values()) == {16}
    for layer, density in first["densities"].items():
        expected = 16 if layer == "conv1" else next_width(16, density, 2)
        assert second["widths"][layer] == expected
    assert second["widths"]["linear"] == 16
    assert second["channels"]["layer1.0.conv1"] == next_channels(16, first["densities"]["layer1.0.conv1"])
    # The residual stream goes through zero-padded shortcuts: it keeps its channels.
    assert second["channels"]["layer1.0.conv2"] == 16
    assert summary["mac_reduction"] == pytest.approx(second["mac_reduction"]) and second["mac_reduction"] > 2
    reductions = [stage["mac_reduction"] for stage in summary["stages"] for _ in range(stage["epochs"])]
    complexity = summary["training_complexity"]
    assert complexity["absolute"] == pytest.approx(training_complexity(reductions))
    assert complexity["relative"] == pytest.approx(complexity["absolute"] / 4)
    energy = summary["energy_uJ"]
    assert energy["pim"] == pytest.approx(sum(layer["pim_uJ"] for layer in summary["layers"]))
    assert energy["pim_ratio"] > 1 and energy["analytic_ratio"] > 1
    with (whole / "epochs.csv").open() as log:
        rows = list(csv.DictReader(log))
    assert len(rows) == 4 * 12
    assert [row["bits"] for row in rows[-12:]] == [str(bits) for bits in second["widths"].values()]


@pytest.mark.parametrize("kill_at", [1, 3])
def test_a_killed_run_ends_in_the_same_bytes(
    kill_at: int, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first change, and after it: the network then has another shape than it started with."""
    epoch = training._Run.epoch

    def stop(self: training._Run, *arguments: Any) -> None:
        if self.epochs_done == kill_at:
            raise InterruptedRunError
        epoch(self, *arguments)

    out = tmp_path / "part"
    with monkeypatch.context() as patched:
        patched.setattr(training._Run, "epoch", stop)
        with pytest.raises(InterruptedRunError):
            run(out)
    assert (out / training.STATE).exists()
    with pytest.raises(ActcodecError, match="seed is 3, this run has 4"):
        run(out, seed=4)
    run(out)
    names = sorted(path.name for path in out.iterdir())
    assert names == sorted(path.name for path in whole.iterdir())
    for name in names:
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name


def judged(monkeypatch: pytest.MonkeyPatch, accuracies: list[float]) -> None:
    """Make every epoch's accuracy on the selection images that of a list; the test set's is 0."""
    values = iter(accuracies)
    monkeypatch.setattr(training, "_accuracy", lambda *_: next(values, 0.0))


def test_the_last_good_model_is_trained_on_when_the_target_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged(monkeypatch, [0.5, 0.9, 0.6, 0.8, 0.9, 0.9])
    summary = run(tmp_path / "out", epochs=6, accuracy_drop=0.05, settle=1)
    assert summary["ended"] == "the accuracy target was missed"
    assert [(stage["stage"], stage["epochs"]) for stage in summary["stages"]] == [(0, 2), (1, 2), (0, 2)]
    assert {layer["bits"] for layer in summary["layers"]} == {16}
    assert summary["layers"][1]["channels"] == 16
    assert summary["mac_reduction"] == 1


def test_a_missed_target_in_the_last_epochs_gives_the_last_good_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged(monkeypatch, [0.5, 0.9, 0.6, 0.6])
    summary = run(tmp_path / "out", accuracy_drop=0.05)
    assert summary["ended"] == "the accuracy target was missed"
    assert {layer["bits"] for layer in summary["layers"]} == {16}
    judged(monkeypatch, [0.5, 0.9, 0.6, 0.88])
    summary = run(tmp_path / "other", accuracy_drop=0.05)
    assert summary["ended"] == "the last epochs began"
    assert min(layer["bits"] for layer in summary["layers"]) < 16


def test_it_leaves_off_when_nothing_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.DensityNetwork, "densities", lambda self: {"conv1": 1.0, "layer1.0.conv1": 1.0})
    summary = run(tmp_path / "out", prune=False, epochs=5)
    assert summary["ended"] == "no width and no channel count changed"
    assert len(summary["stages"]) == 1 and summary["mac_reduction"] == 1


def test_the_baseline_shrinks_nothing(tmp_path: Path) -> None:
    summary = run(tmp_path / "out", quantize=False, prune=False, epochs=1)
    assert summary["training_complexity"]["relative"] == 1 and summary["energy_uJ"]["pim_ratio"] == 1


def test_the_command_line_trains_and_says_what_came_out(tmp_path: Path) -> None:
    settings = ["--epochs", "1", "--images", "80", "--out", str(tmp_path / "out")]
    printed = CliRunner().invoke(app, ["density", "--recipe", "prune", *settings, "--json"], catch_exceptions=False)
    summary = json.loads(printed.stdout)
    assert summary == json.loads((tmp_path / "out" / "result.json").read_text())
    assert (summary["recipe"]["method"], summary["recipe"]["epochs"], summary["images"]) == ("prune", 1, 60)
    table = CliRunner().invoke(app, ["density", *settings], catch_exceptions=False).stdout
    assert "layer1.0.conv2" in table and "training complexity 1.00 of 1 epochs" in table
