"""Windows: the words that they need, and what the golden model decodes from those and no others."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actcodec.errors import ActcodecError
from actcodec.golden import SiteCodec, to_beats, window_beats
from actcodec.tables import Window
from support.sites import activations, one_project_site, sites

relaxed = settings(deadline=None, max_examples=150)


@st.composite
def windows(draw, site):
    """A window of the site, its first column and its rows, in any order."""
    width, height = site.info.width, site.info.height
    first, stride = draw(st.integers(0, width - 1)), draw(st.integers(1, width + 1))
    count = draw(st.integers(1, len(range(first, width, stride))))
    rows = draw(st.lists(st.integers(0, height - 1), min_size=1, max_size=4))
    plane = draw(st.integers(0, len(site.planes) - 1))
    window = Window.at(site.planes, plane, first, count, word_bits=site.params.word_bits, stride=stride, rows=len(rows))
    return window, first, rows


def channels_of(site, plane):
    blocks = site.info.blocks[site.planes[plane].first_block : site.planes[plane].last_block]
    return slice(blocks[0].channels[0], blocks[-1].channels[1])


def words_by_bit(site, window, first, rows):
    """Numbers of the words of the stream that hold a bit of the window's rows, from the first to the last one."""
    plane, word = site.planes[window.plane], site.params.word_bits
    found = []
    for y in rows:
        start = plane.position_bit(y, first)
        end = plane.position_bit(y, first + (window.count - 1) * window.stride) + plane.position_bits
        assert start % word == window.offset
        found.append(sorted({bit // word for bit in range(start, end)}))
    return found


@relaxed
@given(st.data())
def test_a_window_is_the_slice_of_the_decoded_frame(data):
    site = data.draw(sites(max_side=6))
    window, first, rows = data.draw(windows(site))
    codec, x = SiteCodec(site), activations(site, data.draw(st.integers(0, 1000)))
    stream = codec.encode(x)
    numbers = words_by_bit(site, window, first, rows)
    assert {len(row) for row in numbers} == {
        window.row_words(site.planes[window.plane].position_bits, site.params.word_bits)
    }
    words = stream.reshape(-1, site.params.word_bytes)[[n for row in numbers for n in row]]
    found = codec.decode_window(words, window)
    expected = codec.decode(stream)[rows, first :: window.stride][:, : window.count]
    assert np.array_equal(found, expected[:, :, channels_of(site, window.plane)])


@relaxed
@given(st.data())
def test_bits_around_a_window_do_not_matter(data):
    """Positions before, between and behind the wanted ones may hold anything."""
    site = data.draw(sites(max_side=6))
    window, _, rows = data.draw(windows(site))
    plane, word = site.planes[window.plane], site.params.word_bits
    size = window.row_words(plane.position_bits, word)
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    bits = rng.integers(0, 2, (len(rows), size * word), dtype=np.uint8)
    other = 1 - bits
    for number in range(window.count):
        start = window.offset + number * window.stride * plane.position_bits
        other[:, start : start + plane.position_bits] = bits[:, start : start + plane.position_bits]
    one, two = (
        SiteCodec(site).decode_window(
            np.packbits(b, axis=1, bitorder="little").reshape(-1, site.params.word_bytes), window
        )
        for b in (bits, other)
    )
    assert np.array_equal(one, two)


@relaxed
@given(sites(), st.integers(0, 1000))
def test_the_beats_of_a_window_of_everything_are_those_of_the_frame(site, seed):
    x = activations(site, seed)
    found = [window_beats(site, number, x[:, :, channels_of(site, number)]) for number in range(len(site.planes))]
    for part, expected in zip(zip(*found, strict=True), to_beats(site, x), strict=True):
        assert np.array_equal(np.concatenate(part), expected)


WINDOW = Window(plane=0, offset=5, count=3, stride=2, rows=2)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"plane": 1}, "plane = 1 is outside 0…0"),
        ({"plane": -1}, "plane = -1 is outside 0…0"),
        ({"count": 0}, "window with count = 0, at least 1 expected"),
        ({"stride": 0}, "window with stride = 0, at least 1 expected"),
        ({"rows": 0}, "window with rows = 0, at least 1 expected"),
        ({"offset": -1}, "window with offset = -1, at least 0 expected"),
        ({"offset": 64}, "window with offset = 64, a word has 64 bits"),
        ({"rows": 3}, r"words are uint8\[\d+, 8\], expected uint8\[\d+, 8\]"),
    ],
)
def test_impossible_windows_and_other_words_are_refused(change, complaint):
    site = one_project_site()
    words = np.zeros((2 * WINDOW.row_words(site.planes[0].position_bits, 64), 8), dtype=np.uint8)
    assert SiteCodec(site).decode_window(words, WINDOW).shape == (2, 3, 12)
    with pytest.raises(ActcodecError, match=f"site conv1: {complaint}"):
        SiteCodec(site).decode_window(words, replace(WINDOW, **change))


def test_a_window_reaches_over_the_positions_between_its_own():
    assert (WINDOW.span, WINDOW.row_words(12, 64), WINDOW.row_words(0, 64)) == (5, 2, 0)
    assert Window(0, 4, 5).row_words(12, 64) == 1 and Window(0, 5, 5).row_words(12, 64) == 2
