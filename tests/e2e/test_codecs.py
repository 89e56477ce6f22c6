"""Bytes of every codec in the traffic are those of the real streams: golden ones for ours, the coders' for others."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from actcodec.activations import stored_activations
from actcodec.baselines import CODERS
from actcodec.cli import app
from actcodec.codecs import CodecSizes, CodecStore, SiteShape, StoredSize, load_codecs, save_codecs
from actcodec.codecs.measure import CODECS, HEADER_BYTES, Ours, measure_codecs
from actcodec.data import load_dataset
from actcodec.errors import ActcodecError
from actcodec.export import integer_tables
from actcodec.golden import SiteCodec
from actcodec.learn.quantize8 import ActivationRange
from actcodec.networks import load_network, sited_network
from actcodec.params import load_params
from actcodec.tables import digest_of, load_tables
from actcodec.tables.synthetic import synthetic_site
from actcodec_sim.dram import load_device
from actcodec_sim.traffic import TrafficReport, run_codecs
from support.data import needs
from support.learning import network, quick_plan, training

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
KEPT_TABLES = {"resnet20": "tables/resnet20-p1q-2.5", "mobilenetv2": "codec_tables/mobilenetv2-waterfill-4"}
IMAGES = 3
TRANSACTION = 64


@pytest.fixture(scope="module")
def plan():
    return quick_plan(3.0)


@pytest.fixture(scope="module")
def store(plan) -> CodecStore:
    ours = Ours(integer_tables(plan, max_mac_share=1), network())
    test = load_dataset("mnist", "test").head(IMAGES)
    params = load_params("default")
    return measure_codecs(network(), training(), test, params=params, ours=ours, calibration_images=32)


def stream_bytes(coder: str, image: np.ndarray) -> int:
    """Header, streams with their last bytes filled, and the value that a coder leaves out."""
    coded = CODERS[coder].encode(np.ascontiguousarray(image.transpose(2, 0, 1)))
    *others, last = (stream.bits for stream in coded.streams)
    return sum(HEADER_BYTES + -(-bits // 8) for bits in (*others, last + coded.uncounted_bits))


def check_transactions(report: TrafficReport, sizes: dict[str, list[int]]) -> None:
    """Whole transactions of every stream, a partial last one read before it is written."""
    for name, streams in sizes.items():
        for site, size in zip(report.codec(name).sites, streams, strict=True):
            moved = math.ceil(size / TRANSACTION) * TRANSACTION
            assert (site.stored.stream_bytes, site.write_bytes) == (size, moved), (name, site.stored.name)
            assert site.read_bytes == moved * site.stored.readers
            assert site.modify_bytes == (TRANSACTION if size % TRANSACTION else 0)
            parts = site.payload_bytes + site.padding_bytes + site.header_bytes + site.rounding_bytes
            assert parts + site.modify_bytes == site.moved_bytes


def test_sizes_of_all_codecs_are_those_of_real_streams(store, plan):
    assert [codec.name for codec in store.codecs] == list(CODECS)
    test = load_dataset("mnist", "test").head(IMAGES)
    raw8 = integer_tables(quick_plan(8.0, allocation="raw", calibration_images=32, positions=8192))
    stored = stored_activations(network(), raw8, test.images)
    sizes: dict[str, list[int]] = {}
    for coder in ("zvc", "rle", "ebpc"):
        found = [[stream_bytes(coder, image) for image in stored[site.name]] for site in store.sites]
        sizes[coder] = [math.ceil(sum(images) / IMAGES) for images in found]
        ranges = [size.stream_bytes_range for size in store.codec(coder).sites]
        assert ranges == [(min(images), max(images)) for images in found]
    tables = integer_tables(plan, max_mac_share=1)
    inputs = stored_activations(network(), tables, test.images)
    sizes["actcodec"] = [SiteCodec(site).encode(inputs[site.info.name]).shape[1] for site in tables.sites]
    for bits in (8, 16, 32):
        sizes[f"raw{bits}"] = [site.values * bits // 8 for site in store.sites]
    sizes["plain4"] = [math.ceil(site.values / 2) for site in store.sites]
    check_transactions(run_codecs(store, "DDR4-2400"), sizes)
    assert store.tables_digest and store.codec("raw8").agreement == IMAGES


def test_other_tables_stand_beside_the_store_s_own(store):
    test = load_dataset("mnist", "test").head(IMAGES)
    density = integer_tables(quick_plan(4.0, allocation="density", calibration_images=32), max_mac_share=1)
    ours = Ours(density, network(), "density")
    more = measure_codecs(network(), training(), test, params=density.params, ours=ours, names=["density"])
    assert more.tables_digest is None
    joined = store.joined(more)
    assert joined.tables_digest == store.tables_digest
    assert [codec.name for codec in joined.codecs] == [*CODECS, "density"]
    rate = 8 * sum(size.stream_bytes for size in joined.codec("density").sites) / store.values
    assert rate == density.bpv_stream
    with pytest.raises(ActcodecError, match="'zvc' is the name of another codec"):
        Ours(density, network(), "zvc")
    with pytest.raises(ActcodecError, match=r"'zip' is unknown; known: raw8, .*, density"):
        measure_codecs(network(), training(), test, params=density.params, ours=ours, names=["zip"])


def test_codecs_are_ordered_as_they_should_be(store):
    def bits(name: str) -> float:
        return 8 * sum(size.stream_bytes for size in store.codec(name).sites) / store.values

    assert bits("ebpc") < bits("zvc") < 8 < bits("raw16") == 16
    assert bits("lsq4-zvc") < bits("plain4") == pytest.approx(4, abs=0.01)
    # Padding of the tables' rows is in their rate, not in that of a stream of varying length.
    assert bits("transform-coding") == pytest.approx(bits("actcodec"), rel=0.25)
    ours = store.codec("actcodec").sites
    assert all(size.encode_cycles > 0 and size.header_bytes == 0 for size in ours)
    ebpc = store.codec("ebpc").sites[0]
    assert (ebpc.header_bytes, ebpc.encode_cycles) == (2 * HEADER_BYTES, store.sites[0].values)
    dense = store.codec("transform-coding").sites[-1]
    assert dense.encode.macs == store.sites[-1].values * store.sites[-1].channels
    assert dense.encode.memory_bytes == dense.encode.macs + 3 * store.sites[-1].values


def test_codecs_that_cannot_be_measured_are_named():
    test = load_dataset("mnist", "test").head(1)
    params = load_params("default")
    for names, problem in ((["zip"], "'zip' is unknown; known: raw8"), (["actcodec"], "'actcodec' needs tables")):
        with pytest.raises(ActcodecError, match=problem):
            measure_codecs(network(), training(), test, params=params, names=names)
    with pytest.raises(ActcodecError, match="0 images of 'mnist'; mnist-resnet12 needs 'mnist'"):
        measure_codecs(network(), training(), test.head(0), params=params)


def inside(*arguments: object) -> str:
    """What a command prints, run in this process: starting one takes longer than most commands."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_the_command_line_measures_and_compares(cli, mnist_tables: Path, tmp_path: Path):
    out, table = tmp_path / "codecs.json", tmp_path / "codecs.csv"
    made = cli(
        *("measure", "--tables", mnist_tables, "--codecs", "raw8,raw16,actcodec", "--images", 2),
        *("--calibration-images", 16, "--out", out),
    )
    assert made.returncode == 0, made.stderr
    assert "raw16" in made.stdout and load_codecs(out).images == 2
    inside("measure", "--model", "mnist-resnet12", "--codecs", "raw32", "--images", 2, "--out", out, "--add")
    printed = cli("traffic", "--codecs", out, "--csv", table)
    assert printed.returncode == 0, printed.stderr
    assert "net, batch 16" in printed.stdout and "own multiplications" in printed.stdout
    rows = {row["codec"]: row for row in csv.DictReader(table.read_text().splitlines())}
    assert list(rows) == ["raw8", "raw16", "actcodec", "raw32"] and float(rows["raw8"]["net_pj_1"]) == 0
    answer = json.loads(inside("traffic", "--codecs", out, "--energy", "45nm-analytic", "--json"))
    assert answer["energy"]["constants"]["name"] == "45nm-analytic"
    # The same tables by themselves move the same bytes.
    alone = json.loads(inside("traffic", "--tables", mnist_tables, "--json"))["codecs"][1]
    assert alone["batch_1"]["moved_bytes"] == answer["codecs"][2]["batch_1"]["moved_bytes"]


def test_the_command_line_runs_codecs_on_an_accelerator_and_reports_them(store, tmp_path: Path):
    measured, out = tmp_path / "codecs.json", tmp_path / "report"
    save_codecs(store, measured)
    edge = ("--codecs", measured, "--accelerator", "edge-npu-16x16", "--plan-by", "raw8")
    tiled = json.loads(inside("traffic", *edge, "--json"))
    assert [codec["codec"] for codec in tiled["codecs"]] == list(CODECS)
    balance = {codec["codec"]: codec for codec in tiled["energy"]["codecs"]}
    assert balance["raw8"]["net_pj"] == balance["raw8"]["codec_pj"] == 0 < balance["actcodec"]["codec_pj"]
    inside("report", *edge, "--out", out)
    content = json.loads((out / "traffic.json").read_text())
    assert content["accelerator"] == tiled
    assert [codec["codec"] for codec in content["energy"]["codecs"]] == list(CODECS)
    page = (out / "index.html").read_text()
    assert all(f'id="{section}"' in page for section in ("energy", "accelerator", "roofline"))
    same = inside("compare", out / "traffic.json", out / "traffic.json", "--fail-above", 0)
    assert "net energy saved, batch 16" in same


@pytest.mark.parametrize(
    ("network", "folder"),
    [(network, folder) for network, folder in KEPT_TABLES.items() if (RESULTS / f"codecs_{network}.json").exists()],
)
def test_kept_results_are_of_the_kept_tables(network: str, folder: str):
    tables = load_tables(RESULTS / folder)
    result = json.loads((RESULTS / f"codecs_{network}.json").read_text())
    row = next(row for row in result["codecs"] if row["codec"] == "actcodec")
    assert result["tables_digest"] == digest_of(tables)
    assert row["bpv_stream"] == tables.bpv_stream
    device = load_device(result["device"])
    moved = sum(site.sizes(device.transaction_bytes).transaction_bytes for site in tables.sites)
    assert row["write_bytes"] + row["modify_bytes"] == moved
    assert result["traffic_seconds"] < 60
    kept = RESULTS / "codec_stores" / f"{network}.json"
    if kept.exists():
        store = load_codecs(kept)
        assert store.tables_digest == digest_of(tables)
        for codec, row in zip(store.codecs, result["codecs"], strict=True):
            rate = 8 * sum(size.stream_bytes for size in codec.sites) / store.values
            assert (codec.name, rate, codec.correct) == (row["codec"], row["bpv_stream"], row["correct"])


@needs("imagenet_sample", "pretrained/imagenet_mobilenet_v2_u8.safetensors")
def test_bytes_of_mobilenetv2_at_its_full_size_are_those_of_the_streams():
    big = load_network("imagenet-mobilenetv2")
    sited = sited_network(big)
    image = load_dataset(big.dataset, "test").head(1).images
    params = load_params(Path(__file__).parents[2] / "benchmarks" / "configs" / "imagenet.toml")
    rng = np.random.default_rng(5)
    sizes: dict[str, list[StoredSize]] = {"raw8": [], "ebpc": [], "actcodec": []}

    def look(index: int, tensor: torch.Tensor) -> torch.Tensor:
        site = sited.sites[index]
        low, high = (0.0, 6.0) if site.activation == "relu6" else (float(tensor.min()), float(tensor.max()))
        scale = (high - low) / 255
        x = ActivationRange(scale, round(-low / scale)).quantize(tensor)[0].permute(1, 2, 0).numpy().astype(np.uint8)
        table = synthetic_site(rng, params, site.name, (site.height, site.width, site.channels))
        ours = SiteCodec(table).encode(x).size
        for name, payload, size in (
            ("raw8", 8 * x.size, x.size),
            ("ebpc", 8, stream_bytes("ebpc", x)),
            ("actcodec", table.sizes(1).payload_bits, ours),
        ):
            pair = (payload, payload)
            figures = {"payload_bits": payload, "payload_bits_range": pair, "stream_bytes": size}
            sizes[name].append(StoredSize(**figures, stream_bytes_range=(size, size)))
        return tensor

    with torch.no_grad():
        sited(big.inputs(image), look)
    shapes = [
        SiteShape(name=s.name, channels=s.channels, height=s.height, width=s.width, readers=s.readers, macs=s.macs)
        for s in sited.sites
    ]
    store = CodecStore(
        network=big.name,
        dataset=big.dataset,
        images=1,
        correct=1,
        network_macs=1,
        checkpoint_sha256=big.checkpoint_sha256,
        sites=tuple(shapes),
        codecs=tuple(CodecSizes(name=name, method="", sites=tuple(found)) for name, found in sizes.items()),
    )
    report = run_codecs(store, load_device("DDR4-2400"))
    check_transactions(report, {name: [size.stream_bytes for size in found] for name, found in sizes.items()})
    assert report.codec("raw8").moved_bytes(1) == pytest.approx(6_678_112 + 6_894_496, rel=1e-3)
