import numpy as np
import pytest
from hypothesis import given, settings

from actcodec.params import CodecParams
from actcodec.tables.cycles import DECODER_LATENCY, ENCODER_LATENCY, decode_cycles, encode_cycles
from actcodec.tables.program import code_steps, decoder_steps, encoder_steps, padding_operations
from actcodec.tables.synthetic import synthetic_site
from support.formulas import dense_backward, dense_forward
from support.sites import TINY, sites

schedule = settings(deadline=None, max_examples=60)


def by_block(steps, index_of):
    """Steps of a position cut where the block of their members changes."""
    groups = []
    for step in steps:
        block = index_of(step)
        if not groups or groups[-1][0] != block:
            groups.append((block, []))
        groups[-1][1].append(step)
    return groups


def check_fresh(steps, count):
    """Every index 0…count − 1 is taken once and in order, and before it is used."""
    taken = []
    for step in steps:
        used = range(step.first, step.last + 1)
        assert step.first <= step.last < count
        fresh = [i for i in used if i >= step.fresh]
        assert step.fresh == len(taken)
        taken += fresh
        assert all(i in taken for i in used)
        assert step.matrix.shape[0] == len(used) == step.operations
    assert taken == list(range(count))


def block_of_channel(site, channel):
    return next(j for j, block in enumerate(site.info.blocks) if block.channels[0] <= channel < block.channels[1])


def block_of_coefficient(site, k):
    return next(block for block in site.info.blocks if block.coefficients[0] <= k < block.coefficients[1])


def kept_of(site, number):
    return [k for k in range(*site.info.blocks[number].coefficients) if site.arrays.width[k]]


@schedule
@given(sites())
def test_encoder_takes_every_beat_once_and_in_order(site):
    lanes, rows = site.params.lanes, site.params.rows
    for plane in site.planes:
        steps = iter(encoder_steps(site, plane))
        for j in range(plane.first_block, plane.last_block):
            c0, c1 = site.info.blocks[j].channels
            kept = kept_of(site, j)
            mine = [next(steps) for _ in range(max(1, -(-len(kept) // rows)))]
            check_fresh(mine, -(-(c1 - c0) // lanes))
            assert [k for step in mine for k in step.members] == kept
            assert all(len(step.members) <= rows for step in mine)
        assert next(steps, None) is None


@schedule
@given(sites())
def test_encoder_multiplies_by_all_of_p(site):
    P, lanes = dense_forward(site), site.params.lanes
    found = np.zeros_like(P)
    for plane in site.planes:
        for step in encoder_steps(site, plane):
            for row, k in enumerate(step.members):
                c0, c1 = block_of_coefficient(site, k).channels
                for i in range(step.first, step.last + 1):
                    beat = range(c0 + i * lanes, min(c1, c0 + (i + 1) * lanes))
                    found[k, beat] += step.matrix[i - step.first, row, : len(beat)]
            assert not step.matrix[:, len(step.members) :].any()
    found[site.arrays.width == 0] = P[site.arrays.width == 0]
    assert np.array_equal(found, P)


@schedule
@given(sites())
def test_decoder_takes_every_code_step_once_and_in_order(site):
    lanes, rows = site.params.lanes, site.params.rows
    for plane in site.planes:
        groups = by_block(decoder_steps(site, plane), lambda step: block_of_channel(site, step.members[0]))
        assert [j for j, _ in groups] == list(range(plane.first_block, plane.last_block))
        for j, mine in groups:
            c0, c1 = site.info.blocks[j].channels
            count = -(-len(kept_of(site, j)) // rows)
            if count:
                check_fresh(mine, count)
            else:
                assert all((step.operations, step.fresh > step.last) == (1, True) for step in mine)
            assert [c for step in mine for c in step.members] == list(range(c0, c1))
            assert len(mine) == -(-(c1 - c0) // lanes)


@schedule
@given(sites())
def test_decoder_multiplies_by_all_of_r(site):
    R, rows = dense_backward(site), site.params.rows
    found = np.zeros_like(R)
    for plane in site.planes:
        for step in decoder_steps(site, plane):
            kept = kept_of(site, block_of_channel(site, step.members[0]))
            for lane, c in enumerate(step.members):
                for i in range(step.first, step.last + 1):
                    codes = kept[i * rows : (i + 1) * rows]
                    found[c, codes] += step.matrix[i - step.first, : len(codes), lane]
    found[:, site.arrays.width == 0] = R[:, site.arrays.width == 0]
    assert np.array_equal(found, R)


@schedule
@given(sites())
def test_code_steps_are_the_stored_coefficients_in_table_order(site):
    found = [code_steps(site, plane) for plane in site.planes]
    flat = [k for plane in found for step in plane for k in step]
    assert flat == np.flatnonzero(site.arrays.width).tolist()
    assert all(1 <= len(step) <= site.params.rows for plane in found for step in plane)
    for step in (step for plane in found for step in plane):
        assert any(set(step) <= set(range(*block.coefficients)) for block in site.info.blocks)


@schedule
@given(sites())
def test_padding_operations_fill_the_row_up_to_its_pitch(site):
    for plane in site.planes:
        bits, words = padding_operations(site, plane)
        assert 0 <= bits < site.params.word_bits
        assert bits + words * site.params.word_bits == plane.padding_bits(site.info.width)


def dense_site(params, channels, transform="project", order="position-major"):
    """A site without a zero in P, R and the widths (on the diagonal for identity)."""
    site = synthetic_site(
        np.random.default_rng(0), params, "dense", (2, 3, channels), transform=transform, keep=1.0, order=order
    )
    for block in site.info.blocks:
        (c0, c1), (k0, k1) = block.channels, block.coefficients
        for array, rows in ((site.arrays.P, slice(k0, k1)), (site.arrays.R, slice(c0, c1))):
            cut = array[rows, : c1 - c0]
            cut[...] = np.eye(c1 - c0) if transform == "identity" else 1
    site.arrays.width[:] = np.maximum(site.arrays.width, 1)
    return site


BUILDS = [TINY, CodecParams(), CodecParams(lanes=16, rows=8), CodecParams(lanes=2, rows=8)]


@pytest.mark.parametrize("params", BUILDS, ids=lambda p: f"{p.lanes}x{p.rows}")
@pytest.mark.parametrize("channels", [1, 7, 8, 16, 21, 48])
def test_a_dense_block_costs_its_tiles(params, channels):
    site = dense_site(params, channels)
    expected = sum(
        -(-(b.coefficients[1] - b.coefficients[0]) // params.rows) * -(-(b.channels[1] - b.channels[0]) // params.lanes)
        for b in site.info.blocks
    )
    for steps_of in (encoder_steps, decoder_steps):
        assert sum(step.operations for step in steps_of(site, site.planes[0])) == expected


@pytest.mark.parametrize("params", BUILDS, ids=lambda p: f"{p.lanes}x{p.rows}")
def test_identity_costs_the_diagonal_only(params):
    channels = 2 * params.block
    dense, identity = dense_site(params, channels), dense_site(params, channels, "identity")
    for steps_of in (encoder_steps, decoder_steps):
        costs = [sum(step.operations for step in steps_of(site, site.planes[0])) for site in (dense, identity)]
        assert costs[1] == channels // min(params.lanes, params.rows)
        if params.block > max(params.lanes, params.rows):
            assert costs[1] < costs[0]


@pytest.mark.parametrize(("order", "planes"), [("position-major", 1), ("block-major", 3)])
def test_cycles_of_a_dense_site_worked_out_by_hand(order, planes):
    # Blocks of 8: 4 steps × 2 beats = 8 operations each; 24 channels = 3 blocks; 2 × 3 positions.
    site = dense_site(TINY, 24, order=order)
    site.arrays.width[:] = 5
    pads = 1  # 3 positions of 40 or 120 bits leave a part of a word
    work = 2 * (3 * 3 * 8) + 2 * planes * pads + (planes - 1)
    assert encode_cycles(site) == work + ENCODER_LATENCY
    assert decode_cycles(site) == work - pads + DECODER_LATENCY
