from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from pydantic import ValidationError

from actcodec.errors import ActcodecError
from actcodec.golden import SiteCodec
from actcodec.tables import Block
from actcodec.tables.accumulators import decode_accumulator_range, encode_accumulator_range
from actcodec.tables.model import array_names
from actcodec.tables.synthetic import synthetic_site
from support.formulas import decode_sums, dense_backward, dense_forward, encode_sums
from support.sites import TINY, activations, changed, one_project_site, sites, small_tables


def refusal(make) -> str:
    with pytest.raises(ActcodecError) as caught:
        make()
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def edited(site, name, index, value):
    """The site with one number of an array changed."""
    array = getattr(site.arrays, name).copy()
    array[index] = value
    return changed(site, **{name: array})


def blocks(*ranges):
    return tuple(Block(channels=c, coefficients=k) for c, k in ranges)


SITE = one_project_site(shape=(2, 3, 12))
IDENTITY = synthetic_site(np.random.default_rng(0), TINY, "skip", (2, 2, 12), transform="identity")
BYPASS = synthetic_site(np.random.default_rng(0), TINY, "raw", (2, 2, 12), transform="bypass")
NARROW = TINY.model_copy(update={"max_channels": 11})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"transform": "folded"}, "transform = 'folded' is not supported by this codec build"),
        ({"params": TINY.model_copy(update={"transforms": ("bypass",)})}, "transform = 'project' is not supported"),
        (
            {"params": TINY.model_copy(update={"orders": ("block-major",)})},
            "order = 'position-major' is not supported by this codec build",
        ),
        ({"align_bits": 96}, "align_bits = 96 is not a multiple of word_bits = 64"),
        ({"params": NARROW}, "channels = 12 exceeds the codec's max_channels = 11"),
        ({"params": TINY.model_copy(update={"max_coefficients": 11})}, "coefficients = 12 exceeds the codec's max"),
        ({"height": 257}, "height = 257 exceeds the codec's max_side = 256"),
        ({"width": 300}, "width = 300 exceeds the codec's max_side = 256"),
        ({"zero": 5, "low": 6, "high": 255}, "zero = 5 is outside low…high = 6…255"),
        ({"zero": 9, "low": 0, "high": 8}, "zero = 9 is outside low…high = 0…8"),
        ({"channels": 13}, "blocks cover 12 of 13 channels"),
        ({"blocks": blocks(((0, 12), (0, 12)))}, "blocks[0] has 12 channels; the codec's block is 8"),
        ({"blocks": blocks(((0, 8), (0, 4)), ((8, 12), (4, 12)))}, "blocks[1] has 8 coefficients for 4 channels"),
        ({"blocks": blocks(((0, 8), (0, 8)), ((7, 12), (8, 12)))}, "blocks[1] = 7…12, 8…12 does not continue at 8, 8"),
        ({"blocks": blocks(((0, 8), (0, 8)), ((8, 12), (9, 12)))}, "blocks[1] = 8…12, 9…12 does not continue at 8, 8"),
        ({"blocks": blocks(((0, 8), (0, 8)), ((8, 8), (8, 8)))}, "blocks[1] = 8…8, 8…8 does not continue"),
        ({"blocks": blocks(((0, 8), (0, 8)), ((8, 12), (8, 7)))}, "blocks[1] = 8…12, 8…7 does not continue"),
    ],
)  # fmt: skip
def test_geometry_that_the_build_does_not_have_is_refused(change, complaint):
    assert f"site conv1: {complaint}" in refusal(lambda: changed(SITE, **change))


@pytest.mark.parametrize(
    ("name", "index", "value", "complaint"),
    [
        ("width", 3, 9, "width[3] = 9 is out of range 0…8"),
        ("shift", 2, 32, "shift[2] = 32 is out of range 0…31"),
        ("left_shift", 1, 8, "left_shift[1] = 8 is out of range 0…7"),
        ("channel_order", 4, 5, "channel_order is not a permutation of the channels"),
        ("P", (9, 4), 1, "blocks[1]: P or R has entries outside its block"),
        ("R", (11, 7), -1, "blocks[1]: P or R has entries outside its block"),
    ],
)
def test_a_number_out_of_range_is_refused(name, index, value, complaint):
    assert refusal(lambda: edited(SITE, name, index, value)) == f"site conv1: {complaint}"


@pytest.mark.parametrize("name", array_names("project"))
def test_an_array_of_another_type_or_shape_is_refused(name):
    array = getattr(SITE.arrays, name)
    for wrong in (array.astype(np.int64), array[:-1], array[..., None]):
        assert refusal(lambda wrong=wrong: changed(SITE, **{name: wrong})).startswith(
            f"site conv1: {name} is {wrong.dtype}{list(wrong.shape)}, expected {array.dtype}{list(array.shape)}"
        )


@pytest.mark.parametrize("site", [IDENTITY, BYPASS], ids=["identity", "bypass"])
@pytest.mark.parametrize("name", ["P", "R"])
def test_a_diagonal_site_with_an_entry_off_the_diagonal_is_refused(site, name):
    message = refusal(lambda: edited(site, name, (1, 0), 1))
    assert f"transform = {site.info.transform!r} has entries off the diagonal in channels 0…8" in message


def test_a_diagonal_site_needs_a_coefficient_a_channel():
    dropped = {
        name: array[:-1] for name, array in IDENTITY.arrays.items() if name not in ("R", "bias_out", "channel_order")
    }
    R = IDENTITY.arrays.R.copy()
    R[11] = 0
    cut = blocks(((0, 8), (0, 8)), ((8, 12), (8, 11)))
    assert "transform = 'identity' needs K = C, got K = 11" in refusal(
        lambda: changed(IDENTITY, blocks=cut, R=R, **dropped)
    )


@pytest.mark.parametrize(
    ("name", "index", "value"),
    [
        ("P", (2, 2), 2), ("R", (2, 2), -1), ("width", 0, 7), ("shift", 1, 1), ("left_shift", 1, 1), ("bias", 5, -3),
        ("bias_out", 5, 3),
    ],
)  # fmt: skip
def test_a_bypass_site_that_changes_a_byte_is_refused(name, index, value):
    message = refusal(lambda: edited(BYPASS, name, index, value))
    assert message == "site raw: transform = 'bypass' does not return its bytes unchanged"


def test_a_bypass_site_with_a_right_shift_is_refused():
    assert "does not return its bytes unchanged" in refusal(lambda: changed(BYPASS, output_shift=1))


def test_a_bypass_site_still_clamps_to_its_range():
    clamped = changed(BYPASS, zero=0, low=0, high=200, bias=BYPASS.arrays.bias * 0, bias_out=BYPASS.arrays.bias_out * 0)
    x = activations(clamped, 0)
    codec = SiteCodec(clamped)
    assert np.array_equal(codec.decode(codec.encode(x)), np.minimum(x, 200))


# --- accumulators


def small_site(seed, channels=5, **changes):
    return changed(synthetic_site(np.random.default_rng(seed), TINY, "conv1", (1, 1, channels), keep=0.8), **changes)


@pytest.mark.parametrize("seed", range(12))
def test_the_encoder_range_is_exact(seed):
    site = small_site(seed)
    extremes = np.array(list(product((0, 255), repeat=5)), dtype=np.uint8)
    sums = encode_sums(site, extremes)
    half = 2 ** site.arrays.shift.astype(np.int64) // 2
    low, high = encode_accumulator_range(site)
    assert low.tolist() == sums.min(axis=0).tolist()
    assert high.tolist() == (sums.max(axis=0) + half).tolist()


@pytest.mark.parametrize("seed", range(12))
def test_the_decoder_range_is_exact(seed):
    site = small_site(seed)
    extremes = np.array(list(product((0, 1), repeat=site.coefficients)), dtype=np.int64)
    sums = decode_sums(site, extremes * (2 ** site.arrays.width.astype(np.int64) - 1))
    low, high = decode_accumulator_range(site)
    assert low.tolist() == sums.min(axis=0).tolist()
    assert high.tolist() == (sums.max(axis=0) + 2 ** (site.info.output_shift - 1)).tolist()


def test_no_input_leaves_the_encoder_range():
    site = small_site(3, channels=2)
    every = np.array(list(product(range(256), repeat=2)), dtype=np.uint8)
    sums = encode_sums(site, every)
    low, high = encode_accumulator_range(site)
    assert (low == sums.min(axis=0)).all()
    assert (high >= sums.max(axis=0)).all()


@settings(deadline=None, max_examples=60)
@given(sites())
def test_ranges_of_sites_of_many_blocks_are_those_of_their_extreme_inputs(site):
    P, info = dense_forward(site), site.info
    for sign, limit in ((1, encode_accumulator_range(site)[1]), (-1, encode_accumulator_range(site)[0])):
        for k in range(site.coefficients):
            x = np.where(sign * P[k] > 0, 255, 0).astype(np.uint8)
            extra = 2 ** int(site.arrays.shift[k]) // 2 if sign > 0 else 0
            assert encode_sums(site, x)[k] + extra == limit[k]
    R, largest = dense_backward(site), 2 ** site.arrays.width.astype(np.int64) - 1
    for sign, limit in ((1, decode_accumulator_range(site)[1]), (-1, decode_accumulator_range(site)[0])):
        for c in range(info.channels):
            extra = 2**info.output_shift // 2 if sign > 0 else 0
            assert decode_sums(site, np.where(sign * R[c] > 0, largest, 0))[c] + extra == limit[c]


@pytest.mark.parametrize(("bits", "sign"), list(product((16, 20, 24), (1, -1))))
@pytest.mark.parametrize(("side", "field"), [("encoder", "bias"), ("decoder", "bias_out")])
def test_an_accumulator_is_refused_one_beyond_its_limit(side, field, bits, sign):
    params = TINY.model_copy(update={"acc_bits": bits})
    site = small_site(0)
    zeroed = {"P": site.arrays.P // 16, "R": site.arrays.R // 64, "shift": np.minimum(site.arrays.shift, 6)}
    site = changed(
        site, params=params, **zeroed, bias=site.arrays.bias * 0, bias_out=site.arrays.bias_out * 0,
        left_shift=site.arrays.left_shift * 0,
    )  # fmt: skip
    low, high = (encode_accumulator_range if side == "encoder" else decode_accumulator_range)(site)
    room = 2 ** (bits - 1) - 1 - int(high[2]) if sign > 0 else -(2 ** (bits - 1)) - int(low[2])
    assert edited(site, field, 2, room).coefficients == site.coefficients
    message = refusal(lambda: edited(site, field, 2, room + sign))
    reached = f"{int(low[2]) + room + sign}…{int(high[2]) + room + sign}"
    assert message == f"site conv1: {side} accumulator 2 reaches {reached}, more than acc_bits = {bits} hold"


# --- accounting


def test_table_bytes_of_a_project_site_worked_out_by_hand():
    width = SITE.arrays.width.copy()
    width[:] = 4
    width[[1, 9]] = 0
    site = changed(SITE, width=width)
    # 7 of 8 coefficients over 8 channels and 3 of 4 over 4; 10 kept of 12, 12 channels.
    assert site.decode_multiplications == 7 * 8 + 3 * 4
    assert site.table_bytes == 2 * 68 + 4 * (10 + 12) + 10 + 6 + 1
    assert site.macs == 68 * 2 * 3 * (1 + site.info.readers)


def test_identity_and_bypass_are_cheap():
    kept = int((IDENTITY.arrays.width > 0).sum())
    assert IDENTITY.decode_multiplications == kept
    assert IDENTITY.table_bytes == 2 * kept + 4 * (kept + 12) + kept + 6 + 1
    assert (BYPASS.decode_multiplications, BYPASS.table_bytes, BYPASS.macs) == (0, 0, 0)


def test_bits_per_value_of_the_tables():
    tables = small_tables()
    values = sum(s.info.channels * s.info.height * s.info.width for s in tables.sites)
    stream = sum(s.sizes(64).stream_bytes for s in tables.sites)
    table = sum(s.table_bytes for s in tables.sites)
    assert (tables.values, tables.stream_bytes, tables.table_bytes) == (values, stream, table)
    assert tables.bpv_stream == 8 * stream / values
    assert tables.bpv_net(1) == 8 * (stream + table) / values
    assert tables.bpv_net(16) == 8 * (stream + table / 16) / values


def test_block_start_of_every_channel():
    assert SITE.block_start.tolist() == [[0, 0]] * 8 + [[8, 8]] * 4


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"sites": ()}, "tables: sites is empty"),
        ({"sites": (SITE, SITE)}, "tables: site name 'conv1' is not unique"),
        ({"params": TINY.model_copy(update={"max_sites": 6})}, "tables: 7 sites exceed max_sites = 6"),
        ({"transaction_bytes": 48}, "tables: transaction_bytes = 48 is not a power of two"),
        ({"transaction_bytes": 0}, "tables: transaction_bytes = 0 is not a power of two"),
    ],
)
def test_tables_that_do_not_fit_together_are_refused(change, complaint):
    assert refusal(lambda: replace(small_tables(), **change)) == complaint


def test_sites_are_found_by_name():
    tables = small_tables()
    assert tables.site("bypass") is tables.sites[-1]
    assert refusal(lambda: tables.site("conv9")).startswith("tables: site = 'conv9' is unknown; known: synthetic0, ")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""), ("channels", 0), ("height", 0), ("width", -1), ("align_bits", 4), ("scale", 0.0),
        ("scale", float("inf")), ("zero", 256), ("low", -1), ("high", 256), ("output_shift", 32), ("readers", 0),
        ("blocks", ()), ("transform", "fourier"), ("order", "spiral"), ("colour", 1),
    ],
)  # fmt: skip
def test_a_field_out_of_range_is_refused_by_name(field, value):
    content = {**SITE.info.model_dump(), field: value}
    with pytest.raises(ValidationError, match=field):
        type(SITE.info).model_validate(content)
