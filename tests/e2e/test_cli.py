"""The command line: every verb's help, round trips, and bad input as one clear line that leaves nothing behind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from actcodec.golden import SiteCodec
from actcodec.tables import load_tables
from e2e.conftest import Cli
from support.cosim import CACHE

VERBS = (
    *("train", "learn", "sweep", "export", "eval", "inspect", "encode", "decode", "baseline"),
    *("rtl", "vectors", "cosim", "coverage", "graph", "measure", "traffic", "report", "compare", "dram", "demo"),
    *("pim rtl", "pim cosim", "pim energy"),
)


def _refused(result: object, *words: str) -> None:
    """One line on standard error that has all the words, status 2, nothing on standard output."""
    lines = [line for line in result.stderr.splitlines() if line.strip()]  # type: ignore[attr-defined]
    assert result.returncode == 2, result.stderr  # type: ignore[attr-defined]
    assert len(lines) == 1 and lines[0].startswith("error: "), lines
    assert "Traceback" not in lines[0]
    for word in words:
        assert word in lines[0], lines[0]


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_every_verb_has_an_example(cli: Cli, verb: str) -> None:
    result = cli(*verb.split(), "--help")
    assert result.returncode == 0
    assert f"actcodec {verb}" in result.stdout and "Example" in result.stdout


def test_an_unknown_option_is_one_line(cli: Cli) -> None:
    _refused(cli("inspect", "--nonsense"), "--nonsense")


def test_encode_then_decode_through_files(cli: Cli, mnist_tables: Path, tmp_path: Path) -> None:
    site = load_tables(mnist_tables).sites[3].info
    x = np.random.default_rng(0).integers(0, 60, (site.height, site.width, site.channels)).astype(np.uint8)
    np.save(tmp_path / "in.npy", x)
    encoded = cli(
        "encode", "--tables", mnist_tables, "--site", site.name, tmp_path / "in.npy", tmp_path / "x.acf", "--json"
    )
    assert encoded.returncode == 0, encoded.stderr
    summary = json.loads(encoded.stdout)
    assert (tmp_path / "x.acf").stat().st_size == summary["file_bytes"] > summary["stream_bytes"]
    decoded = cli("decode", "--tables", mnist_tables, tmp_path / "x.acf", tmp_path / "out.npy")
    assert decoded.returncode == 0, decoded.stderr
    y = np.load(tmp_path / "out.npy")
    assert y.shape == x.shape and y.dtype == np.uint8
    assert np.abs(y.astype(int) - x).mean() < 20


def test_inspect_prints_every_site(cli: Cli, mnist_tables: Path) -> None:
    text = cli("inspect", mnist_tables).stdout
    tables = load_tables(mnist_tables)
    assert all(site.info.name in text for site in tables.sites)
    assert json.loads(cli("inspect", mnist_tables, "--json").stdout)["bpv_stream"] == tables.bpv_stream


def test_a_tampered_table_is_refused(cli: Cli, mnist_tables: Path, tmp_path: Path) -> None:
    content = bytearray((mnist_tables / "tables.safetensors").read_bytes())
    content[-1] ^= 1
    copy = tmp_path / "tables"
    copy.mkdir()
    for path in mnist_tables.iterdir():
        (copy / path.name).write_bytes(content if path.suffix == ".safetensors" else path.read_bytes())
    _refused(cli("inspect", copy), "tables.safetensors", "SHA-256", "site")


def test_a_truncated_container_is_refused_and_leaves_nothing(cli: Cli, mnist_tables: Path, tmp_path: Path) -> None:
    site = load_tables(mnist_tables).sites[0].info
    np.save(tmp_path / "in.npy", np.zeros((site.height, site.width, site.channels), dtype=np.uint8))
    cli("encode", "--tables", mnist_tables, "--site", site.name, tmp_path / "in.npy", tmp_path / "x.acf")
    content = (tmp_path / "x.acf").read_bytes()
    (tmp_path / "short.acf").write_bytes(content[:-5])
    before = sorted(tmp_path.iterdir())
    result = cli("decode", "--tables", mnist_tables, tmp_path / "short.acf", tmp_path / "out.npy")
    _refused(result, "short.acf", "truncated")
    assert sorted(tmp_path.iterdir()) == before


def test_a_table_wider_than_the_codec_is_refused(cli: Cli, recipe: Path, tmp_path: Path) -> None:
    narrow = tmp_path / "narrow.toml"
    narrow.write_text("lanes = 4\nrows = 2\nblock = 16\nmax_channels = 32\n")
    result = cli("learn", "--target-bits", 3, "--recipe", recipe, "--codec", narrow, "--out", tmp_path / "plan")
    if result.returncode == 0:
        result = cli("export", "--plan", tmp_path / "plan", "--out", tmp_path / "tables")
    _refused(result, "channels = 64", "max_channels = 32")
    assert not (tmp_path / "tables").exists()


def test_a_missing_dataset_says_what_to_set(cli: Cli, tmp_path: Path) -> None:
    result = cli(
        "learn", "--model", "cifar10-resnet20", "--target-bits", 3, "--data-root", tmp_path, "--out", tmp_path / "p"
    )
    _refused(result, "cifar10_resnet20.safetensors")
    result = cli("eval", "--model", "cifar10-resnet20", ACTCODEC_DATA=str(tmp_path / "nowhere"))
    _refused(result, "ACTCODEC_DATA", "nowhere")


@pytest.mark.parametrize("target", ["0", "-1", "9", "0.001", "nan"])
def test_an_impossible_target_is_refused(cli: Cli, recipe: Path, tmp_path: Path, target: str) -> None:
    result = cli("learn", f"--target-bits={target}", "--recipe", recipe, "--out", tmp_path / "plan")
    _refused(result, "target_bits")
    assert list(tmp_path.iterdir()) == []


def test_too_many_codec_multiplications_are_refused(cli: Cli, mnist_plan: Path, tmp_path: Path) -> None:
    result = cli("export", "--plan", mnist_plan, "--out", tmp_path / "tables", "--max-mac-share", 0.001)
    _refused(result, "max_mac_share", "0.1%")
    assert not (tmp_path / "tables").exists()


def test_bad_arrays_are_refused(cli: Cli, mnist_tables: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.acf"
    (tmp_path / "text.npy").write_text("not an array")
    _refused(cli("encode", "--tables", mnist_tables, "--site", "conv1", tmp_path / "text.npy", out), "text.npy")
    np.save(tmp_path / "shape.npy", np.zeros((3, 3, 3), dtype=np.uint8))
    _refused(cli("encode", "--tables", mnist_tables, "--site", "conv1", tmp_path / "shape.npy", out), "(3, 3, 3)")
    np.save(tmp_path / "pickle.npy", np.array([{}], dtype=object), allow_pickle=True)
    _refused(cli("encode", "--tables", mnist_tables, "--site", "conv1", tmp_path / "pickle.npy", out), "pickle.npy")
    _refused(cli("encode", "--tables", mnist_tables, "--site", "none", tmp_path / "shape.npy", out), "'none'", "conv1")
    assert not out.exists()


def test_rtl_of_tables_writes_their_images(cli: Cli, mnist_tables: Path, tmp_path: Path) -> None:
    result = cli("rtl", "--tables", mnist_tables, "--out", tmp_path / "rtl", "--json")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "rtl" / "actcodec_codec.sv").is_file()
    for name in ("encoder", "decoder"):
        assert (tmp_path / "rtl" / f"{name}_tables.hex").read_bytes() == (mnist_tables / f"{name}.hex").read_bytes()


def test_traffic_and_report(cli: Cli, mnist_tables: Path, tmp_path: Path) -> None:
    traffic = json.loads(cli("traffic", "--tables", mnist_tables, "--json").stdout)
    raw, coded = traffic["codecs"]
    assert coded["write_bytes"] < raw["write_bytes"] / 2
    traced = cli("traffic", "--tables", mnist_tables, "--emit-trace", tmp_path / "traces", "--json")
    assert json.loads(traced.stdout)["codecs"] == traffic["codecs"]
    replay = cli("dram", "--trace", tmp_path / "traces" / "actcodec.dramsim3.trace", "--json")
    assert json.loads(replay.stdout)["writes"] == coded["write_bytes"] // 64
    result = cli("report", "--tables", mnist_tables, "--out", tmp_path / "report")
    assert result.returncode == 0, result.stderr
    assert sorted(p.name for p in (tmp_path / "report").iterdir()) == ["index.html", "traffic.csv", "traffic.json"]
    _refused(cli("traffic", "--tables", mnist_tables, "--device", "none"), "none", "DDR4-2400")
    # What is printed and what is written are the same report to `compare`; another device is named and fails the gate.
    printed = tmp_path / "printed.json"
    printed.write_text(json.dumps(traffic))
    written = tmp_path / "report" / "traffic.json"
    same = cli("compare", printed, written, "--fail-above", 0)
    assert (same.returncode, same.stderr) == (0, "") and "0 sites changed" in same.stdout
    other = tmp_path / "other"
    assert cli("report", "--tables", mnist_tables, "--device", "LPDDR4-3200", "--out", other).returncode == 0
    slower = cli("compare", written, other / "traffic.json", "--fail-above", 5, "--json")
    assert slower.returncode == 1
    warning, *lines = slower.stderr.splitlines()
    assert warning == "warning: device: DDR4-2400 → LPDDR4-3200"
    assert lines and all(line.startswith("regression: ") and "is above 5 %" in line for line in lines)
    result = json.loads(slower.stdout)
    assert [f"regression: {line}" for line in result["regressions"]] == lines
    _refused(cli("compare", written, tmp_path / "none.json"), "none.json")
    evaluation = tmp_path / "eval.json"
    evaluation.write_text(cli("eval", "--tables", mnist_tables, "--golden", "--images", 20, "--json").stdout)
    page = tmp_path / "measured"
    assert cli("report", "--tables", mnist_tables, "--eval", evaluation, "--out", page).returncode == 0
    assert "20 test images" in (page / "index.html").read_text()
    _refused(cli("report", "--tables", mnist_tables, "--sweep", written, "--out", page), "traffic.json", "network")


def test_traffic_on_an_accelerator(cli: Cli, mnist_tables: Path, tmp_path: Path) -> None:
    graph = tmp_path / "graph.json"
    written = cli("graph", "--model", "mnist-resnet12", "--out", graph, "--json")
    assert json.loads(written.stdout)["macs"] == load_tables(mnist_tables).provenance.network_macs
    edge = ("traffic", "--tables", mnist_tables, "--accelerator", "edge-npu-16x16", "--json")
    report = json.loads(cli(*edge).stdout)
    assert [codec["codec"] for codec in report["codecs"]] == ["raw8", "actcodec"]
    assert json.loads(cli(*edge, "--graph", graph).stdout)["codecs"] == report["codecs"]
    assert report["energy"]["codecs"][1]["codec_pj"] > 0
    page = tmp_path / "report"
    made = cli("report", *edge[1:-1], "--graph", graph, "--out", page)
    assert made.returncode == 0, made.stderr
    assert json.loads((page / "traffic.json").read_text())["accelerator"] == report
    assert "Roofline of edge-npu-16x16" in (page / "index.html").read_text()


def test_dram_replays_a_trace(cli: Cli, tmp_path: Path) -> None:
    trace = tmp_path / "requests.trace"
    trace.write_text("0x0 READ 0\n0x40 READ 0\n0x2000 WRITE 5\n")
    result = cli("dram", "--device", "DDR4_8Gb_x8_2400", "--trace", trace, "--json")
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary.pop("requests_per_second") > 0
    assert summary.pop("energy_pj") > 0
    assert summary == {
        "cycles": 46,  # ACT at 2, RD at 19 and 25, data until 25 + 17 + 4; the write is done when it is taken in
        "reads": 2,
        "writes": 1,
        "row_hits": 1,
        "activates": 2,
        "precharges": 0,
        "refreshes": 0,
        "avg_read_latency": (40 - 1 + 46 - 2) / 2,
    }
    closed = json.loads(cli("dram", "--trace", trace, "--closed-page", "--json").stdout)
    assert (closed["row_hits"], closed["activates"], closed["precharges"]) == (0, 3, 3)
    assert "energy_pj" in cli("dram", "--trace", trace).stdout
    trace.write_text("0x0 READ 0\n0x40 LOAD 0\n")
    _refused(cli("dram", "--trace", trace), "requests.trace", "line 2", "0x40 LOAD 0")
    _refused(cli("dram", "--trace", tmp_path / "none"), "none")


def test_trained_weights_travel_with_plan_and_tables(cli: Cli, tmp_path: Path) -> None:
    recipe = tmp_path / "short.toml"
    recipe.write_text(
        "calibration_images = 64\nselection_images = 64\npositions = 1024\nimages = 128\nbatch = 16\n"
        'epochs = 2\nweights = true\ntransform = "identity"\n'
    )
    plan, tables = tmp_path / "plan", tmp_path / "tables"
    learned = cli("learn", "--target-bits", 2, "--recipe", f"waterfill+{recipe}", "--out", plan, "--json")
    assert learned.returncode == 0, learned.stderr
    assert json.loads(learned.stdout)["method"] == "waterfill+short"
    assert (tmp_path / "plan.csv").read_text().startswith("epoch,loss,divergence\n0,,")
    assert not list(tmp_path.glob("*.resume"))
    assert cli("export", "--plan", plan, "--out", tables).returncode == 0
    weights = tables / "weights.safetensors"
    assert weights.read_bytes() == (plan / "weights.safetensors").read_bytes()
    result = cli("eval", "--golden", "--tables", tables, "--data", "mnist", "--images", 200, "--json")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["accuracy_golden"] == found["accuracy"] > 0.9
    assert found["bits_per_value"] == pytest.approx(2.0, abs=0.05)
    assert 0 < found["codec_mac_share"] < 0.1
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    changed = cli("eval", "--golden", "--tables", tables, "--json")
    assert (changed.returncode, changed.stdout) == (2, "")
    assert "another checkpoint" in changed.stderr


def test_sweep_measures_and_draws(cli: Cli, tmp_path: Path) -> None:
    recipe = tmp_path / "quick.toml"
    recipe.write_text("calibration_images = 48\nselection_images = 48\npositions = 512\n")
    out = tmp_path / "sweep"
    arguments = ("--model", "mnist-resnet12", "--methods", f"uniform+{recipe},zvc+{recipe}", "--targets", "8,4")
    result = cli("sweep", *arguments, "--images", 50, "--out", out, "--json")
    assert result.returncode == 0, result.stderr
    points = json.loads(result.stdout)["points"]
    assert [(p["method"].split("+")[0], p["target_bits"]) for p in points] == [
        *(("uniform", 8.0), ("uniform", 4.0)),
        *(("zvc", 8.0), ("zvc", 4.0)),
    ]
    assert (out / "sweep.svg").stat().st_size > 5_000
    again = cli("sweep", *arguments, "--images", 50, "--out", out, "--json")
    assert again.stdout == result.stdout
    refused = cli("sweep", "--methods", "nonsense", "--targets", "4", "--out", out)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1) and "nonsense" in refused.stderr
    refused = cli("sweep", "--methods", "uniform", "--targets", "four", "--out", out)
    assert refused.returncode == 2 and "holds something that is no number" in refused.stderr


def test_the_rtl_of_one_direction_comes_with_its_image_alone(cli: Cli, mnist_tables: Path, tmp_path: Path) -> None:
    out = tmp_path / "rtl"
    result = cli("rtl", "--tables", mnist_tables, "--codec", "decoder-only", "--out", out)
    assert result.returncode == 0, result.stderr
    assert (out / "decoder_tables.hex").read_bytes() == (mnist_tables / "decoder.hex").read_bytes()
    assert not list(out.glob("*encoder*"))


def test_tables_for_another_codec_are_refused(cli: Cli, mnist_tables: Path, tmp_path: Path) -> None:
    result = cli("rtl", "--tables", mnist_tables, "--codec", "tiny", "--out", tmp_path / "rtl")
    _refused(result, "--tables", "lanes = 8, not 4", "tiny")
    assert not (tmp_path / "rtl").exists()


def test_vectors_of_a_site_are_its_frame_through_the_golden_model(cli: Cli, mnist_tables: Path, tmp_path: Path) -> None:
    tables = load_tables(mnist_tables)
    site = tables.sites[2]
    x = np.random.default_rng(0).integers(0, 60, (site.info.height, site.info.width, site.info.channels))
    np.save(tmp_path / "in.npy", x.astype(np.uint8))
    options = ("--tables", mnist_tables, "--site", site.info.name, "--input", tmp_path / "in.npy")
    result = cli("vectors", *options, "--out", tmp_path / "v", "--json")
    assert result.returncode == 0, result.stderr
    assert len(json.loads(result.stdout)["files"]) == len(list((tmp_path / "v").iterdir())) == 9
    words = [int(line, 16) for line in (tmp_path / "v" / "encoder_o.hex").read_text().split()]
    stream = SiteCodec(site).encode(x.astype(np.uint8)).reshape(-1, tables.params.word_bytes)
    golden = [int.from_bytes(word.tobytes(), "little") for word in stream]
    assert words == [*golden[:-1], golden[-1] | 1 << tables.params.word_bits]
    assert (tmp_path / "v" / "decoder_i.hex").read_text() == (tmp_path / "v" / "encoder_o.hex").read_text()
    _refused(cli("vectors", "--tables", mnist_tables, "--site", "nowhere", "--out", tmp_path / "w"), "nowhere")


def test_coverage_without_a_result_is_refused(cli: Cli, tmp_path: Path) -> None:
    _refused(cli("coverage", tmp_path, "--out", tmp_path / "c.json"), "coverage.json")
    assert not (tmp_path / "c.json").exists()


def test_cosim_site_by_site_keeps_its_results(cli: Cli, tmp_path: Path) -> None:
    command = ("cosim", "--synthetic", "tiny", "--sim", "icarus", "--only", "synthetic3", "--only", "synthetic0")
    command = (*command, "--jobs", 1, "--cache", CACHE, "--out", tmp_path, "--json")
    first, second = cli(*command), cli(*command)
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    results = [json.loads(done.stdout) for done in (first, second)]
    assert [site["name"] for site in results[0]["sites"]] == ["synthetic3", "synthetic0"] and results[0]["agrees"]
    assert {**results[0], "seconds": 0} == {**results[1], "seconds": 0}
    assert json.loads((tmp_path / "icarus.json").read_text()) == results[1]
    assert "icarus synthetic0: agrees" in second.stderr


def test_a_scheduler_that_does_not_answer_is_refused(cli: Cli, tmp_path: Path) -> None:
    command = ("cosim", "--synthetic", "tiny", "--scheduler", "tcp://127.0.0.1:9", "--out", tmp_path / "out")
    _refused(cli(*command), "--scheduler", "no Dask scheduler answers at tcp://127.0.0.1:9")
    assert not (tmp_path / "out").exists()
