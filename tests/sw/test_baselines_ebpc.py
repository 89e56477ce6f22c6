"""EBPC: the streams and sizes of its reference implementation, equality with plain bit strings, decoding."""

import importlib.util
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from actcodec.baselines import BitStream, Coded
from actcodec.baselines.ebpc import decode, encode
from actcodec.baselines.planes import decode_planes
from actcodec.data import data_root
from actcodec.errors import ActcodecError
from actcodec.files import read_json

thorough = settings(deadline=None, max_examples=300)

spec = importlib.util.spec_from_file_location(
    "baseline_speed", Path(__file__).parents[2] / "benchmarks" / "baseline_speed.py"
)
bit_strings = importlib.util.module_from_spec(spec)
spec.loader.exec_module(bit_strings)

# Whole bit-plane streams that the reference implementation (stream-ebpc, commit b1dc45b) makes.
WORKED = {
    "ramp": ([1, 2, 3, 4, 5, 6, 7, 8], "000000010000000000001101"),
    "flat": ([9] * 8, "00001001001111"),
    "mixed": (
        [255, 1, 128, 64, 3, 3, 3, 200],
        "1111111110101001110000011100100100011110001000100110010001100111000001",
    ),
    "short": ([5, 6, 7], "000001010000000000001101"),
    "single": ([42], ""),
}


def reference_folder() -> Path | None:
    try:
        folder = data_root() / "ebpc_reference"
    except ActcodecError:
        return None
    return folder if folder.is_dir() else None


def array(values) -> np.ndarray:
    return np.array(values, dtype=np.uint8)


def stream(name: str, text: str) -> BitStream:
    bits = np.array([int(bit) for bit in text], dtype=np.uint8)
    return BitStream(name, np.packbits(bits).tobytes(), len(text))


def walk(draws) -> np.ndarray:
    """Values that move in small steps, 0 now and then: every symbol becomes common."""
    value, values = 100, []
    for kind, step in draws:
        value = (value + step) % 256 if kind else value
        values.append(0 if kind == 2 else value)
    return array(values)


walks = st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0, 1, -1, 2, -2, 4, 16, -64, 128])), min_size=1).map(
    walk
)
sparse = st.lists(st.one_of(st.just(0), st.integers(0, 255)), min_size=1, max_size=120).map(array)
widths = st.integers(1, 8)


def plane_stream(values: list[int], width: int) -> str:
    """The bit-plane stream as a string of '0' and '1': plane after plane, each from the values' own bits."""
    present, text = [value for value in values if value != 0], ""
    for block in (present[i : i + 8] for i in range(0, len(present), 8) if i + 1 < len(present)):
        text, run, below = text + f"{block[0]:0{width}b}", 0, "0" * (len(block) - 1)
        for k in range(width + 1):
            plane = "".join(str((b - a) >> k & 1) for a, b in pairwise(block))
            dbx = "".join(str(int(a != b)) for a, b in zip(plane, below, strict=True))
            if "1" in dbx:
                text, run = text + bit_strings.plane_run(run) + bit_strings.plane_symbol(dbx, plane, len(block)), -1
            run, below = run + 1, plane
        text += bit_strings.plane_run(run)
    return text


# --- equality with the reference


@pytest.mark.parametrize("name", WORKED)
def test_worked_plane_streams(name):
    values, planes = WORKED[name]
    coded = encode(array(values))
    assert coded.stream("planes").text == planes
    assert coded.stream("zero").text == "1" * len(values)
    assert (coded.bits, coded.values) == (len(planes) + len(values), len(values))


def test_worked_zero_stream():
    coded = encode(array([0] * 20 + [7, 0, 0, 0]))
    assert coded.stream("zero").text == "0111100011100010"
    assert coded.stream("planes").text == ""
    assert (coded.bits, coded.leftover) == (16, 7)


@pytest.mark.parametrize(
    ("width", "values", "symbols"),
    [
        # Deltas 1 1 1 1 1 1 0, so plane 0 is 1111110 and planes 1…3 are zero.
        pytest.param(3, [1, 2, 3, 4, 5, 6, 7, 7], ["001", "11111110", "00001", "001000"], id="ramp of 3 bits"),
        # Delta −6 is 1010 in 4 bits: planes 0 1 0 1, DBX 0 1 1 1.
        pytest.param(3, [7, 1], ["111", "01", "00000", "00000", "00000"], id="fall of 3 bits"),
        # Deltas 0 2 0: planes 000 010 000, DBX 000 010 010.
        pytest.param(2, [1, 1, 3, 3], ["01", "01", "0001101", "00001"], id="step of 2 bits"),
        pytest.param(1, [1, 1, 1], ["1", "001000"], id="ones of 1 bit"),
        pytest.param(5, [17], [], id="a single value"),
    ],
)
def test_worked_plane_streams_of_other_widths(width, values, symbols):
    coded = encode(array(values), width=width)
    assert coded.stream("planes").text == "".join(symbols)
    assert coded.stream("zero").text == "1" * len(values)
    assert decode(coded, width=width).tolist() == values


@pytest.mark.skipif(reference_folder() is None, reason="needs ebpc_reference/ under the data root")
@pytest.mark.parametrize("site", ["s3", "s9", "s15"])
def test_sizes_and_streams_of_real_tensors_are_those_of_the_reference(site):
    expected = read_json(reference_folder() / "reference.json")["sites"][site]
    with np.load(reference_folder() / "resnet20_sites.npz") as archive:
        x = archive[site]
    coded = encode(x)
    zero, planes = coded.stream("zero"), coded.stream("planes")
    assert list(x.shape) == expected["shape"]
    assert coded.values == expected["values"]
    assert (zero.bits, planes.bits) == (expected["zero_stream_bits"], expected["bpc_stream_bits"])
    assert coded.bits == expected["bits"]
    assert zero.text.startswith(expected["zero_stream_head"])
    assert planes.text.startswith(expected["bpc_stream_head"])
    assert np.array_equal(decode(coded), x.ravel())


@pytest.mark.skipif(reference_folder() is None, reason="needs ebpc_reference/ under the data root")
def test_the_worked_examples_are_those_of_the_reference():
    small = read_json(reference_folder() / "reference.json")["small"]
    assert {name: (case["values"], case["bpc"]) for name, case in small.items() if "bpc" in case} == WORKED
    assert small["zeros_run"] == {"values": [0] * 20 + [7, 0, 0, 0], "zero_stream": "0111100011100010"}


# --- equality with plain bit strings, and decoding


@thorough
@given(st.one_of(walks, sparse))
@example(array([0]))
@example(array([1]))
@example(array([0] * 16))
@example(array([0] * 17 + [1]))
@example(array([0] * 8))
@example(array([255, 1] * 9))
def test_streams_are_the_bit_strings_and_decode_to_the_values(x):
    coded = encode(x)
    assert coded.stream("zero").text == bit_strings.zero_stream(x.tolist())
    assert coded.stream("planes").text == bit_strings.plane_stream(x.tolist())
    assert np.array_equal(decode(coded), x)


@thorough
@given(st.one_of(walks, sparse), widths)
def test_streams_of_every_width_are_the_bit_strings_and_decode_to_the_values(x, width):
    x = x & ((1 << width) - 1)
    coded = encode(x, width=width)
    assert coded.stream("zero").text == bit_strings.zero_stream(x.tolist())
    assert coded.stream("planes").text == plane_stream(x.tolist(), width)
    assert np.array_equal(decode(coded, width=width), x)


@pytest.mark.parametrize(("width", "longest"), [(1, 10), (2, 6), (3, 3)])
def test_every_tensor_of_a_few_narrow_values(width, longest):
    for count in range(1, longest + 1):
        for values in product(range(1, 1 << width), repeat=count):
            coded = encode(array(values), width=width)
            assert coded.stream("planes").text == plane_stream(list(values), width)
            assert tuple(decode(coded, width=width)) == values


def test_every_block_of_two_values():
    first, second = np.indices((255, 255)).reshape(2, -1) + 1
    # Blocks of 8 between them would shift the pairs: a pair has to be a tensor of its own.
    for a, b in zip(first[::7].tolist(), second[::7].tolist(), strict=True):
        coded = encode(array([a, b]))
        assert coded.stream("planes").text == bit_strings.plane_stream([a, b])
        assert decode(coded).tolist() == [a, b]


def test_a_large_sparse_tensor():
    rng = np.random.default_rng(0)
    x = np.maximum(rng.normal(-10, 40, (64, 33, 31)), 0).astype(np.uint8)
    coded = encode(x)
    assert coded.stream("zero").text == bit_strings.zero_stream(x.ravel().tolist())
    assert coded.stream("planes").text == bit_strings.plane_stream(x.ravel().tolist())
    assert np.array_equal(decode(coded), x.ravel())


# --- the value that a last block of one leaves over


@pytest.mark.parametrize(("count", "leftover"), [(1, 1), (7, None), (8, None), (9, 9), (10, None), (17, 17)])
def test_a_last_block_of_one_value_costs_nothing_and_is_kept_beside_the_streams(count, leftover):
    x = array([*range(1, count + 1), 0])
    coded = encode(x)
    assert coded.leftover == leftover
    assert coded.uncounted_bits == (0 if leftover is None else 8)
    whole = x[: count - 1] if leftover else x[:count]
    assert coded.stream("planes").bits == (encode(whole).stream("planes").bits if whole.size else 0)
    assert np.array_equal(decode(coded), x)


@pytest.mark.parametrize("width", range(1, 9))
def test_the_value_left_over_has_the_width_of_the_others(width):
    coded = encode(array([1]), width=width)
    assert (coded.leftover, coded.uncounted_bits) == (1, width)
    with pytest.raises(ActcodecError, match=f"leftover = {1 << width}, expected 1…{(1 << width) - 1}"):
        decode(replace(coded, leftover=1 << width), width=width)


def test_decoding_does_not_invent_the_value_left_over():
    coded = encode(array([42]))
    for wrong in (None, 0, 256, -1):
        with pytest.raises(ActcodecError, match=f"leftover = {wrong}, expected 1…255"):
            decode(replace(coded, leftover=wrong))
    with pytest.raises(ActcodecError, match="leftover = 3, expected None"):
        decode(replace(encode(array([42, 43])), leftover=3))


# --- streams that no encoder makes


@pytest.mark.parametrize(
    "symbols",
    [
        pytest.param(["00000101", "00001", "001110"], id="plane 0 is zero though its DBX is not"),
        pytest.param(["00000101", *["01"] * 8, "001000"], id="a run goes beyond the last plane"),
        pytest.param(["00000101", "0001110", "001110"], id="a single one at position 2 of 2"),
        pytest.param(["00000101", "0001001", "001110"], id="two ones from position 1 of 2 on"),
        pytest.param(["00000000", "001111"], id="the first value is zero"),
        pytest.param(["00000001", "00000", "001110"], id="a later value is zero"),
        pytest.param(["11111111", "00000", "00000", "001101"], id="a value above 255"),
        pytest.param(["00000101", "001111", "01"], id="ten planes"),
    ],
)
def test_malformed_plane_streams_are_refused(symbols):
    coded = Coded(3, (stream("zero", "111"), stream("planes", "".join(symbols))))
    with pytest.raises(ActcodecError, match="stream planes"):
        decode(coded)


@pytest.mark.parametrize(
    "symbols",
    [
        pytest.param(["111", "00000", "00000", "001000"], id="a value above 7"),
        pytest.param(["001", "001011"], id="a run goes beyond plane 3"),
        pytest.param(["001", "001010", "01"], id="five planes"),
        pytest.param(["000", "001010"], id="the first value is zero"),
    ],
)
def test_malformed_plane_streams_of_3_bits_are_refused(symbols):
    coded = Coded(3, (stream("zero", "111"), stream("planes", "".join(symbols))))
    with pytest.raises(ActcodecError, match="stream planes"):
        decode(coded, width=3)


def test_a_well_formed_hand_made_stream_is_taken():
    x = array([0, 0, 0])
    decode_planes(stream("planes", "00000101" + "00000" + "00000" + "001101"), 8, x)
    assert x.tolist() == [5, 6, 7]


@thorough
@given(sparse, widths, st.data())
def test_a_cut_or_longer_stream_is_refused(x, width, data):
    coded = encode(x >> (8 - width), width=width)
    victim = data.draw(st.sampled_from([s.name for s in coded.streams if s.bits]))
    text = coded.stream(victim).text
    change = data.draw(st.sampled_from(["cut", "longer"]))
    text = text[: data.draw(st.integers(0, len(text) - 1))] if change == "cut" else text + "0"
    streams = tuple(stream(s.name, text) if s.name == victim else s for s in coded.streams)
    with pytest.raises(ActcodecError, match=f"stream {victim}"):
        decode(replace(coded, streams=streams), width=width)


@thorough
@given(st.integers(1, 40), st.binary(max_size=40), st.binary(max_size=40), widths)
def test_any_bytes_decode_or_are_refused(values, zero, planes, width):
    streams = (BitStream("zero", zero, 8 * len(zero)), BitStream("planes", planes, 8 * len(planes)))
    with suppress(ActcodecError):
        x = decode(Coded(values, streams), width=width)
        assert x.shape == (values,) and x.max() < 1 << width
