import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actcodec.params import CodecParams
from actcodec.tables.cycles import DECODER_LATENCY, ENCODER_LATENCY, decode_cycles, encode_cycles, repeat
from actcodec.tables.program import (
    code_planes,
    code_records,
    decoder_beats,
    decoder_operations,
    encoder_operations,
    padding,
)
from actcodec.tables.synthetic import synthetic_site
from support.formulas import dense_backward, dense_forward
from support.sites import BUILDS, TINY, sites

schedule = settings(deadline=None, max_examples=60)


def steps_of(operations):
    """Operations of a position cut behind those marked ``last``; what comes after the last of them apart."""
    steps, step = [], []
    for operation in operations:
        assert operation.first == (not step) or not any(o.last for o in operations[operations.index(operation) :])
        step.append(operation)
        if operation.last:
            steps.append(step)
            step = []
    return steps, step


def check_fresh(operations, counts):
    """Every index of every block is taken once and in order, and before it is used; ``counts`` indices a block."""
    blocks = iter(counts)
    count, taken = 0, 0
    for operation in operations:
        if operation.fresh and operation.index == 0:
            assert taken == count
            count, taken = next(blocks), 0
        if operation.fresh:
            assert operation.index == taken
            taken += 1
        assert operation.index < max(taken, 1)
    assert taken == count and next(blocks, None) is None


def kept_of(site, number):
    return [k for k in range(*site.info.blocks[number].coefficients) if site.arrays.width[k]]


def is_diagonal(site):
    return site.info.transform in ("identity", "bypass")


@schedule
@given(sites())
def test_encoder_takes_every_beat_once_and_in_order(site):
    lanes = site.params.lanes
    for plane in site.planes:
        blocks = site.info.blocks[plane.first_block : plane.last_block]
        check_fresh(encoder_operations(site, plane), [-(-(b.channels[1] - b.channels[0]) // lanes) for b in blocks])


@schedule
@given(sites())
def test_results_and_records_belong_together(site):
    """Every result of the encoder's array, and every group of the decoder's, has its records."""
    for plane in site.planes:
        ends = sum(record.ends for record in code_records(site, plane))
        assert sum(operation.last for operation in encoder_operations(site, plane)) == ends
        assert sum(operation.fresh for operation in decoder_operations(site, plane)) == ends


@schedule
@given(sites())
def test_encoder_multiplies_by_all_of_p(site):
    P, codes = dense_forward(site), site.params.codes_per_cycle
    found = np.zeros_like(P)
    for plane in site.planes:
        records = iter(code_records(site, plane))
        beats = iter(decoder_beats(site, plane))
        block = {}
        pending = []
        for operation in encoder_operations(site, plane):
            if operation.fresh:
                if operation.index == 0:
                    block = {}
                block[operation.index] = next(beats)
            pending.append((operation, block[operation.index]))
            if not operation.last:
                continue
            members = []
            while True:
                record = next(records)
                members += record.slots
                if record.ends:
                    break
            for before, channels in pending:
                for slot, k in enumerate(members):
                    if k is None:
                        continue
                    if before.diagonal:
                        lane = before.part * codes + slot
                        found[k, channels[lane]] += before.matrix[0, lane]
                    else:
                        found[k, channels] += before.matrix[slot, : len(channels)]
            pending = []
        assert next(beats, None) is None
    found[site.arrays.width == 0] = P[site.arrays.width == 0]
    assert np.array_equal(found, P)


@schedule
@given(sites())
def test_decoder_takes_every_group_once_and_in_order_and_gives_every_beat(site):
    for plane in site.planes:
        operations = decoder_operations(site, plane)
        if not is_diagonal(site):
            groups = [-(-len(kept_of(site, j)) // site.params.rows) for j in range(plane.first_block, plane.last_block)]
            check_fresh(operations, [count for count in groups if count])
        steps, rest = steps_of(operations)
        assert not rest
        assert [{o.step for o in step} for step in steps] == [{n} for n in range(len(decoder_beats(site, plane)))]


@schedule
@given(sites())
def test_decoder_multiplies_by_all_of_r(site):
    R, rows, codes = dense_backward(site), site.params.rows, site.params.codes_per_cycle
    found = np.zeros_like(R)
    for plane in site.planes:
        beats, records, groups = decoder_beats(site, plane), iter(code_records(site, plane)), {}
        for operation in decoder_operations(site, plane):
            if operation.fresh:
                members = []
                while True:
                    record = next(records)
                    members += record.slots
                    if record.ends:
                        break
                groups[operation.index] = members
            for lane, c in enumerate(beats[operation.step]):
                if operation.diagonal:
                    k = groups[0][lane % codes] if lane // codes == operation.part else None
                    if k is not None:
                        found[c, k] += operation.matrix[0, lane]
                    else:
                        assert not operation.matrix[0, lane]
                    continue
                for slot in range(rows):
                    entry = operation.matrix[slot, lane]
                    if entry:
                        found[c, groups[operation.index][slot]] += entry
        assert next(records, None) is None
    found[:, site.arrays.width == 0] = R[:, site.arrays.width == 0]
    assert np.array_equal(found, R)


@schedule
@given(sites())
def test_records_are_the_stored_coefficients_in_table_order(site):
    found = [code_records(site, plane) for plane in site.planes]
    flat = [k for plane in found for record in plane for k in record.slots if k is not None]
    assert flat == np.flatnonzero(site.arrays.width).tolist()
    for plane in found:
        for record in plane:
            assert len(record.slots) == site.params.codes_per_cycle
            assert any(k is not None for k in record.slots)
    assert len(code_planes(site)) == sum(bool(plane) for plane in found)


@schedule
@given(sites())
def test_padding_fills_the_row_up_to_its_pitch(site):
    word = site.params.word_bits
    for plane in site.planes:
        partial, words = padding(site, plane)
        begun = -(site.info.width * plane.position_bits) % word
        assert partial == (begun > 0)
        assert begun + words * word == plane.padding_bits(site.info.width)


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


SHAPES = [
    CodecParams(lanes=lanes, rows=rows, codes=codes)
    for lanes, rows, codes in [(8, 4, 8), (8, 8, 8), (8, 16, 8), (16, 4, 8), (2, 8, 2), (8, 16, 2), (4, 1, 1)]
]


@pytest.mark.parametrize("params", SHAPES, ids=lambda p: f"{p.lanes}x{p.rows}x{p.codes}")
@pytest.mark.parametrize("channels", [16, 48])
def test_a_dense_block_costs_its_tiles_or_its_records_whatever_is_more(params, channels):
    site = dense_site(params, channels)
    plane = site.planes[0]
    blocks = channels // 16
    tiles = blocks * -(-16 // params.rows) * -(-16 // params.lanes)
    assert len(encoder_operations(site, plane)) == len(decoder_operations(site, plane)) == tiles
    records = blocks * -(-16 // params.rows) * -(-params.rows // params.codes_per_cycle)
    assert len(code_records(site, plane)) == records
    positions = site.info.height * site.info.width
    least = positions * max(tiles, records)
    assert 0 <= encode_cycles(site) - least <= ENCODER_LATENCY + params.rows + 2 * site.info.height
    # One group is gathered ahead: further ones of a block, several records each, are waited for.
    waits = (
        records - tiles if tiles < records else max(0, params.rows // params.codes_per_cycle - 1) * (16 // params.rows)
    )
    most = DECODER_LATENCY + params.rows + 2 * site.info.height + positions * blocks * waits
    assert 0 <= decode_cycles(site) - least <= most


@pytest.mark.parametrize("params", SHAPES, ids=lambda p: f"{p.lanes}x{p.rows}x{p.codes}")
def test_identity_moves_as_many_channels_a_cycle_as_codes(params):
    site = dense_site(params, 48, "identity")
    count = 48 // params.codes_per_cycle
    assert len(encoder_operations(site, site.planes[0])) == len(decoder_operations(site, site.planes[0])) == count
    positions = site.info.height * site.info.width
    for cycles, latency in ((encode_cycles(site), ENCODER_LATENCY), (decode_cycles(site), DECODER_LATENCY)):
        assert latency <= cycles - positions * count <= latency + 5


def test_eight_activations_a_cycle_projected_and_unprojected():
    params = CodecParams(lanes=8, rows=16)
    for transform in ("project", "identity"):
        site = dense_site(params, 64, transform)
        site.arrays.width[:] = 4
        wide = site.info.model_copy(update={"height": 16, "width": 16})
        site = type(site)(wide, site.arrays, params)
        for cycles in (encode_cycles(site), decode_cycles(site)):
            assert wide.values / cycles > 7.9


@pytest.mark.parametrize(("order", "planes"), [("position-major", 1), ("block-major", 3)])
def test_cycles_of_a_dense_site_worked_out_by_hand(order, planes):
    # Blocks of 8: 4 steps × 2 beats = 8 operations each, a record a step; 24 channels = 3 blocks; 2 × 3 positions.
    site = dense_site(TINY, 24, order=order)
    site.arrays.width[:] = 5
    # Rows of 40 or 120 bits leave a part of a word: its padding passes while the next step is computed. Behind the
    # last operation come the way to the first record, the record and its padding.
    assert encode_cycles(site) == 2 * 3 * 3 * 8 + 1 + 1 + 1 + ENCODER_LATENCY
    # The first group needs four cycles from the stream to the array; later ones are there in time.
    assert decode_cycles(site) == 2 * 3 * 3 * 8 + 4 + DECODER_LATENCY
    assert len(site.planes) == planes


@given(
    st.lists(st.integers(0, 4), min_size=5, max_size=5), st.lists(st.integers(0, 9), min_size=5, max_size=5), st.data()
)
def test_repeating_a_move_is_applying_it_again_and_again(after, cycles, data):
    start, times = data.draw(st.integers(0, 4)), data.draw(st.integers(0, 40))
    state, total = start, 0
    for _ in range(times):
        state, total = after[state], total + cycles[state]
    assert repeat(lambda s: (after[s], cycles[s]), start, times) == (state, total)


@pytest.mark.parametrize("params", BUILDS, ids=lambda p: f"{p.lanes}x{p.rows}")
def test_half_an_image_takes_half_the_cycles(params):
    site = synthetic_site(np.random.default_rng(5), params, "any", (8, 64, 20), keep=0.8)
    half = type(site)(site.info.model_copy(update={"height": 4}), site.arrays, params)
    for cycles in (encode_cycles, decode_cycles):
        assert cycles(site) == pytest.approx(2 * cycles(half), abs=40)
