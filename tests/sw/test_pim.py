"""The golden model of the process-in-memory macro equals integer arithmetic; layers on it equal integer layers."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from actcodec.errors import ActcodecError
from actcodec.pim import PimMode, PimParams, convolution, linear, load_pim_params, multiply
from actcodec.pim.codes import code_range, input_words, result_beats, segment_bits, slices
from actcodec.pim.model import shift_add
from actcodec.pim.params import WIDTHS
from support.pim import MODES, TINY, random_codes


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("signs", list(product((True, False), repeat=2)), ids=str)
def test_all_pairs_of_narrow_operands(bits: int, signs: tuple[bool, bool]) -> None:
    mode = PimMode(bits, bits, *signs)
    weights, inputs = (np.arange(low, high + 1) for low, high in (code_range(bits, sign) for sign in signs))
    outputs = TINY.outputs(bits)
    for first in range(0, len(weights), outputs):
        part = weights[None, first : first + outputs]
        assert np.array_equal(multiply(TINY, mode, part, inputs[:, None])[:, : part.size], inputs[:, None] * part)


@settings(max_examples=120, deadline=None)
@given(
    mode=st.sampled_from(MODES),
    rows=st.sampled_from([16, 48]),
    columns=st.sampled_from([16, 32]),
    used=st.tuples(st.integers(1, 16), st.integers(1, 2)),
    seed=st.integers(0, 2**32 - 1),
)
def test_outputs_are_those_of_matrix_multiplication(
    mode: PimMode, rows: int, columns: int, used: tuple[int, int], seed: int
) -> None:
    params, rng = PimParams(rows=rows, columns=columns), np.random.default_rng(seed)
    inputs, outputs = used[0], min(used[1], params.outputs(mode.weight_bits))
    weights = random_codes(rng, mode.weight_bits, mode.weight_signed, (inputs, outputs))
    vectors = random_codes(rng, mode.input_bits, mode.input_signed, (3, inputs))
    found = multiply(params, mode, weights, vectors)
    assert np.array_equal(found[:, :outputs], vectors @ weights)
    assert not found[:, outputs:].any()


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_the_largest_sums_fit_the_results(mode: PimMode) -> None:
    params = PimParams(rows=64, columns=16)
    for weight, x in product(
        code_range(mode.weight_bits, mode.weight_signed), code_range(mode.input_bits, mode.input_signed)
    ):
        weights = np.full((64, params.outputs(mode.weight_bits)), weight)
        found = multiply(params, mode, weights, np.full((1, 64), x))
        assert (found == 64 * weight * x).all()
        limit = 1 << (params.result_bits(mode.weight_bits) - 1)
        assert -limit <= found.min() and found.max() < limit
        (beat,) = result_beats(params, mode.weight_bits, found)
        assert beat >> segment_bits(params) == 0


def test_a_wrong_sign_slice_is_no_multiplication() -> None:
    rng = np.random.default_rng(0)
    columns = rng.integers(0, 100, (5, 16))
    assert not np.array_equal(shift_add(PimMode(4, 4, True), columns), shift_add(PimMode(4, 4, False), columns))


def test_words_hold_the_lowest_rows_first() -> None:
    mode = PimMode(8, 4)
    vector = np.arange(16)
    words = input_words(TINY, mode, vector[None])[0]
    assert words.shape == (4, 16)
    assert np.array_equal(words.reshape(16, 4), slices(vector, 4))


@settings(max_examples=25, deadline=None)
@given(
    mode=st.sampled_from(MODES),
    channels=st.integers(1, 5),
    filters=st.integers(1, 9),
    kernel=st.sampled_from([(1, 1), (3, 3), (2, 3)]),
    stride=st.integers(1, 2),
    padding=st.integers(0, 1),
    grouped=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_convolution_is_the_integer_convolution(
    mode: PimMode,
    channels: int,
    filters: int,
    kernel: tuple[int, int],
    stride: int,
    padding: int,
    grouped: bool,
    seed: int,
) -> None:
    rng, groups = np.random.default_rng(seed), channels if grouped else 1
    filters *= groups
    x = random_codes(rng, mode.input_bits, mode.input_signed, (2, channels, 5, 6))
    weights = random_codes(rng, mode.weight_bits, mode.weight_signed, (filters, channels // groups, *kernel))
    # Integers below 2^53 are exact in float64.
    wanted = torch.nn.functional.conv2d(
        torch.from_numpy(x).double(), torch.from_numpy(weights).double(), None, stride, padding, 1, groups
    )
    found = convolution(TINY, mode, x, weights, stride=stride, padding=padding, groups=groups)
    assert np.array_equal(found, wanted.numpy().astype(np.int64))


def test_linear_adds_the_tiles_of_rows_up() -> None:
    rng, mode = np.random.default_rng(1), PimMode(8, 8, True, True)
    vectors, weights = random_codes(rng, 8, True, (7, 50)), random_codes(rng, 8, True, (50, 9))
    assert np.array_equal(linear(TINY, mode, vectors, weights), vectors @ weights)


def test_the_border_has_its_own_code() -> None:
    x, weights = np.zeros((1, 1, 2, 2), np.int64), np.ones((1, 1, 3, 3), np.int64)
    assert convolution(TINY, PimMode(2, 2), x, weights, padding=1, pad_code=3)[0, 0, 0, 0] == 5 * 3


@pytest.mark.parametrize(
    ("weights", "vectors", "problem"),
    [
        (np.full((4, 2), 8), np.zeros((1, 4), int), "weights: 8…8 is outside of -8…7, 4 bits"),
        (np.zeros((4, 2), int), np.full((1, 4), -1), "inputs: -1…-1 is outside of 0…15, 4 bits"),
        (np.zeros((17, 2), int), np.zeros((1, 4), int), "weights: 17 × 2 do not fit the array's 16 × 4 of 4 bits"),
        (np.zeros((4, 2), int), np.zeros((1, 17), int), "inputs: 17 do not fit the array's 16 rows"),
        (np.zeros((4, 2)), np.zeros((1, 4), int), "weights: holds float64 and not integers"),
    ],
)
def test_what_does_not_fit_is_refused(weights: np.ndarray, vectors: np.ndarray, problem: str) -> None:
    with pytest.raises(ActcodecError, match="^" + problem.replace("(", r"\(")):
        multiply(TINY, PimMode(4, 4), weights, vectors)


def test_layers_whose_shapes_do_not_go_together_are_refused() -> None:
    with pytest.raises(ActcodecError, match="do not go together"):
        linear(TINY, PimMode(2, 2), np.zeros((1, 3), int), np.zeros((4, 1), int))
    with pytest.raises(ActcodecError, match="do not fit"):
        convolution(TINY, PimMode(2, 2), np.zeros((1, 3, 4, 4), int), np.zeros((1, 4, 1, 1), int))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rows = 20", "rows = 20 is not a multiple of 16"),
        ("columns = 64\ntrees = 3", "trees = 3 do not divide the 4 segments of columns = 64"),
        ("cells = 4", "cells = 4: Extra inputs are not permitted"),
        ("rows =", "is not TOML"),
    ],
)
def test_impossible_configurations_are_refused(text: str, problem: str, tmp_path) -> None:
    path = tmp_path / "array.toml"
    path.write_text(text)
    with pytest.raises(ActcodecError, match=problem):
        load_pim_params(path)


def test_shipped_configurations_load_and_unknown_widths_are_refused() -> None:
    assert load_pim_params("tiny") == TINY
    assert load_pim_params("default").outputs(16) == 4
    assert load_pim_params("wide").beats == 4
    assert [PimMode(bits, 8).name for bits in WIDTHS] == ["s2xu8", "s4xu8", "s8xu8", "s16xu8"]
    with pytest.raises(ActcodecError, match="weight_bits = 3 is none of 2, 4, 8, 16"):
        PimMode(3, 8)
