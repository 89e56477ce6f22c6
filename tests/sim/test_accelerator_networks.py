"""Whole networks on the presets: what they do shows, and they take seconds."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from actcodec.codecs import load_codecs
from actcodec.configs import configs_folder
from actcodec.graph import LayerGraph
from actcodec.networks import network_spec
from actcodec.networks.layers import layer_graph
from actcodec.networks.mobilenetv2 import MobileNetV2
from actcodec.params import CodecParams
from actcodec.tables import digest_of, load_tables
from actcodec.tables.synthetic import synthetic_site
from actcodec_sim.accelerator import AcceleratorReport, Layout, RowLayout, load_accelerator, simulate_accelerator
from actcodec_sim.dram import load_device

LARGE = CodecParams(
    max_channels=2048, max_coefficients=2048, plane_depth=1024, step_depth=65536, coefficient_depth=65536
)


def coded(graph: LayerGraph) -> dict[str, Layout]:
    """Streams of random tables, at most 4 bits a coefficient."""
    rng = np.random.default_rng(0)
    return {
        tensor.site: RowLayout.coded(
            synthetic_site(rng, LARGE, tensor.site, (tensor.height, tensor.width, tensor.channels), max_width=4)
        )
        for tensor in graph.tensors
        if tensor.site is not None
    }


def report(graph: LayerGraph, name: str, seconds: float) -> AcceleratorReport:
    """Both codecs, in no more processor time than ``seconds``."""
    codecs, device = {"actcodec": coded(graph)}, load_device("LPDDR4-3200")
    started = time.process_time()
    found = simulate_accelerator(graph, load_accelerator(name), device, codecs)
    assert time.process_time() - started < seconds
    return found


@pytest.mark.parametrize("name", ["eyeriss-like", "nvdla-small-like", "edge-npu-16x16"])
def test_resnet20_on_every_preset(name):
    spec = network_spec("cifar10-resnet20")
    graph = layer_graph("resnet20", spec.build(), spec.input_shape)
    found = report(graph, name, 10)
    raw, ours = found.runs
    assert raw.macs == ours.macs == graph.macs
    assert ours.bytes.activations < raw.bytes.activations / 2
    assert raw.bytes.weights >= graph.weight_bytes
    for run in found.runs:
        assert [layer for unit in run.units for layer in unit.layers] == [layer.name for layer in graph.layers]
        for unit in run.units:
            sizes = {memory.name: memory.bytes for memory in found.accelerator.memory}
            assert all(need <= sizes[memory] for memory, need in unit.memory_bytes.items())
            assert unit.staging_bytes <= max(sizes.values())
    shortcuts = any(unit.resident for unit in raw.units)
    assert shortcuts == (name == "edge-npu-16x16")


def test_kept_results_are_of_the_kept_tables_and_took_less_than_a_minute():
    results = Path(__file__).parents[2] / "benchmarks" / "results"
    kept = json.loads((results / "accelerators.json").read_text())
    presets = sorted(path.stem for path in (configs_folder() / "accelerator").glob("*.toml"))
    for network in kept["networks"]:
        assert network["tables_digest"] == digest_of(load_tables(results / network["tables"]))
        assert sorted(network["accelerators"]) == presets
        assert all(found["seconds"] < 60 for found in network["accelerators"].values())
        codecs = ["raw8", "actcodec"]
        if network["codec_store"] is not None:
            store = load_codecs(results / network["codec_store"])
            assert store.tables_digest == network["tables_digest"]
            codecs = [codec.name for codec in store.codecs]
        for found in network["accelerators"].values():
            assert [row["codec"] for row in found["codecs"]] == codecs


def test_mobilenetv2_at_224_with_fused_inverted_residuals():
    model = MobileNetV2(1.0, 1000)
    model.features[0][0].stride = (2, 2)
    for block in (2, 14):
        model.features[block].conv[1][0].stride = (2, 2)
    graph = layer_graph("mobilenetv2", model, (3, 224, 224))
    found = report(graph, "edge-npu-16x16", 60)
    for run in found.runs:
        fused = [unit for unit in run.units if len(unit.layers) > 1]
        # Late blocks have too many weights to stay, or their tensors fit on the chip as well.
        assert len(fused) >= 14
        assert run.bytes.weights < 1.01 * graph.weight_bytes
    stored = sum(tensor.values for tensor in graph.tensors if tensor.site is not None)
    # Of the tensors that a run layer by layer writes, few are left.
    assert found.run("raw8").bytes.activations_write < stored / 5
