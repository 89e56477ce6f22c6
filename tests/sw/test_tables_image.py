import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actcodec.errors import ActcodecError
from actcodec.golden import SiteCodec, to_beats
from actcodec.params import CodecParams
from actcodec.tables import Tables
from actcodec.tables.image import decoder_image, encoder_image, site_image, to_hex
from actcodec.tables.records import decoder_records, encoder_records
from actcodec.tables.synthetic import synthetic_site
from support.sites import BUILDS, TINY, activations, one_project_site, sites, small_tables
from support.table_machine import load_image, run_decoder, run_encoder


def loaded(params, tables):
    encoder = load_image(encoder_image(params, tables), encoder_records(params), params)
    return encoder, load_image(decoder_image(params, tables), decoder_records(params), params)


def check_machine(params, site, memories, number, seed):
    """The images, run operation by operation, give what the golden model gives."""
    codec, x = SiteCodec(site), activations(site, seed)
    beats, valid = to_beats(site, x)
    stream = codec.encode(x)
    assert np.array_equal(run_encoder(memories[0], params, number, beats), stream)
    found = run_decoder(memories[1], params, number, stream)
    expected, _ = to_beats(site, codec.decode(stream))
    assert found.shape == expected.shape
    assert np.array_equal(found[valid], expected[valid])


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_running_the_images_gives_the_streams_of_the_golden_model(data):
    build = data.draw(st.sampled_from(BUILDS[:5]))
    site = data.draw(sites(builds=(build,), max_side=3))
    check_machine(site.params, site, loaded(site.params, [site]), 0, data.draw(st.integers(0, 1000)))


def test_every_site_of_the_tables_is_found_by_its_number():
    tables = small_tables()
    memories = loaded(tables.params, tables.sites)
    for number, site in enumerate(tables.sites):
        check_machine(tables.params, site, memories, number, number)


def test_site_entries_lead_to_their_planes_and_beats_hold_the_range():
    site = one_project_site(shape=(2, 3, 12), order="block-major")
    encoder, decoder = loaded(TINY, [site, site])
    for memories in (encoder, decoder):
        assert [entry["final"] for entry in memories["plane"]] == [0, 1, 0, 1]
        assert [entry["plane"] for entry in memories["site"]] == [0, 2]
        assert (memories["site"][1]["code_plane"], memories["site"][1]["coded"]) == (2, 1)
        assert (memories["site"][1]["last_x"], memories["site"][1]["last_y"]) == (2, 1)
    beats = decoder["beat"]
    assert len(beats) == 2 * 3
    assert {(b["shift"], b["zero"], b["low"], b["high"]) for b in beats} == {
        (site.info.output_shift, site.info.zero, site.info.low, site.info.high)
    }


def test_planes_that_store_nothing_are_left_out_on_the_side_of_the_codes():
    site = one_project_site(shape=(2, 3, 24), order="block-major")
    site.arrays.width[8:16] = 0
    site = type(site)(site.info, site.arrays, site.params)
    encoder, decoder = loaded(TINY, [site])
    for memories in (encoder, decoder):
        assert len(memories["plane"]) == 3 and len(memories["code_plane"]) == 2
        assert [entry["final"] for entry in memories["code_plane"]] == [0, 1]


def test_the_zero_point_is_folded_into_the_encoder_bias():
    site = one_project_site(shape=(1, 1, 8))
    encoder, _ = loaded(TINY, [site])
    found = [
        bias for record in encoder["code"] for bias, width in zip(record["bias"], record["width"], strict=True) if width
    ]
    kept = site.arrays.width > 0
    at_zero = site.arrays.bias - site.info.zero * site.arrays.P.astype(np.int64).sum(axis=1)
    assert found == at_zero[kept].tolist()


def test_hex_text_is_one_word_a_line():
    image = encoder_image(TINY, [one_project_site()])
    lines = to_hex(image).split("\n")
    assert lines.pop() == ""
    assert [int(line, 16) for line in lines] == [int.from_bytes(word.tobytes(), "little") for word in image]
    assert all(len(line) == TINY.word_bits // 4 for line in lines)


def wide_site(name="wide", channels=24, **changes):
    params = TINY.model_copy(update=changes)
    return params, synthetic_site(np.random.default_rng(0), params, name, (2, 2, channels), keep=1.0, max_width=8)


@pytest.mark.parametrize(("memory", "depth"), [("code", "step_depth"), ("operation", "coefficient_depth")])
@pytest.mark.parametrize("image", [encoder_image, decoder_image])
def test_a_site_that_exceeds_a_memory_is_refused(image, memory, depth):
    params, site = wide_site(**{depth: 6} if memory == "code" else {depth: 1})
    with pytest.raises(ActcodecError, match=rf"tables: \d+ entries of memory '{memory}' exceed the codec's depth"):
        image(params, [site])


@pytest.mark.parametrize("image", [encoder_image, decoder_image])
@pytest.mark.parametrize("depth", ["step_depth", "coefficient_depth", "plane_depth"])
def test_sites_that_together_exceed_a_memory_are_refused(image, depth):
    limit = 4 if depth == "plane_depth" else 16
    params, _ = wide_site(**{depth: limit})
    sites = [wide_site(f"site{number}", **{depth: limit})[1] for number in range(8)]
    with pytest.raises(ActcodecError, match="exceed"):
        image(params, sites)


def test_a_row_with_too_much_padding_is_refused():
    params = CodecParams()
    site = synthetic_site(np.random.default_rng(0), params, "conv", (1, 1, 4), align_bits=64 * 300)
    for image in (encoder_image, decoder_image):
        with pytest.raises(ActcodecError, match=r"site conv: align_bits = 19200 needs 29\d padding words a row"):
            image(params, [site])


@pytest.mark.parametrize("number", [None, 0, 2])
def test_the_image_of_one_site_is_that_of_the_site_alone_under_its_number(number):
    tables = small_tables()
    names = [site.info.name for site in tables.sites]
    site = tables.sites[3]
    images = site_image(tables, site.info.name, number)
    for image, alone in (
        (images.encoder, encoder_image(tables.params, [site])),
        (images.decoder, decoder_image(tables.params, [site])),
    ):
        headers = [int.from_bytes(word.tobytes(), "little") for word in (image[0], alone[0])]
        assert headers[0] == headers[1] | (names.index(site.info.name) if number is None else number) << 8
        assert np.array_equal(image[1:], alone[1:])


def test_the_image_of_one_site_fits_a_bank_or_is_refused():
    tables = small_tables()
    name = tables.sites[0].info.name
    with pytest.raises(ActcodecError, match="5 entries of memory 'site' exceed a bank's 4"):
        site_image(tables, name, 4)
    whole = tables.params.model_copy(update={"banks": 1})
    alone = Tables(whole, tables.sites, tables.provenance)
    assert len(site_image(alone, name, 7).encoder)
    with pytest.raises(ActcodecError, match="9 entries of memory 'site' exceed the codec's depth 8"):
        site_image(alone, name, 8)
    with pytest.raises(ActcodecError, match="'nowhere' is unknown"):
        site_image(tables, "nowhere")


def test_windows_find_the_codes_of_planes_that_store_something():
    site = one_project_site(shape=(2, 3, 24), order="block-major")
    site.arrays.width[8:16] = 0
    site = type(site)(site.info, site.arrays, site.params)
    _, decoder = loaded(TINY, [site, site])
    assert [entry["coded"] for entry in decoder["window"]] == [1, 0, 1] * 2
    assert [entry["code_plane"] for entry in decoder["window"]] == [0, 0, 1, 2, 0, 3]
    assert [entry["last_plane"] for entry in decoder["site"]] == [2, 2]
