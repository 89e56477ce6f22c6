"""A sweep of the embedded network on a cluster that loses a worker: the same bytes as in this process."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from actcodec.data import load_dataset
from actcodec.evaluate import float_logits
from actcodec.networks import load_network
from actcodec.params import CodecParams
from actcodec.sweep.point import Point, Setting
from actcodec.sweep.run import run_sweep
from support.cluster import running_cluster

QUICK = """\
calibration_images = 32
positions = 256
selection_images = 16
greedy_images = 8
images = 32
batch = 16
"""
NETWORK = "mnist-resnet12"


def files(folder: Path) -> dict[str, bytes]:
    """What a sweep leaves, hidden files apart."""
    found = (path for path in folder.rglob("*") if path.is_file())
    paths = [path.relative_to(folder) for path in found]
    return {str(path): (folder / path).read_bytes() for path in paths if not any(p[0] == "." for p in path.parts)}


def test_a_killed_worker_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "quick.toml").write_text(QUICK)
    # Recipes by relative paths, which workers need not find.
    monkeypatch.chdir(tmp_path)
    wanted = [Point(NETWORK, f"{method}+quick.toml", bits) for method, bits in (("raw8", 8.0), ("uniform", 4.0))]
    wanted += [Point(NETWORK, "p1+quick.toml", bits) for bits in (7.5, 7.4)]
    test = load_dataset("mnist", "test").head(20)
    expected = float_logits(load_network(NETWORK), test).numpy().astype(np.float32)
    setting = Setting(CodecParams(), test_images=20, expected=expected)
    here = run_sweep(wanted, setting, tmp_path / "here")
    lines: list[str] = []
    with running_cluster(tmp_path / "cluster", ("--no-nanny",), ("--no-nanny",)) as cluster:

        def kill(line: str) -> None:
            lines.append(line)
            if sum("bits a value" in each for each in lines) == 1:
                os.kill(cluster.workers[0].pid, signal.SIGKILL)

        there = run_sweep(wanted, setting, tmp_path / "there", report=kill, scheduler=cluster.address)
        assert cluster.workers[0].wait(10) == -signal.SIGKILL and cluster.workers[1].poll() is None
    assert there == here
    assert sum("bits a value" in line for line in lines) == len(wanted)
    assert files(tmp_path / "there") == files(tmp_path / "here")
