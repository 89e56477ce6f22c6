import math
from fractions import Fraction

import numpy as np
import pytest

from actcodec.fixedpoint import requantize_activation, requantize_code, round_shift, saturate


@pytest.mark.parametrize("shift", range(10))
def test_round_shift_is_rounding_half_up_of_the_quotient(shift):
    values = np.arange(-1200, 1201)
    expected = [math.floor(Fraction(int(v), 2**shift) + Fraction(1, 2)) for v in values]
    assert round_shift(values, shift).tolist() == expected


def test_halves_round_towards_plus_infinity():
    assert round_shift(np.array([-6, -2, 2, 6]), 2).tolist() == [-1, 0, 1, 2]


@pytest.mark.parametrize("value", [-(2**31), -(2**31) + 1, -1, 0, 1, 2**30, 2**31 - 1])
@pytest.mark.parametrize("shift", [0, 1, 15, 30, 31])
def test_round_shift_is_exact_at_the_limits_of_the_accumulator(value, shift):
    assert int(round_shift(value, shift)) == math.floor(Fraction(value, 2**shift) + Fraction(1, 2))


def test_round_shift_does_not_overflow_narrow_inputs():
    value = np.array([127, -128], dtype=np.int8)
    assert round_shift(value, np.array([7, 7], dtype=np.uint8)).tolist() == [1, -1]
    assert round_shift(value, 0).dtype == np.int64


def test_round_shift_broadcasts_a_shift_a_column():
    assert round_shift(np.array([[8, 8, 8], [9, 9, 9]]), np.array([0, 1, 2])).tolist() == [[8, 4, 2], [9, 5, 2]]


def test_saturate_keeps_both_limits():
    assert saturate(np.arange(-3, 8), 0, 4).tolist() == [0, 0, 0, 0, 1, 2, 3, 4, 4, 4, 4]


@pytest.mark.parametrize("width", range(9))
def test_a_code_has_its_width(width):
    acc = np.arange(-600, 1200)
    expected = [min(max(math.floor(Fraction(int(a), 2) + Fraction(1, 2)), 0), 2**width - 1) for a in acc]
    assert requantize_code(acc, 1, width).tolist() == expected


def test_a_code_of_width_0_is_0():
    assert requantize_code(np.array([-5, 0, 1 << 30]), 3, np.zeros(3, dtype=np.uint8)).tolist() == [0, 0, 0]


def test_an_activation_is_clamped_after_the_zero_point_is_added():
    acc = np.arange(-800, 800)
    expected = [min(max(math.floor(Fraction(int(a), 4) + Fraction(1, 2)) + 100, 20), 230) for a in acc]
    assert requantize_activation(acc, 2, 100, 20, 230).tolist() == expected
