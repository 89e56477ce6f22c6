from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actcodec.tables import Plane, SiteSizes, transaction_bytes_of
from actcodec.tables.geometry import round_up
from support.formulas import plane_coefficients
from support.sites import changed, one_project_site, sites

relaxed = settings(deadline=None)


@relaxed
@given(st.integers(0, 10**6), st.integers(1, 5000))
def test_round_up_is_the_next_multiple(value, multiple):
    found = round_up(value, multiple)
    assert found % multiple == 0
    assert value <= found < value + multiple


@pytest.mark.parametrize(
    ("stream", "expected"), [(0, 0), (1, 128), (63, 128), (64, 64), (65, 192), (128, 128), (1000, 1088)]
)
def test_a_partial_transaction_is_read_modified_and_written(stream, expected):
    assert transaction_bytes_of(stream, 64) == expected


@relaxed
@given(st.integers(0, 700), st.sampled_from([1, 8, 32, 64, 128]))
def test_transaction_bytes_are_those_of_a_memory_that_moves_whole_transactions(stream, size):
    touched: dict[int, int] = {}
    for byte in range(stream):
        touched[byte // size] = touched.get(byte // size, 0) + 1
    moved = sum(size if written == size else 2 * size for written in touched.values())
    assert transaction_bytes_of(stream, size) == moved


@relaxed
@given(sites())
def test_planes_lie_one_after_another_with_every_row_aligned(site):
    info, base = site.info, 0
    members = plane_coefficients(site)
    assert len(site.planes) == len(members)
    for plane, coefficients in zip(site.planes, members, strict=True):
        assert plane.position_bits == sum(int(site.arrays.width[k]) for k in coefficients)
        assert plane.base_bits == base
        assert plane.pitch_bits % info.align_bits == 0
        assert 0 <= plane.padding_bits(info.width) < info.align_bits
        assert plane.padding_bits(info.width) == plane.pitch_bits - info.width * plane.position_bits
        base += info.height * plane.pitch_bits
    assert site.sizes(64).stream_bytes * 8 == base
    assert site.planes[0].first_block == 0
    assert site.planes[-1].last_block == len(info.blocks)
    assert all(a.last_block == b.first_block for a, b in pairwise(site.planes))


@relaxed
@given(sites(), st.sampled_from([1, 16, 64, 256]))
def test_the_three_sizes_are_kept_apart(site, transaction):
    sizes = site.sizes(transaction)
    positions = site.info.height * site.info.width
    assert sizes.payload_bits == positions * int(site.arrays.width.sum())
    assert sizes.payload_bits <= 8 * sizes.stream_bytes <= 8 * sizes.transaction_bytes
    assert sizes.transaction_bytes == transaction_bytes_of(sizes.stream_bytes, transaction)
    assert sizes.transaction_bytes % transaction == 0


def test_a_site_worked_out_by_hand():
    site = one_project_site(shape=(2, 3, 12), order="block-major")
    width = site.arrays.width.copy()
    width[:8], width[8:] = 3, 7
    site = changed(site, width=width)
    assert site.planes == (Plane(0, 1, 24, 0, 128), Plane(1, 2, 28, 256, 128))
    assert site.sizes(128) == SiteSizes(2 * 3 * (24 + 28), 64, 256)


def test_position_major_keeps_all_blocks_of_a_position_together():
    site = one_project_site(shape=(2, 3, 12), order="position-major")
    site = changed(site, width=site.arrays.width * 0 + 5)
    assert site.planes == (Plane(0, 2, 60, 0, 192),)
    assert site.sizes(64) == SiteSizes(2 * 3 * 60, 48, 128)


def test_sizes_add_up():
    assert SiteSizes(1, 2, 3) + SiteSizes(10, 20, 30) == SiteSizes(11, 22, 33)


def test_a_site_without_codes_stores_nothing():
    site = one_project_site()
    site = changed(site, width=site.arrays.width * 0)
    assert site.sizes(64) == SiteSizes(0, 0, 0)
