"""Sites whose P is part of the preceding convolution: parameters, tables, golden model and images."""

import json
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from actcodec.cli import app
from actcodec.errors import ActcodecError
from actcodec.golden import SiteCodec, beat_integers, pack_container, to_beats, to_encoder_beats, unpack_container
from actcodec.params import CodecParams, load_params
from actcodec.tables import Tables, digest_of, load_tables, save_tables
from actcodec.tables.cycles import ACCUMULATOR_LATENCY, encode_cycles
from actcodec.tables.image import encoder_image, site_image
from actcodec.tables.program import encoder_beats, encoder_code_records
from actcodec.tables.records import decoder_records, encoder_records
from actcodec.tables.synthetic import synthetic_input, synthetic_site, synthetic_tables
from support.formulas import activations_of, pack_slowly, round_half_up, unpack_slowly
from support.sites import BUILDS, TINY, changed
from support.table_machine import load_image

FOLDED_BUILDS = tuple(build.model_copy(update={"transforms": ("folded",)}) for build in BUILDS)
FOLDED = FOLDED_BUILDS[0]
seeds = st.integers(0, 1 << 32)
thorough = settings(deadline=None, max_examples=80)


@st.composite
def folded_sites(draw):
    params = draw(st.sampled_from(FOLDED_BUILDS))
    return synthetic_site(
        np.random.default_rng(draw(seeds)),
        params,
        "drawn",
        (draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(1, 40))),
        transform="folded",
        order=draw(st.sampled_from(["position-major", "block-major"])),
        align_bits=params.word_bits * draw(st.sampled_from([1, 2, 3])),
        keep=draw(st.sampled_from([0.0, 0.3, 1.0])),
        max_width=draw(st.integers(1, 8)),
    )


def one_site(**options):
    return synthetic_site(np.random.default_rng(1), FOLDED, "conv", (3, 4, 20), transform="folded", **options)


def at_once(accumulators, k, value):
    """The accumulators with coefficient k changed everywhere."""
    return np.where(np.arange(accumulators.shape[-1]) == k, value, accumulators).astype(np.int32)


def codes_of(site, accumulators):
    """clamp(round_shift(acc + bias, s), 0, 2^b − 1), a second time."""
    rounded = round_half_up(accumulators.astype(np.int64) + site.arrays.bias, site.arrays.shift.astype(np.int64))
    return np.clip(rounded, 0, 2 ** site.arrays.width.astype(np.int64) - 1)


# --- parameters


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"transforms": ["folded", "bypass"]}, "'folded' goes with no other transform"),
        ({"shared_array": True}, "has no array to share"),
    ],
)
def test_a_build_that_cannot_be_is_refused(change, complaint):
    with pytest.raises(ValueError, match=complaint):
        CodecParams.model_validate(FOLDED.as_json() | change)


def test_what_the_encoder_takes_follows_from_the_build():
    folded, usual = load_params("folded"), load_params("default")
    assert (usual.encoder_lanes, usual.encoder_lane_bits, usual.encoder_slots) == (8, 8, usual.slots)
    assert (folded.encoder_lanes, folded.encoder_lane_bits, folded.encoder_lane_bytes) == (8, 24, 3)
    assert folded.model_copy(update={"rows": 16}).encoder_slots == folded.codes_per_cycle
    assert folded.model_copy(update={"acc_bits": 26}).encoder_lane_bytes == 4


def test_the_shipped_configuration_is_the_default_otherwise():
    shipped, usual = load_params("folded").as_json(), load_params("default").as_json()
    assert {name for name in usual if usual[name] != shipped[name]} == {"transforms"}


def test_a_decoder_by_itself_takes_tables_of_either_kind():
    decoder, encoder = load_params("decoder-only"), load_params("encoder-only")
    assert decoder.refuses_tables_of(load_params("folded")) is None
    assert "transforms" in encoder.refuses_tables_of(load_params("folded"))
    assert decoder_records(decoder) == decoder_records(load_params("folded"))


# --- tables


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda s: {"P": s.arrays.P + (np.arange(8) == 0).astype(np.int8)}, "has entries in P"),
        (lambda s: {"width": s.arrays.width * (np.arange(s.coefficients) > 0).astype(np.uint8)}, r"width\[0\] = 0"),
        (lambda s: {"acc_range": np.abs(s.arrays.acc_range)}, r"acc_range\[0\] = .* does not hold 0"),
        (lambda s: {"acc_range": s.arrays.acc_range[:-1]}, r"acc_range is int64\[\d+, 2\], expected"),
        (lambda s: {"acc_range": s.arrays.acc_range * 2}, "encoder accumulator 0 reaches .* acc_bits = 24 hold"),
        (lambda s: {"bias": s.arrays.bias + np.int32(1 << 23)}, "encoder accumulator 0 reaches"),
        (
            lambda s: {"acc_range": s.arrays.acc_range, "transform": "project", "params": TINY},
            "transform = 'project' has no acc_range",
        ),
    ],
)
def test_tables_that_do_not_fit_are_refused(change, complaint):
    site = one_site(keep=1.0)
    with pytest.raises(ActcodecError, match=complaint):
        changed(site, **change(site))


def test_a_site_without_a_range_or_without_coefficients_is_refused():
    site = one_site()
    with pytest.raises(ActcodecError, match="transform = 'folded' needs acc_range"):
        replace(site, arrays=replace(site.arrays, acc_range=None))
    blocks = tuple(block.model_copy(update={"coefficients": (0, 0)}) for block in site.info.blocks)
    per_coefficient = ("P", "bias", "shift", "width", "left_shift", "group", "acc_range")
    rows = {name: getattr(site.arrays, name)[:0] for name in per_coefficient}
    with pytest.raises(ActcodecError, match="stores nothing: K = 0"):
        changed(site, blocks=blocks, R=site.arrays.R * np.int8(0), **rows)


def test_a_rounding_constant_that_does_not_fit_is_refused():
    """The highest sum fits, and does not any more with half a step added."""
    site = one_site(keep=1.0)
    K, limit = site.coefficients, 1 << 23
    free = {"bias": np.zeros(K, np.int32), "shift": np.full(K, 4, np.uint8)}
    fits = np.array([[-limit, limit - 9]] * K)
    changed(site, acc_range=fits, **free)
    with pytest.raises(ActcodecError, match="encoder accumulator 0"):
        changed(site, acc_range=fits + np.array([0, 1]), **free)


def test_p_costs_nothing():
    site = one_site(keep=1.0)
    entries = sum((b.channels[1] - b.channels[0]) * (b.coefficients[1] - b.coefficients[0]) for b in site.info.blocks)
    K, C = site.coefficients, site.info.channels
    assert (site.encode_multiplications, site.decode_multiplications) == (0, entries)
    assert site.macs == entries * 12 * site.info.readers
    assert site.table_bytes == entries + 4 * (K + C) + K + (K + 1) // 2 + 1


def test_tables_come_back_from_disk_with_their_digest(tmp_path):
    tables = synthetic_tables(3, FOLDED.model_copy(update={"max_sites": 4}))
    digest = save_tables(tables, tmp_path / "tables")
    loaded = load_tables(tmp_path / "tables")
    assert digest_of(loaded) == digest
    for ours, theirs in zip(tables.sites, loaded.sites, strict=True):
        assert np.array_equal(ours.arrays.acc_range, theirs.arrays.acc_range)


def test_a_range_that_was_changed_on_disk_is_refused(tmp_path):
    tables = synthetic_tables(3, FOLDED.model_copy(update={"max_sites": 2}))
    save_tables(tables, tmp_path / "tables")
    path = tmp_path / "tables" / "manifest.json"
    content = json.loads(path.read_text())
    content["sites"][0]["arrays"].pop("acc_range")
    path.write_text(json.dumps(content))
    with pytest.raises(ActcodecError, match="digest"):
        load_tables(tmp_path / "tables")


# --- golden model


@thorough
@given(folded_sites(), seeds)
def test_the_stream_is_the_packed_codes_of_the_accumulators(site, seed):
    accumulators = synthetic_input(np.random.default_rng(seed), site)
    codes, codec = codes_of(site, accumulators), SiteCodec(site)
    stream, payload_bits = codec.encode_counted(accumulators)
    assert np.array_equal(stream, pack_slowly(site, codes))
    assert payload_bits == site.sizes(1).payload_bits
    assert np.array_equal(unpack_slowly(site, stream), codes)
    assert np.array_equal(codec.decode(stream), activations_of(site, codes))


@thorough
@given(folded_sites(), seeds)
def test_the_encoder_of_the_convolutions_sums_is_that_of_the_activations(site, seed):
    """Where P·(x − zero) is what the convolution gives, both kinds of site have one stream."""
    rng = np.random.default_rng(seed)
    usual = synthetic_site(rng, BUILDS[FOLDED_BUILDS.index(site.params)], "usual", site.encoder_shape, keep=1.0)
    usual = changed(usual, width=np.maximum(usual.arrays.width, 1), left_shift=usual.arrays.left_shift * np.uint8(0))
    x = synthetic_input(rng, usual)
    sums = np.zeros((*x.shape[:2], usual.coefficients), dtype=np.int32)
    for block in usual.info.blocks:
        (c0, c1), (k0, k1) = block.channels, block.coefficients
        P = usual.arrays.P[k0:k1, : c1 - c0].astype(np.int32)
        sums[..., k0:k1] = (x[..., c0:c1].astype(np.int32) - usual.info.zero) @ P.T
    reach = 255 * np.abs(usual.arrays.P.astype(np.int64)).sum(axis=1)
    folded = replace(
        usual,
        info=usual.info.model_copy(update={"transform": "folded"}),
        arrays=replace(usual.arrays, P=usual.arrays.P * np.int8(0), acc_range=np.stack([-reach, reach], axis=1)),
        params=site.params,
    )
    assert np.array_equal(SiteCodec(folded).encode(sums), SiteCodec(usual).encode(x))


def test_several_images_are_encoded_at_once():
    site, rng = one_site(), np.random.default_rng(2)
    images = np.stack([synthetic_input(rng, site) for _ in range(3)])
    codec = SiteCodec(site)
    assert np.array_equal(codec.encode(images), np.stack([codec.encode(image) for image in images]))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda a: a.astype(np.uint8), "accumulators are uint8, expected int32"),
        (lambda a: a[:, :, :-1], r"accumulators have shape .* \(H, W, K\)"),
        (
            lambda a: np.where(np.arange(a.shape[-1]) == 1, 1 << 23, a).astype(np.int32),
            "accumulator 1 reaches .*8388608",
        ),
        (
            lambda a: np.where(np.arange(a.shape[-1]) == 2, -1 << 23, a).astype(np.int32),
            "accumulator 2 reaches -8388608",
        ),
    ],
)
def test_accumulators_that_the_tables_are_not_made_for_are_refused(change, complaint):
    site = one_site()
    with pytest.raises(ActcodecError, match=complaint):
        SiteCodec(site).encode(change(synthetic_input(np.random.default_rng(1), site)))


def test_a_container_holds_a_folded_site():
    tables = synthetic_tables(3, FOLDED.model_copy(update={"max_sites": 2}))
    site = tables.sites[1]
    stream = SiteCodec(site).encode(synthetic_input(np.random.default_rng(1), site))
    container = unpack_container(tables, pack_container(tables, site.info.name, stream), "file")
    assert container.site == 1 and np.array_equal(container.stream, stream)


def test_the_command_line_encodes_accumulators(tmp_path):
    tables = synthetic_tables(3, FOLDED.model_copy(update={"max_sites": 2}))
    save_tables(tables, tmp_path / "tables")
    site = tables.sites[0]
    accumulators = synthetic_input(np.random.default_rng(1), site)
    np.save(tmp_path / "in.npy", accumulators)
    np.save(tmp_path / "wrong.npy", accumulators.astype(np.uint8))
    folder, run = str(tmp_path), CliRunner().invoke
    options = ["--tables", f"{folder}/tables", "--site", site.info.name]
    assert run(app, ["encode", f"{folder}/in.npy", f"{folder}/out.acf", *options]).exit_code == 0
    assert run(app, ["decode", f"{folder}/out.acf", f"{folder}/out.npy", *options]).exit_code == 0
    codec = SiteCodec(site)
    assert np.array_equal(np.load(tmp_path / "out.npy"), codec.decode(codec.encode(accumulators)))
    refused = run(app, ["encode", f"{folder}/wrong.npy", f"{folder}/out.acf", *options])
    assert isinstance(refused.exception, ActcodecError) and "expected int32" in str(refused.exception)


# --- beats, image, cycles


@thorough
@given(folded_sites(), seeds)
def test_beats_hold_every_accumulator_once_in_the_order_of_the_stream(site, seed):
    accumulators = synthetic_input(np.random.default_rng(seed), site)
    beats, valid = to_encoder_beats(site, accumulators)
    members = [range(*block.coefficients) for block in site.info.blocks]
    planes = members if site.info.order == "block-major" else [range(site.coefficients)]
    expected = [accumulators[:, :, list(plane)].ravel() for plane in planes]
    assert np.array_equal(beats[valid], np.concatenate(expected))
    assert not beats[~valid].any() and valid[:, 0].all()
    positions = site.info.height * site.info.width
    assert len(beats) == positions * sum(-(-len(plane) // site.params.encoder_lanes) for plane in planes)


def test_the_beats_of_other_sites_are_those_of_the_decoder():
    for site in synthetic_tables(5, TINY.model_copy(update={"max_sites": 13})).sites:
        x = synthetic_input(np.random.default_rng(1), site)
        for ours, theirs in zip(to_encoder_beats(site, x), to_beats(site, x), strict=True):
            assert np.array_equal(ours, theirs)


def test_beats_are_integers_of_the_port():
    beats = np.array([[-1, 1], [-(1 << 23), (1 << 23) - 1]], dtype=np.int32)
    assert beat_integers(beats, 24) == [0x000001_FFFFFF, 0x7FFFFF_800000]


@thorough
@given(folded_sites())
def test_a_record_is_a_beat(site):
    for plane in site.planes:
        beats, records = encoder_beats(site, plane), encoder_code_records(site, plane)
        assert [record.stored for record in records] == [list(beat) for beat in beats]
        assert all(record.ends and len(record.slots) == site.params.encoder_lanes for record in records)


def test_the_image_has_no_operations_and_says_what_the_tables_say():
    site = one_site()
    tables = Tables(FOLDED, (site,), synthetic_tables(1, FOLDED).provenance)
    records = encoder_records(FOLDED)
    assert list(records) == ["site", "code_plane", "code"]
    for image in (encoder_image(FOLDED, tables.sites), site_image(tables, "conv").encoder):
        memories = load_image(image, records, FOLDED)
        assert memories["site"] == [{"code_plane": 0, "last_x": 3, "last_y": 2}]
        (plane,) = memories["code_plane"]
        assert (plane["first"], plane["last"], plane["final"]) == (0, len(memories["code"]) - 1, 1)
        kept = [entry["last_lane"] + 1 for entry in memories["code"]]
        assert sum(kept) == site.coefficients
        for name in ("bias", "shift", "width"):
            listed = [entry[name][:count] for entry, count in zip(memories["code"], kept, strict=True)]
            assert list(chain(*listed)) == getattr(site.arrays, name).tolist()


def test_cycles_are_those_of_the_beats_and_of_the_padding():
    site = one_site(keep=1.0, align_bits=1024)
    bits = int(site.arrays.width.sum()) * 4
    words, rest = divmod(-bits % 1024, 64)
    for rows in (None, 1, 2):
        assert encode_cycles(site, rows) == ACCUMULATOR_LATENCY + (rows or 3) * (4 * 5 + words + (rest > 0))
