"""The command line of the accelerator model, in this process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from actcodec.cli import app
from actcodec.errors import ActcodecError

TOPOLOGY = """Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,
Conv1, 34, 34, 3, 3, 3, 16, 1,
Conv2, 34, 34, 3, 3, 16, 16, 1,
"""


def call(*arguments: object) -> str:
    """What the command prints; raises what it raises."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


@pytest.fixture
def topology(tmp_path: Path) -> Path:
    path = tmp_path / "net.csv"
    path.write_text(TOPOLOGY)
    return path


def test_topology_on_an_accelerator(topology):
    arguments = ("traffic", "--accelerator", "edge-npu-16x16", "--topology", topology)
    report = json.loads(call(*arguments, "--json"))
    (run,) = report["codecs"]
    assert (report["network"], run["codec"], run["macs"]) == ("net", "raw8", 32 * 32 * 9 * 16 * (3 + 16))
    assert run["bytes"]["weights"] == 448 + 2304
    shown = call(*arguments)
    assert "Conv2" in shown and "compute %" in shown
    by_raw = json.loads(call(*arguments, "--json", "--plan-by", "raw8"))
    assert by_raw["codecs"] == report["codecs"]


def test_graph_of_a_topology_runs_like_it(topology, tmp_path):
    graph = tmp_path / "graph.json"
    assert json.loads(call("graph", "--topology", topology, "--out", graph, "--json"))["layers"] == 2
    device = ("--accelerator", "nvdla-small-like", "--device", "LPDDR4-3200", "--json")
    same = [json.loads(call("traffic", *device, *layers)) for layers in (("--graph", graph), ("--topology", topology))]
    assert same[0] == same[1]


def test_graph_of_a_network_at_another_resolution(tmp_path):
    shown = call("graph", "--model", "cifar10-resnet20", "--input", "3x64x64", "--out", tmp_path / "g.json")
    assert "162202240 MACs" in shown
    assert json.loads((tmp_path / "g.json").read_text())["tensors"][0]["height"] == 64


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("traffic",), "needs either --tables or --codecs"),
        (("traffic", "--codecs", "x", "--emit-trace", "y"), "--emit-trace goes with --tables"),
        (("traffic", "--tables", "x", "--csv", "y"), "--csv goes with --codecs"),
        (("traffic", "--tables", "x", "--plan-by", "raw8"), "need --accelerator"),
        (("traffic", "--tables", "x", "--reload-tables"), "need --accelerator"),
        (("traffic", "--accelerator", "edge-npu-16x16"), "give --tables, --codecs, --graph or --topology"),
        (("traffic", "--accelerator", "edge-npu-16x16", "--emit-trace", "x"), "without an accelerator"),
        (("traffic", "--accelerator", "edge-npu-16x16", "--csv", "x"), "without an accelerator"),
        (("traffic", "--accelerator", "edge-npu-16x16", "--codecs", "none.json"), "none.json: cannot be read"),
        (("report",), "needs --tables or --codecs"),
        (("report", "--tables", "x", "--graph", "y"), "need --accelerator"),
        (("traffic", "--accelerator", "edge-npu-16x16", "--graph", "a", "--topology", "b"), "either --graph or"),
        (("traffic", "--accelerator", "none", "--topology", "b"), "known: edge-npu-16x16"),
        (("traffic", "--accelerator", "edge-npu-16x16", "--topology", "nowhere.csv"), "nowhere.csv: cannot be read"),
        (("graph", "--out", "x"), "either --model or --topology"),
        (("graph", "--model", "mnist-resnet12", "--input", "3x4", "--out", "x"), "'3x4' is not CxHxW"),
        (("graph", "--model", "mnist-resnet12", "--input", "2x28x28", "--out", "x"), "does not run on an image"),
    ],
)
def test_bad_arguments_are_one_line(arguments, problem):
    with pytest.raises(ActcodecError, match=problem) as error:
        call(*arguments)
    assert "\n" not in str(error.value)
