"""Accelerator descriptions: the presets, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from actcodec.configs import configs_folder
from actcodec.errors import ActcodecError
from actcodec_sim.accelerator import RowLayout, load_accelerator, simulate_accelerator
from actcodec_sim.dram import load_device
from support.graphs import GraphBuilder, accelerator

PRESETS = sorted(path.stem for path in (configs_folder() / "accelerator").glob("*.toml"))
EDGE = configs_folder() / "accelerator" / "edge-npu-16x16.toml"


@pytest.mark.parametrize("name", PRESETS)
def test_presets_load_under_their_names(name):
    chip = load_accelerator(name)
    assert chip.name == name
    assert all(
        len(section.source) > 20 for section in (chip.array, chip.clock, chip.words, chip.schedule, *chip.memory)
    )


def test_presets_are_those_of_the_documentation():
    text = (Path(__file__).parents[2] / "docs" / "accelerator.md").read_text()
    assert PRESETS == ["edge-npu-16x16", "eyeriss-like", "nvdla-small-like"]
    assert all(f"`{name}`" in text for name in PRESETS)


def test_published_figures():
    eyeriss, nvdla, edge = (load_accelerator(n) for n in ("eyeriss-like", "nvdla-small-like", "edge-npu-16x16"))
    assert eyeriss.array.rows * eyeriss.array.columns == 168
    assert sum(memory.bytes for memory in eyeriss.memory) == 108 * 1024
    assert nvdla.array.rows * nvdla.array.columns == 64
    assert nvdla.memory[0].bytes == 32 * 512 * 8
    assert edge.array.rows == edge.array.columns == 16


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("rows = 16\n", "rows = 0\n", "array.rows = 0: "),
        ("rows = 16\n", "", "array.rows"),
        ("rows = 16\n", "rows = 16\nlanes = 2\n", "array.lanes = 2"),
        ("rows = 16\n", "rows = '16'\n", "array.rows = '16'"),
        ('"weight-stationary"', '"input-stationary"', "array.dataflow = 'input-stationary'"),
        ('"weight-stationary"', '"output-stationary"', "array.accumulators: a output-stationary array has none"),
        ("mhz = 1000.0", "mhz = -1.0", "clock.mhz = -1.0"),
        ("activation_bits = 8", "activation_bits = 4", "words.activation_bits = 4"),
        ("bytes = 262144", "bytes = 0", "memory.0.bytes = 0"),
        (', "outputs"]', "]", "memory: 0 memories hold 'outputs'"),
        (', "outputs"]', ', "outputs", "inputs"]', "memory: 2 memories hold 'inputs'"),
        (', "outputs"]', ', "psums"]', "memory.0.holds.2 = 'psums'"),
        ('residency = "shortcuts"', 'residency = "all"', "schedule.residency = 'all'"),
        ("double_buffering = true", "double_buffering = 1", "schedule.double_buffering = 1"),
        ("[array]", "[array", "is not TOML"),
    ],
)
def test_bad_description_is_refused_in_one_line(tmp_path, old, new, problem):
    path = tmp_path / "bad.toml"
    text = EDGE.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ActcodecError) as error:
        load_accelerator(path)
    assert str(error.value).startswith(f"{path}: {problem}")
    assert "\n" not in str(error.value)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ActcodecError, match=r"no such accelerator configuration; known: edge-npu-16x16, eyeriss-like"):
        load_accelerator("tpu")


def test_what_does_not_belong_to_the_network_is_refused():
    builder = GraphBuilder((16, 8, 8))
    builder.conv("a", "input", 16)
    builder.conv("b", "a", 16)
    graph, device = builder.graph(), load_device("DDR4-2400")
    raw = RowLayout.raw(graph.by_name["a"])
    with pytest.raises(ActcodecError, match="codec x: site 'c' is not in the network test"):
        simulate_accelerator(graph, accelerator(), device, {"x": {"c": raw}})
    small = RowLayout.raw(graph.by_name["a"].model_copy(update={"height": 4}))
    with pytest.raises(ActcodecError, match=r"codec x: site 'a' is \(16, 4, 8\), the network's is \(16, 8, 8\)"):
        simulate_accelerator(graph, accelerator(), device, {"x": {"a": small}})
    tiny = device.model_copy(update={"organization": device.organization.model_copy(update={"rows": 1, "ranks": 1})})
    large = GraphBuilder((512, 64, 64))
    large.conv("a", "input", 16)
    with pytest.raises(ActcodecError, match="the network exceeds the"):
        simulate_accelerator(large.graph(), accelerator(), tiny, {})
