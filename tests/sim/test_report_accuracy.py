"""Sweeps and evaluations as a report reads them, and the plots that are drawn from them."""

import json
import re
from pathlib import Path

import pytest

from actcodec.errors import ActcodecError
from actcodec_sim.dram import load_device
from actcodec_sim.report import Evaluation, Roofline, RooflinePoint, html_page, load_evaluation, load_sweep
from actcodec_sim.report.plots import rate_accuracy, roofline_plot
from actcodec_sim.traffic import SiteTraffic, TrafficReport, simulate_traffic

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "projection"
POINT = {
    "method": "p1q+tuned",
    "target_bits": 3,
    "seed": 0,
    "panel": "fine-tuned",
    "bpv_stream": 2.98,
    "accuracy": 0.9,
    "test_images": 1000,
}
EVALUATION = {"network": "net", "mode": "golden", "images": 100, "accuracy": 0.9, "bpv_stream": 2.5}


def _file(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def _sweep(path: Path, *points: dict, network: str = "net") -> Path:
    return _file(path, {"network": network, "accuracy_float": 0.92, "points": list(points)})


def _report(**provenance: str) -> TrafficReport:
    sites = [SiteTraffic("a", 16, 8, 8, 1, 3000, 400, 90, 1024)]
    return simulate_traffic(sites, load_device("DDR4-2400"), provenance={"network": "net", **provenance})


def test_kept_results_are_read():
    sweep = load_sweep([RESULTS / "cifar10-resnet20.json"], "cifar10-resnet20")
    assert sweep.accuracy_float > 0.9 and len(sweep.points) > 20


def test_sweeps_are_joined_without_unreachable_points(tmp_path):
    first = _sweep(tmp_path / "a.json", POINT, {"method": "p1", "target_bits": 1.0, "unreachable": "too low"})
    second = _sweep(tmp_path / "b.json", {**POINT, "seed": 1})
    sweep = load_sweep([first, second])
    assert sweep.network == "net" and [point.seed for point in sweep.points] == [0, 1]
    made = {"method": "p1q+tuned", "target_bits": "3.0", "seed": "1"}
    assert sweep.find(made) is sweep.points[1]
    assert sweep.find({**made, "seed": "2"}) is None and sweep.find({}) is None


def test_wrong_sweeps_are_one_line(tmp_path):
    good = _sweep(tmp_path / "a.json", POINT)
    with pytest.raises(ActcodecError, match=r"b\.json: network = 'other' is not 'net'"):
        load_sweep([good, _sweep(tmp_path / "b.json", POINT, network="other")])
    with pytest.raises(ActcodecError, match=r"c\.json: accuracy = 1\.5"):
        load_sweep([_sweep(tmp_path / "c.json", {**POINT, "accuracy": 1.5})])
    with pytest.raises(ActcodecError, match=r"d\.json: network"):
        load_sweep([_file(tmp_path / "d.json", {})])
    with pytest.raises(ActcodecError, match="there is none"):
        load_sweep([])


def test_an_evaluation_is_of_the_tables_through_the_codec(tmp_path):
    path = _file(tmp_path / "eval.json", EVALUATION)
    assert load_evaluation(path, "net", 2.5) == Evaluation(0.9, 100)
    for change, words in (
        ({"mode": "float"}, "eval --golden"),
        ({"network": "other"}, "'other' is not 'net'"),
        ({"bpv_stream": 2.6}, "2.6 is not the 2.5"),
        ({"images": 0}, "images = 0"),
    ):
        with pytest.raises(ActcodecError, match=words):
            load_evaluation(_file(path, EVALUATION | change), "net", 2.5)


def test_accuracy_on_the_page_is_the_evaluation_or_the_sweeps_point(tmp_path):
    sweep = load_sweep([_sweep(tmp_path / "a.json", POINT)])
    nothing = html_page(_report())
    assert "Accuracy through the codec" not in nothing and 'id="accuracy"' not in nothing
    unknown = html_page(_report(method="else"), sweep=sweep)
    assert "accuracy not measured" in unknown and "Accuracy through the codec" not in unknown
    found = html_page(_report(method="p1q+tuned", target_bits="3.0", seed="0"), sweep=sweep)
    assert "90.00 <small>%" in found and "92.00 % uncompressed" in found and "1\u202f000 test images" in found
    measured = html_page(_report(), sweep=sweep, evaluation=Evaluation(0.875, 50))
    assert "87.50 <small>%" in measured and "92.00 % uncompressed" in measured
    alone = html_page(_report(), evaluation=Evaluation(0.875, 50))
    assert "87.50 <small>%" in alone and "uncompressed;" not in alone


def test_the_plot_titles_every_point_and_marks_the_report(tmp_path):
    sweep = load_sweep([_sweep(tmp_path / "a.json", POINT, {**POINT, "accuracy": 0.1}, {**POINT, "panel": "new kind"})])
    svg = rate_accuracy(sweep, 2.5, 0.91)
    titles = re.findall("<title>(.*?)</title>", svg)
    assert titles.count("p1q+tuned: 2.980 bits, 90.00%") == 2, "the point far below is left out"
    assert titles.count("this report: 2.500 bits, 91.00%") == 2, "one a panel"
    assert "#010101" not in svg and "var(--ink)" in svg
    assert "accuracy not measured" in rate_accuracy(sweep, 2.5, None)
    assert rate_accuracy(sweep, 2.5, 0.91) == svg
    assert set(re.findall(r"https?://[^/\"]*", svg)) == {"http://www.w3.org"}, "namespaces only"


def test_the_roofline_is_drawn_with_every_layer():
    points = {
        "raw8": (RooflinePoint("conv <1>", 1000, 500.0, 20.0, "memory"),),
        "actcodec": (RooflinePoint("conv <1>", 1000, 100.0, 10.0, "compute"),),
    }
    roofline = Roofline("array 8×8", 128, 12.8, points)
    assert roofline.ridge == 10
    svg = roofline_plot(roofline)
    assert re.findall("<title>(.*?)</title>", svg) == [
        "conv &lt;1&gt;, raw8: 2 MACs/byte, 50 MACs/cycle, memory bound",
        "conv &lt;1&gt;, actcodec: 10 MACs/byte, 100 MACs/cycle, compute bound",
    ]
    page = html_page(_report(), roofline=roofline)
    assert "Roofline of array 8×8" in page and "Roofline" not in html_page(_report())


@pytest.mark.parametrize("field", ["macs", "bytes", "cycles"])
def test_a_roofline_point_is_positive(field):
    with pytest.raises(ActcodecError, match=rf"conv: {field}: 0 is not positive"):
        RooflinePoint("conv", **({"macs": 1, "bytes": 1, "cycles": 1, "bound": "memory"} | {field: 0}))


def test_a_roofline_has_roofs_and_points():
    point = RooflinePoint("conv", 1, 1, 1, "memory")
    with pytest.raises(ActcodecError, match="peak_bytes: 0 is not positive"):
        Roofline("array", 1, 0, {"raw8": (point,)})
    with pytest.raises(ActcodecError, match="points: there is none"):
        Roofline("array", 1, 1, {"raw8": ()})
