import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actcodec.errors import ActcodecError
from actcodec.golden import SiteCodec, codec, to_beats
from actcodec.tables.synthetic import synthetic_site
from support.formulas import activations_of, codes_of, pack_slowly, unpack_slowly
from support.sites import BUILDS, activations, changed, one_project_site, sites, with_extreme_numbers

seeds = st.integers(0, 1 << 32)
thorough = settings(deadline=None, max_examples=150)


# --- equality with the formulas


@thorough
@given(sites(), seeds)
def test_the_stream_is_the_packed_codes_of_the_formula(site, seed):
    x = activations(site, seed)
    assert np.array_equal(SiteCodec(site).encode(x), pack_slowly(site, codes_of(site, x)))


@thorough
@given(sites(), seeds)
def test_the_decoded_tensor_is_the_formula_of_the_codes(site, seed):
    x = activations(site, seed)
    stream = pack_slowly(site, codes_of(site, x))
    found = SiteCodec(site).decode(stream)
    assert found.dtype == np.uint8
    assert np.array_equal(found, activations_of(site, codes_of(site, x)))


@thorough
@given(sites(), seeds)
def test_any_stream_decodes_as_the_formula_says(site, seed):
    """Also codes that no encoder makes, and padding that is not zero."""
    size = site.sizes(1).stream_bytes
    stream = np.random.default_rng(seed).integers(0, 256, size).astype(np.uint8)
    found = SiteCodec(site).decode(stream)
    assert np.array_equal(found, activations_of(site, unpack_slowly(site, stream)))
    assert site.info.low <= found.min() and found.max() <= site.info.high


@pytest.mark.parametrize("width", [3, 5, 7])
def test_a_row_that_fills_its_pitch_is_read_to_the_last_bit(width):
    site = one_project_site(shape=(2, 8, 8))
    site = changed(site, width=np.full(8, width, dtype=np.uint8))
    assert site.planes[0].padding_bits(8) == 0
    stream = np.full(site.sizes(1).stream_bytes, 255, dtype=np.uint8)
    stream[-1] = 0b1010_0101
    assert np.array_equal(SiteCodec(site).decode(stream), activations_of(site, unpack_slowly(site, stream)))
    assert np.array_equal(SiteCodec(site).decode(~stream), activations_of(site, unpack_slowly(site, ~stream)))


def test_codes_lie_in_table_order_least_significant_bit_first():
    site = one_project_site(shape=(2, 1, 3), align_bits=64)
    width = np.array([3, 0, 8], dtype=np.uint8)
    P = np.zeros((3, 8), dtype=np.int8)
    P[[0, 1, 2], [0, 1, 2]] = 1
    site = changed(
        site, P=P, width=width, shift=width * 0, bias=np.zeros(3, dtype=np.int32), zero=0, low=0, high=255
    )  # fmt: skip
    x = np.array([[[0b101, 77, 0b1100_0011]], [[9, 0, 1]]], dtype=np.uint8)
    expected = np.zeros(16, dtype=np.uint8)
    expected[:2] = (0b1100_0011 << 3 | 0b101) % 256, 0b110
    expected[8:10] = 1 << 3 | 7, 0
    assert SiteCodec(site).encode(x).tolist() == expected.tolist()


@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize("build", BUILDS, ids=lambda b: f"{b.lanes}x{b.rows}x{b.block}")
def test_extreme_activations_are_exact(build, value):
    rng = np.random.default_rng(build.block)
    site = with_extreme_numbers(synthetic_site(rng, build, "extreme", (2, 2, 40), keep=1.0), rng)
    x = np.full((2, 2, 40), value, dtype=np.uint8)
    stream = SiteCodec(site).encode(x)
    assert np.array_equal(stream, pack_slowly(site, codes_of(site, x)))
    assert np.array_equal(SiteCodec(site).decode(stream), activations_of(site, codes_of(site, x)))


@settings(deadline=None, max_examples=15)
@given(sites(max_side=2), seeds)
def test_the_kernels_stay_inside_their_arrays_and_their_integers(site, seed):
    """The same kernels, interpreted: an index out of range or an overflow raises."""
    x = activations(site, seed)
    compiled = SiteCodec(site)
    stream = compiled.encode(x)
    with pytest.MonkeyPatch.context() as patch, np.errstate(over="raise"):
        patch.setattr(codec, "encode_plane", codec.encode_plane.py_func)
        patch.setattr(codec, "decode_plane", codec.decode_plane.py_func)
        assert np.array_equal(SiteCodec(site).encode(x), stream)
        assert np.array_equal(SiteCodec(site).decode(stream), compiled.decode(stream))


# --- properties


@settings(deadline=None, max_examples=40)
@given(seeds, st.sampled_from(BUILDS), st.integers(1, 40), st.sampled_from(["position-major", "block-major"]))
def test_bypass_is_lossless(seed, build, channels, order):
    site = synthetic_site(np.random.default_rng(seed), build, "raw", (2, 3, channels), transform="bypass", order=order)
    x = activations(site, seed)
    coded = SiteCodec(site)
    assert np.array_equal(coded.decode(coded.encode(x)), x)
    assert site.sizes(64).payload_bits == 8 * x.size


@settings(deadline=None, max_examples=40)
@given(sites(), seeds)
def test_padding_bits_are_zero_and_sizes_are_kept(site, seed):
    stream, written = SiteCodec(site).encode_counted(activations(site, seed))
    sizes = site.sizes(64)
    assert stream.dtype == np.uint8 and stream.shape == (sizes.stream_bytes,)
    assert written == sizes.payload_bits
    bits = np.unpackbits(stream, bitorder="little")
    for plane in site.planes:
        rows = bits[plane.base_bits : plane.base_bits + site.info.height * plane.pitch_bits]
        assert not rows.reshape(site.info.height, plane.pitch_bits)[:, site.info.width * plane.position_bits :].any()


@settings(deadline=None, max_examples=40)
@given(sites(), seeds, st.integers(0, 3))
def test_a_batch_is_its_images(site, seed, images):
    coded, x = SiteCodec(site), activations(site, seed, images)
    streams, written = coded.encode_counted(x)
    assert streams.shape == (images, coded.stream_bytes)
    assert written == images * site.sizes(64).payload_bits
    decoded = coded.decode(streams)
    assert decoded.shape == x.shape
    for image, stream, back in zip(x, streams, decoded, strict=True):
        assert np.array_equal(stream, coded.encode(image))
        assert np.array_equal(back, coded.decode(stream))


@settings(deadline=None, max_examples=80)
@given(sites(max_side=6), seeds, st.data())
def test_a_run_is_the_slice_of_the_full_decode(site, seed, data):
    coded = SiteCodec(site)
    stream = coded.encode(activations(site, seed))
    whole = coded.decode(stream)
    number = data.draw(st.integers(0, len(site.planes) - 1))
    plane = site.planes[number]
    y = data.draw(st.integers(0, site.info.height - 1))
    x = data.draw(st.integers(0, site.info.width - 1))
    stride = data.draw(st.integers(1, 3))
    count = data.draw(st.integers(1, (site.info.width - 1 - x) // stride + 1))
    offset = plane.base_bits + y * plane.pitch_bits + x * plane.position_bits
    channels = slice(
        site.info.blocks[plane.first_block].channels[0], site.info.blocks[plane.last_block - 1].channels[1]
    )
    expected = whole[y, x : x + count * stride : stride, channels][:count]
    assert np.array_equal(coded.decode_run(stream, number, offset, count, stride), expected)


def test_views_are_encoded_as_their_copies():
    site = one_project_site(shape=(2, 3, 12))
    coded = SiteCodec(site)
    x = activations(site, 0, 4)[::2]
    transposed = np.ascontiguousarray(x[0].transpose(2, 0, 1)).transpose(1, 2, 0)
    assert np.array_equal(coded.encode(x), coded.encode(x.copy()))
    assert np.array_equal(coded.encode(transposed), coded.encode(x[0]))
    streams = coded.encode(activations(site, 0, 4))
    assert np.array_equal(coded.decode(streams[::2]), coded.decode(streams[::2].copy()))


def test_a_site_without_codes_decodes_to_a_constant():
    site = one_project_site()
    site = changed(site, width=site.arrays.width * 0)
    coded, x = SiteCodec(site), activations(site, 0)
    assert coded.encode(x).size == 0
    assert np.array_equal(coded.decode(coded.encode(x)), activations_of(site, codes_of(site, x)))
    assert coded.decode_run(coded.encode(x), 0, 0, 3).shape == (3, 12)


# --- beats


@settings(deadline=None, max_examples=40)
@given(sites(), seeds)
def test_beats_carry_every_activation_once_in_stream_order(site, seed):
    x, lanes = activations(site, seed), site.params.lanes
    beats, valid = to_beats(site, x)
    expected = []
    for plane in site.planes:
        for y in range(site.info.height):
            for column in range(site.info.width):
                for block in site.info.blocks[plane.first_block : plane.last_block]:
                    values = x[y, column, slice(*block.channels)].tolist()
                    expected += [(values + [0] * lanes)[i : i + lanes] for i in range(0, len(values), lanes)]
    assert beats.tolist() == [(row + [0] * lanes)[:lanes] for row in expected]
    assert valid.sum() == x.size
    assert not beats[~valid].any()


# --- refusals

SITE = one_project_site(shape=(2, 3, 12))
CODEC = SiteCodec(SITE)
STREAM = CODEC.encode(activations(SITE, 0))


@pytest.mark.parametrize(
    ("x", "complaint"),
    [
        (np.zeros((2, 3, 12), dtype=np.int8), "activations are int8, expected uint8"),
        (np.zeros((2, 3, 12)), "activations are float64, expected uint8"),
        (np.zeros((3, 2, 12), dtype=np.uint8), r"activations have shape \(3, 2, 12\), expected \(2, 3, 12\)"),
        (np.zeros((12, 2, 3), dtype=np.uint8), "activations have shape"),
        (np.zeros((3, 12), dtype=np.uint8), "activations have shape"),
        (np.zeros((1, 1, 2, 3, 12), dtype=np.uint8), "activations have shape"),
    ],
)
def test_activations_that_are_not_the_sites_are_refused(x, complaint):
    with pytest.raises(ActcodecError, match="site conv1: " + complaint):
        CODEC.encode(x)


@pytest.mark.parametrize(
    ("stream", "complaint"),
    [
        (STREAM[:-1], rf"stream has {STREAM.size - 1} bytes, expected {STREAM.size}"),
        (np.append(STREAM, STREAM[:1]), "stream has"),
        (STREAM[:0], "stream has 0 bytes"),
        (STREAM.astype(np.int16), "stream is int16 with 1 axes, expected bytes"),
        (STREAM[None, None], "stream is uint8 with 3 axes, expected bytes"),
        (np.uint8(3), "stream is uint8 with 0 axes"),
    ],
)
def test_a_stream_that_is_not_the_sites_is_refused(stream, complaint):
    with pytest.raises(ActcodecError, match="site conv1: " + complaint):
        CODEC.decode(stream)


@pytest.mark.parametrize(
    ("plane", "offset", "count", "stride"),
    [(0, -1, 1, 1), (0, 0, 0, 1), (0, 0, -1, 1), (0, 0, 1, 0), (0, 0, 1, -1), (0, 8 * STREAM.size, 1, 1), (0, 0, 99, 1),
     (0, 0, 2, 99)],
)  # fmt: skip
def test_a_run_that_leaves_the_stream_is_refused(plane, offset, count, stride):
    with pytest.raises(ActcodecError, match=f"run of bit_offset = {offset}, count = {count}, stride = {stride} leaves"):
        CODEC.decode_run(STREAM, plane, offset, count, stride)


def test_the_last_bit_of_the_stream_ends_the_last_run():
    bits = SITE.planes[0].position_bits
    last = 8 * STREAM.size - bits
    assert CODEC.decode_run(STREAM, 0, last, 1).shape == (1, 12)
    with pytest.raises(ActcodecError, match="leaves the stream"):
        CODEC.decode_run(STREAM, 0, last + 1, 1)


@pytest.mark.parametrize("plane", [-1, 1])
def test_a_run_of_an_unknown_plane_is_refused(plane):
    with pytest.raises(ActcodecError, match=rf"site conv1: plane = {plane} is outside 0…0"):
        CODEC.decode_run(STREAM, plane, 0, 1)


@pytest.mark.parametrize("stream", [STREAM.astype(np.float64), STREAM[None]], ids=["float", "batch"])
def test_a_run_of_something_that_is_not_a_stream_is_refused(stream):
    with pytest.raises(ActcodecError):
        CODEC.decode_run(stream, 0, 0, 1)
