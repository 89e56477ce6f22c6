"""Layer graphs: their windows and files, SCALE-Sim topologies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actcodec.errors import ActcodecError
from actcodec.graph import Axis, Layer, LayerGraph, Read, Tensor, read_graph, read_topology, write_graph

HEADER = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"

AXES = st.builds(Axis, kernel=st.integers(1, 5), stride=st.integers(1, 3), pad=st.integers(-2, 4))


def conv(**changes) -> dict:
    fields = {
        "name": "a",
        "kind": "conv",
        "reads": [{"tensor": "input"}],
        "output": "a",
        "inputs": 4,
        "outputs": 8,
        "height": 5,
        "width": 6,
        "macs": 4 * 8 * 30,
        "weight_bytes": 32,
    }
    return {**fields, **changes}


def graph(**changes) -> LayerGraph:
    tensors = [
        {"name": "input", "channels": 4, "height": 5, "width": 6},
        {"name": "a", "channels": 8, "height": 5, "width": 6},
    ]
    fields = {"network": "n", "tensors": tensors, "layers": [conv()], **changes}
    return LayerGraph.model_validate_json(json.dumps(fields))


@given(AXES, st.integers(0, 9), st.integers(1, 9), st.integers(1, 30))
def test_window_holds_what_the_outputs_read(axis, first, count, size):
    wanted = axis.wanted(first, first + count, size)
    read = {
        position
        for out in range(first, first + count)
        for position in range(out * axis.stride - axis.pad, out * axis.stride - axis.pad + axis.kernel)
        if 0 <= position < size
    }
    if axis.kernel == 1:
        assert set(wanted) == read
    else:
        assert read <= set(wanted)
        # Nothing more than the gaps between windows.
        gap = max(0, axis.stride - axis.kernel)
        assert not read or (min(read) - wanted[0] <= gap and wanted[-1] - max(read) <= gap)


@given(AXES, AXES, st.integers(40, 50), st.integers(1, 5))
def test_windows_one_after_the_other(before, after, first, count):
    # Far from the edges, where nothing is cut off.
    both = before.then(after).wanted(first, first + count, 1 << 12)
    inner = after.wanted(first, first + count, 1 << 12)
    apart = before.wanted(inner[0], inner[-1] + 1, 1 << 12)
    assert (both[0], both[-1]) == (apart[0], apart[-1])
    assert set(both) <= set(range(apart[0], apart[-1] + 1))


def test_graph_survives_its_file(tmp_path):
    write_graph(tmp_path / "g.json", graph())
    assert read_graph(tmp_path / "g.json") == graph()
    assert (graph().macs, graph().weight_bytes, graph().readers) == (960, 32, {"input": (0,), "a": ()})


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"layers": [conv(macs=1)]}, "layers.0 = .*: macs = 1, expected 960"),
        ({"layers": [conv(weight_bytes=31)]}, "weight_bytes = 31, expected 32"),
        ({"layers": [conv(groups=3)]}, "groups = 3 do not divide 4 inputs and 8 outputs"),
        ({"layers": [conv(kind="lstm")]}, "layers.0.kind = 'lstm'"),
        ({"layers": [conv(output="b")]}, "layer a: tensor 'b' is unknown"),
        ({"layers": [conv(), conv()]}, "layer 'a' occurs twice"),
        ({"layers": [conv(reads=[{"tensor": "a"}])]}, "layer a reads 'a' before it is written"),
        ({"layers": [conv(), conv(name="b")]}, "layer b: tensor 'a' is written twice"),
        ({"layers": []}, "layers = "),
        ({"tensors": []}, "tensors = "),
    ],
)
def test_bad_graph_is_refused_in_one_line(tmp_path, changes, problem):
    content = json.loads(graph().model_dump_json())
    (tmp_path / "g.json").write_text(json.dumps({**content, **changes}))
    with pytest.raises(ActcodecError, match=problem) as error:
        read_graph(tmp_path / "g.json")
    assert "\n" not in str(error.value)


def test_other_files_are_refused(tmp_path):
    for text, problem in (("{}", "is no actcodec-graph file"), ("[]", "is no actcodec-graph"), ("{", "is not JSON")):
        (tmp_path / "g.json").write_text(text)
        with pytest.raises(ActcodecError, match=problem):
            read_graph(tmp_path / "g.json")


# --- SCALE-Sim


def topology(folder: Path, *lines: str) -> LayerGraph:
    path = folder / "net.csv"
    path.write_text(HEADER + "".join(line + "\n" for line in lines))
    return read_topology(path)


def test_chain_of_a_topology(tmp_path):
    found = topology(
        tmp_path,
        "Conv1, 34, 34, 3, 3, 3, 16, 1,",
        "Conv2, 34, 34, 3, 3, 16, 32, 2,",
        "Conv3, 10, 10, 3, 3, 32, 8, 1",
        "",
        "FC, 1, 1, 1, 1, 512, 10, 1,",
    )
    assert found.network == "net"
    assert [layer.name for layer in found.layers] == ["Conv1", "Conv2", "Conv3", "FC"]
    assert [(t.name, t.channels, t.height, t.width, t.site) for t in found.tensors] == [
        ("input", 3, 34, 34, None),
        ("Conv1", 16, 32, 32, "Conv1"),
        # 16 × 16 computed, pooled to the 8 × 8 that the next one pads to 10 × 10.
        ("Conv2", 32, 8, 8, "Conv2"),
        ("Conv3", 8, 8, 8, "Conv3"),
        ("FC", 10, 1, 1, None),
    ]
    second = found.layers[1]
    assert (second.height, second.fused) == (16, ("pool",))
    assert second.reads[0].rows == Axis(kernel=5, stride=4, pad=1)
    assert found.layers[3].reads[0].rows == Axis(kernel=8, stride=8)
    assert found.macs == 32 * 32 * 9 * 3 * 16 + 16 * 16 * 9 * 16 * 32 + 64 * 9 * 32 * 8 + 5120
    assert found.weight_bytes == 9 * (3 * 16 + 16 * 32 + 32 * 8) + 5120


def test_depthwise_line_of_a_topology(tmp_path):
    found = topology(
        tmp_path,
        "Expand, 14, 14, 1, 1, 16, 96, 1,",
        "Depthwise, 16, 16, 3, 3, 96, 1, 1,",
        "Project, 14, 14, 1, 1, 96, 24, 1,",
    )
    layer = found.layers[1]
    assert (layer.kind, layer.groups, layer.outputs, layer.macs) == ("depthwise", 96, 96, 96 * 9 * 196)
    assert layer.reads[0].rows == Axis(kernel=3, pad=1)


def test_pooling_without_padding(tmp_path):
    found = topology(tmp_path, "C1, 14, 14, 5, 5, 1, 6, 1,", "C2, 5, 5, 5, 5, 6, 16, 1,")
    assert (found.by_name["C1"].height, found.layers[0].reads[0].rows) == (5, Axis(kernel=6, stride=2))


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ([], "has no layer"),
        (["a, 8, 8, 3, 3, 4, 8"], "line 2: 7 columns, expected 8"),
        (["a, 8, 8, 3, x, 4, 8, 1,"], "line 2: Filter Width = 'x' is no number from 1 to 65536"),
        (["a, 8, 8, 3, 3, 4, 8, 0,"], "line 2: Strides = '0' is no number"),
        (["a, 8, 8, 9, 3, 4, 8, 1,"], "line 2: Filter Height = 9 exceeds the IFMAP's 8"),
        ([", 8, 8, 3, 3, 4, 8, 1,"], "line 2: Layer name is empty"),
        (["a, 8, 8, 3, 3, 4, 8, 1,"] * 2, "line 2: Layer name 'a' occurs twice"),
        (["a, 8, 8, 3, 3, 4, 8, 1,", "b, 8, 8, 3, 3, 4, 8, 1,"], "line 3: Channels = 4, but the layer before makes 8"),
        (["a, 8, 8, 3, 3, 4, 8, 1,", "b, 9, 9, 3, 3, 8, 8, 1,"], "line 3: IFMAP Height = 9, but .* makes 6"),
    ],
)
def test_bad_topology_is_refused_in_one_line(tmp_path, lines, problem):
    with pytest.raises(ActcodecError, match=problem) as error:
        topology(tmp_path, *lines)
    assert str(error.value).startswith(str(tmp_path / "net.csv"))


def test_topology_needs_its_header(tmp_path):
    (tmp_path / "net.csv").write_text("M, N, K\n1, 2, 3\n")
    with pytest.raises(ActcodecError, match="line 1: expected the columns Layer name, IFMAP Height"):
        read_topology(tmp_path / "net.csv")
    (tmp_path / "net.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(ActcodecError, match="is not text"):
        read_topology(tmp_path / "net.csv")


def test_parts_of_a_graph_cannot_be_changed():
    layer = graph().layers[0]
    assert isinstance(layer, Layer) and isinstance(layer.reads[0], Read)
    with pytest.raises(Exception, match="frozen"):
        layer.macs = 3
    assert Tensor(name="t", channels=2, height=3, width=4).values == 24
