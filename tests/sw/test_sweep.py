"""Sweeps: results of every kind of method, taken up again, drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actcodec.errors import ActcodecError
from actcodec.files import read_json
from actcodec.params import CodecParams
from actcodec.sweep import run
from actcodec.sweep.plot import draw
from actcodec.sweep.point import Point, Setting
from actcodec.sweep.run import run_sweep

QUICK = """\
calibration_images = 48
positions = 512
selection_images = 48
greedy_images = 16
images = 64
block_images = 32
batch = 16
"""
SETTING = Setting(CodecParams(), test_images=60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stages of training that take a second."""
    path = tmp_path_factory.mktemp("recipes")
    (path / "quick.toml").write_text(QUICK)
    (path / "train.toml").write_text(QUICK + "epochs = 1\nweights = true\n")
    (path / "blocks.toml").write_text(QUICK + "block_epochs = 1\n")
    return path


def points(folder: Path, *wanted: tuple[str, str, float]) -> list[Point]:
    return [Point("mnist-resnet12", f"{method}+{folder / stage}.toml", target) for method, stage, target in wanted]


def test_every_kind_of_method_gives_the_same_account(folder: Path, tmp_path: Path) -> None:
    wanted = points(
        folder,
        ("waterfill", "quick", 3.0),
        ("density", "quick", 4.0),
        ("lsq+moments", "quick", 4.0),
        ("uniform", "blocks", 4.0),
        ("raw8", "quick", 8.0),
        ("ebpc", "quick", 8.0),
        ("lsq-zvc", "train", 3.0),
        ("transform-coding", "quick", 3.0),
        ("cat", "train", 3.0),
        ("uniform", "quick", 0.2),
    )
    results = run_sweep(wanted, SETTING, tmp_path / "sweep")
    *measured, unreachable = results
    assert "no coefficient of 8 bits" in unreachable["unreachable"]
    panels = [result["panel"] for result in measured]
    training = {"uniform": "block-wise", "lsq-zvc": "fine-tuned", "cat": "fine-tuned"}
    assert panels == [training.get(point.method.split("+")[0], "post-training") for point in wanted[:-1]]
    for result in measured:
        assert 0.5 < result["accuracy"] <= 1 and result["test_images"] == 60
        assert result["bpv_net"]["1"] >= result["bpv_net"]["16"] >= result["bpv_stream"] > 0
        assert result["ratio"]["8"] == pytest.approx(8 / result["bpv_stream"])
        assert result["bpv_relu"] == pytest.approx(result["bpv_stream"])  # Every site of this network is rectified.
    by_method = {result["method"].split("+")[0]: result for result in measured}
    assert by_method["raw8"]["bpv_stream"] == 8.0
    assert by_method["density"]["bpv_stream"] <= 4.0 and by_method["density"]["projected_sites"] == 0
    assert by_method["ebpc"]["bpv_stream"] < 8.0
    assert by_method["lsq-zvc"]["bpv_stream"] < 3.2
    assert by_method["lsq-zvc"]["weights"] == "trained"
    assert by_method["lsq"]["moment_images"] == 48 and by_method["waterfill"]["moment_images"] == 0
    draw(results, 0.99, tmp_path / "plot.svg")
    drawn = (tmp_path / "plot.svg").read_bytes()
    draw(results, 0.99, tmp_path / "plot.svg")
    assert drawn == (tmp_path / "plot.svg").read_bytes()


def test_a_sweep_is_taken_up_where_it_stopped(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = points(folder, ("waterfill", "quick", 4.0), ("waterfill", "quick", 3.0))
    done: list[Point] = []
    real = run.run_point

    def counted(point: Point, *others: Any) -> dict[str, Any]:
        done.append(point)
        if len(done) == 2:
            raise KeyboardInterrupt
        return real(point, *others)

    monkeypatch.setattr(run, "run_point", counted)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(wanted, SETTING, tmp_path)
    kept = list(tmp_path.glob("*/result.json"))
    assert len(kept) == 1
    first = kept[0].read_bytes()
    results = run_sweep(wanted, SETTING, tmp_path)
    assert [result["target_bits"] for result in results] == [4.0, 3.0]
    assert len(done) == 3 and kept[0].read_bytes() == first


def test_greedy_points_share_their_walk(folder: Path, tmp_path: Path) -> None:
    pure = [Point("mnist-resnet12", f"p1+{folder / 'quick'}.toml", target) for target in (6.0, 6.5)]
    run_sweep(pure, SETTING, tmp_path)
    logs = list(tmp_path.glob("greedy-*.json"))
    assert len(logs) == 1
    assert read_json(logs[0])["steps"][-1]["bits_per_value"] <= 6.0


def test_cat_without_training_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ActcodecError, match="CAT is a way of training"):
        run_sweep(points(folder, ("cat", "quick", 3.0)), SETTING, tmp_path)
