"""All lossless coders: worked examples of ZVC and RLE, round trips, refusals; what the documents say of them."""

import json
import re
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from actcodec.baselines import CODERS, BitStream, Coded
from actcodec.cli.baseline import BaselineName
from actcodec.errors import ActcodecError

ROOT = Path(__file__).parents[2]
thorough = settings(deadline=None, max_examples=200)
names = pytest.mark.parametrize("name", CODERS)

densities = st.sampled_from([0.0, 0.05, 0.5, 0.95, 1.0])
shapes = array_shapes(min_dims=0, max_dims=4, max_side=9)


def tensor(shape, density, seed) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.asarray(rng.integers(1, 256, shape) * (rng.random(shape) < density), dtype=np.uint8)


tensors = st.builds(tensor, shapes, densities, st.integers(0, 1 << 32))
widths = st.integers(1, 8)


# --- worked by hand


def test_zvc_worked_example():
    coded = CODERS["zvc"].encode(np.array([0, 5, 0, 255, 0], dtype=np.uint8))
    assert coded.stream("groups").text == "01010" + "00000101" + "11111111"
    assert (coded.bits, coded.values, coded.bits_per_value) == (5 + 16, 5, 4.2)


def test_zvc_bitmaps_are_of_32_values():
    x = np.zeros(34, dtype=np.uint8)
    x[[0, 31, 33]] = 1, 2, 3
    text = CODERS["zvc"].encode(x).stream("groups").text
    assert text == "1" + "0" * 30 + "1" + "00000001" + "00000010" + "01" + "00000011"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([0, 0, 0, 5], "00010" + "100000101"),
        ([255, 0], "111111111" + "00000"),
        ([0] * 16, "01111"),
        ([0] * 17, "01111" + "00000"),
        ([0] * 16 + [1], "01111" + "100000001"),
        ([128, 1], "110000000" + "100000001"),
    ],
)
def test_rle_worked_examples(values, text):
    coded = CODERS["rle"].encode(np.array(values, dtype=np.uint8))
    assert coded.stream("runs").text == text
    assert coded.bits == len(text)


def test_zvc_worked_example_of_3_bits():
    coded = CODERS["zvc"].encode(np.array([0, 5, 0, 7, 0], dtype=np.uint8), width=3)
    assert coded.stream("groups").text == "01010" + "101" + "111"
    assert CODERS["zvc"].decode(coded, width=3).tolist() == [0, 5, 0, 7, 0]


def test_rle_worked_example_of_3_bits():
    coded = CODERS["rle"].encode(np.array([0, 0, 0, 5], dtype=np.uint8), width=3)
    assert coded.stream("runs").text == "00010" + "1101"
    assert CODERS["rle"].decode(coded, width=3).tolist() == [0, 0, 0, 5]


# --- round trips and sizes


@names
@thorough
@given(x=tensors)
def test_round_trip(name, x):
    coded = CODERS[name].encode(x)
    found = CODERS[name].decode(coded)
    assert found.dtype == np.uint8
    assert np.array_equal(found, x.ravel())
    assert coded.values == x.size


@names
@thorough
@given(x=arrays(np.uint8, array_shapes(max_side=40, max_dims=2)))
def test_round_trip_of_what_hypothesis_thinks_of(name, x):
    assert np.array_equal(CODERS[name].decode(CODERS[name].encode(x)), x.ravel())


@names
@thorough
@given(x=tensors, width=widths)
def test_round_trip_of_every_width(name, x, width):
    narrow = x >> (8 - width)
    coded = CODERS[name].encode(narrow, width=width)
    assert np.array_equal(CODERS[name].decode(coded, width=width), narrow.ravel())


@names
@given(x=tensors)
def test_a_value_has_8_bits_unless_said_otherwise(name, x):
    assert CODERS[name].encode(x) == CODERS[name].encode(x, width=8)


@thorough
@given(tensors, widths)
def test_sizes_are_those_of_the_formulas(x, width):
    x = x >> (8 - width)
    nonzero = np.count_nonzero(x)
    runs = [len(run) for run in re.findall("z+", "".join("z" if v == 0 else "n" for v in x.ravel()))]
    symbols = sum(-(-run // 16) for run in runs)
    assert CODERS["zvc"].encode(x, width=width).bits == x.size + width * nonzero
    assert CODERS["rle"].encode(x, width=width).bits == (1 + width) * nonzero + 5 * symbols
    assert CODERS["ebpc"].encode(x, width=width).stream("zero").bits == nonzero + 5 * symbols


@names
def test_order_is_that_of_the_indices_not_of_the_memory(name):
    x = tensor((3, 5, 7), 0.5, 0)
    assert CODERS[name].encode(np.asfortranarray(x)) == CODERS[name].encode(x)
    assert CODERS[name].encode(x[::-1, :, ::2]) == CODERS[name].encode(x[::-1, :, ::2].copy())


# --- refusals


@names
def test_what_is_not_uint8_or_is_empty_is_refused(name):
    with pytest.raises(ActcodecError, match=f"{name}: values are int8, expected uint8"):
        CODERS[name].encode(np.ones(3, dtype=np.int8))
    with pytest.raises(ActcodecError, match=rf"{name}: has shape \(0, 3\): no values"):
        CODERS[name].encode(np.ones((0, 3), dtype=np.uint8))


@names
@pytest.mark.parametrize("width", range(1, 8))
def test_a_value_that_does_not_fit_is_refused(name, width):
    limit = 1 << width
    x = np.array([[0, limit - 1], [limit, 255]], dtype=np.uint8)
    with pytest.raises(
        ActcodecError, match=rf"^{name}: value 2 = {limit}, expected 0…{limit - 1} at a width of {width}"
    ):
        CODERS[name].encode(x, width=width)
    assert CODERS[name].encode(x[0], width=width).values == 2


@names
@pytest.mark.parametrize("width", [-1, 0, 9])
def test_other_widths_are_refused(name, width):
    x = np.ones(3, dtype=np.uint8)
    with pytest.raises(ActcodecError, match=f"^{name}: width = {width}, expected 1…8"):
        CODERS[name].encode(x, width=width)
    with pytest.raises(ActcodecError, match=f"^{name}: width = {width}, expected 1…8"):
        CODERS[name].decode(CODERS[name].encode(x), width=width)


@names
def test_a_missing_stream_is_refused(name):
    with pytest.raises(ActcodecError, match="is absent; there are: other"):
        CODERS[name].decode(Coded(1, (BitStream("other", b"", 0),)))


def test_impossible_sizes_are_refused():
    with pytest.raises(ActcodecError, match="stream x: has 1 bytes for 9 bits"):
        BitStream("x", b"a", 9)
    with pytest.raises(ActcodecError, match="values = 0"):
        Coded(0, ())


@pytest.mark.parametrize(("name", "stream"), [("zvc", "groups"), ("rle", "runs")])
@pytest.mark.parametrize("width", [1, 3, 8])
def test_a_zero_that_is_marked_as_none_is_refused(name, stream, width):
    bits = "1" + "0" * width
    content = bytes([0x80, 0][: -(-len(bits) // 8)])
    coded = Coded(1, (BitStream(stream, content, len(bits)),))
    with pytest.raises(ActcodecError, match=f"stream {stream}: of {len(bits)} bits holds a symbol that no encoder"):
        CODERS[name].decode(coded, width=width)


@pytest.mark.parametrize("name", ["zvc", "rle"])
@thorough
@given(x=tensors, width=widths, data=st.data())
def test_a_cut_or_longer_stream_is_refused(name, x, width, data):
    coded = CODERS[name].encode(x >> (8 - width), width=width)
    (stream,) = coded.streams
    bits = data.draw(st.one_of(st.integers(0, stream.bits - 1), st.integers(stream.bits + 1, stream.bits + 20)))
    content = (stream.content + bytes(4))[: -(-bits // 8)]
    with pytest.raises(ActcodecError, match=f"stream {stream.name}"):
        CODERS[name].decode(replace(coded, streams=(BitStream(stream.name, content, bits),)), width=width)


@pytest.mark.parametrize("name", ["zvc", "rle"])
@thorough
@given(values=st.integers(1, 100), content=st.binary(max_size=60), width=widths)
def test_any_bytes_decode_or_are_refused(name, values, content, width):
    stream = {"zvc": "groups", "rle": "runs"}[name]
    coded = Coded(values, (BitStream(stream, content, 8 * len(content)),))
    with suppress(ActcodecError):
        x = CODERS[name].decode(coded, width=width)
        assert x.shape == (values,) and x.max() < 1 << width


# --- command line, imports, documents


def cli(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "actcodec", "baseline", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_the_command_line_prints_exact_bits(tmp_path):
    np.save(tmp_path / "x.npy", np.asfortranarray(np.array([[[0, 1], [2, 3]]], dtype=np.uint8)))
    result = cli("zvc", tmp_path / "x.npy", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == {
        "coder": "zvc",
        "bits": 28,
        "values": 4,
        "bits_per_value": 7.0,
        "streams": {"groups": 28},
        "uncounted_bits": 0,
    }
    assert "28 bits, 7.000 bits a value" in cli("zvc", tmp_path / "x.npy").stdout


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (np.zeros(3, dtype=np.float32), "ebpc", ("x.npy", "float32", "uint8")),
        (np.zeros((0, 2), dtype=np.uint8), "rle", ("x.npy", "(0, 2)", "no values")),
        (b"not an array", "zvc", ("x.npy", "not a .npy array")),
        (None, "zvc", ("x.npy", "cannot be read")),
        (np.zeros(3, dtype=np.uint8), "lzw", ("lzw", "ebpc")),
    ],
)
def test_bad_input_is_one_line(tmp_path, content, name, words):
    path = tmp_path / "x.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    result = cli(name, path, "--json")
    lines = result.stderr.splitlines()
    assert (result.returncode, result.stdout, len(lines)) == (2, "", 1), result.stderr
    assert lines[0].startswith("error: ") and all(word in lines[0] for word in words), lines[0]


def test_the_command_line_knows_every_coder():
    assert [name.value for name in BaselineName] == list(CODERS)


def test_import_does_not_need_torch():
    code = "import sys; sys.modules['torch'] = None; import actcodec.baselines, actcodec.cli.baseline"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_the_document_shows_the_measured_sizes():
    text = (ROOT / "docs" / "baselines.md").read_text()
    result = json.loads((ROOT / "benchmarks" / "results" / "baseline_speed.json").read_text())
    for name, site in result["sites"].items():
        bits = site["bits"]
        row = [f"`{name}`", "×".join(map(str, site["shape_chw"])), *(f"{bits[coder]:,}" for coder in CODERS)]
        row += [f"{site['ebpc_reference_bits']:,}", f"{bits['ebpc'] / site['values']:.3f}"]
        assert f"| {' | '.join(row)} |" in text, row
        assert bits["ebpc"] == site["ebpc_reference_bits"]
    assert result["ebpc_encode_times_faster"] >= 100
    assert result["command"] in text
