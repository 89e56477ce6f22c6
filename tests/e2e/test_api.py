"""The verbs as functions: the lines of the README and the example run as they are printed, and agree with the parts."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from actcodec import api
from actcodec.errors import ActcodecError
from actcodec.golden import SiteCodec
from actcodec.params import load_params
from actcodec.tables import load_tables, save_tables
from actcodec.tables.synthetic import synthetic_input, synthetic_tables

ROOT = Path(__file__).parents[2]
MYNET = """
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(
    nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(784, 10)
)
"""


def test_importing_it_loads_neither_torch_nor_a_simulator() -> None:
    code = (
        "import sys, actcodec; actcodec.api.learn; "
        "print([m for m in ('torch', 'numba', 'amaranth', 'cocotb') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"


def test_the_lines_of_the_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    section = (ROOT / "README.md").read_text().split("### A network of your own in ten lines")[1]
    lines = section.split("```python\n")[1].split("```")[0]
    assert len(lines.strip().splitlines()) == 10
    (tmp_path / "mynet.py").write_text(MYNET)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mynet", raising=False)
    exec(compile(lines, "README.md", "exec"), {})
    shown = capsys.readouterr().out
    assert re.search(r"\d% at [34]\.\d\d bits a value\n", shown)
    assert (tmp_path / "build/mynet/report/index.html").exists()
    assert (tmp_path / "build/mynet/c/actcodec_tables.h").exists()
    tables = load_tables(tmp_path / "build/mynet/tables")
    assert tables.provenance.network == "Sequential" and tables.bpv_stream <= 4


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    found = runpy.run_path(str(ROOT / "examples" / "own_network.py"))
    assert found["before"].accuracy > 0.85
    assert found["after"].accuracy > found["before"].accuracy - 0.03
    assert "index.html" in capsys.readouterr().out


def test_verbs_on_tables_are_those_of_the_parts(tmp_path: Path) -> None:
    tables = synthetic_tables(0, load_params("tiny"))
    save_tables(tables, tmp_path / "tables")
    site = tables.sites[0]
    x = synthetic_input(np.random.default_rng(0), site)
    stream = api.encode(tmp_path / "tables", site.info.name, x)
    np.testing.assert_array_equal(stream, SiteCodec(site).encode(x))
    np.testing.assert_array_equal(api.decode(tables, site.info.name, stream), SiteCodec(site).decode(stream))
    assert api.traffic(tables).codec("actcodec").bpv_stream() == tables.bpv_stream
    assert api.graph("mnist-resnet12").macs == api.graph(api.network("mnist-resnet12")).macs


def test_a_module_is_copied_and_checked() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 10, 26), nn.Flatten())
    network = api.network(net, "mnist", mean=[0.1], std=[0.3], name="mine")
    assert (network.name, network.mean, network.input_shape) == ("mine", (0.1,), (1, 28, 28))
    digest = network.checkpoint_sha256
    with torch.no_grad():
        net[0].weight.zero_()
    assert network.model[0].weight.abs().sum() > 0
    assert api.network(net, "mnist", mean=[0.1], std=[0.3]).checkpoint_sha256 != digest
    for problem, arguments in {
        "network Sequential: needs a data set": {},
        "its module needs the attribute actcodec_input": {"dataset": "mnist"},
        "needs 1 means and 1 positive stds": {"dataset": "mnist", "mean": [0, 0], "std": [1, 1]},
        "a module comes with its weights": {"dataset": "mnist", "checkpoint": "x.safetensors"},
    }.items():
        with pytest.raises(ActcodecError, match=problem):
            api.network(net, **arguments)
    with pytest.raises(ActcodecError, match="mean, std and name are those of a module"):
        api.network("mnist-resnet12", mean=[0.1])
    with pytest.raises(ActcodecError, match="needs tables or a model"):
        api.evaluate()
    with pytest.raises(ActcodecError, match="format 'vhdl' is unknown; known: tables, c-header, qonnx"):
        api.export("tables", "out", format="vhdl")
