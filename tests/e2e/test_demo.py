"""The main job end to end, with the figures that it has to reach."""

from __future__ import annotations

import json
from pathlib import Path

from e2e.conftest import Cli
from support.cosim import CACHE


def test_demo_writes_its_summary_and_report(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    result = cli("demo", "--out", out, "--cache", CACHE)
    assert result.returncode == 0, result.stderr
    summary = json.loads((out / "summary.json").read_text())
    assert summary["network"] == "mnist-resnet12" and summary["dataset"] == "mnist"
    assert summary["agrees"] and summary["digests_equal"]
    assert summary["bits_per_value"] <= 3
    assert summary["accuracy_golden"] >= summary["accuracy_float"] - 0.01
    assert len(set(summary["bytes"].values())) == 1
    assert set(summary["bytes"]) == {"trainer", "golden", "rtl", "traffic"}
    assert set(summary["bpv_net"]) == {"1", "16"}
    assert all(summary["cosim"][name]["agrees"] for name in ("verilator", "icarus"))
    for site in summary["sites"]:
        assert len(set(site["bytes"].values())) == 1
        assert site["cycles"] == site["cycles_formula"]
    page = (out / "report" / "index.html").read_text()
    assert "Accuracy through the codec" in page and 'id="cosim"' in page
    assert "http" not in page.replace("http://www.w3.org", "").split("<template")[0]
