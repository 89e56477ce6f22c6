import tomllib

import pytest
from pydantic import ValidationError

from actcodec.configs import configs_folder, find_config
from actcodec.errors import ActcodecError
from actcodec.params import CodecParams, load_params

SHIPPED = sorted(path.stem for path in (configs_folder() / "codec").glob("*.toml"))


@pytest.fixture
def toml(tmp_path):
    def write(content):
        path = tmp_path / "codec.toml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def refusal(source) -> str:
    with pytest.raises(ActcodecError) as caught:
        load_params(source)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_configuration_loads_field_by_field(name):
    path = find_config("codec", name)
    params = load_params(name)
    assert params == load_params(path)
    for field, value in tomllib.loads(path.read_text()).items():
        assert getattr(params, field) == (tuple(value) if isinstance(value, list) else value)


def test_the_builds_are_shipped():
    assert {"default", "tiny", "wide", "decoder-only", "encoder-only"} <= set(SHIPPED)


def test_builds_of_one_direction_take_the_tables_of_the_default_codec():
    default = load_params("default")
    for name in ("decoder", "encoder"):
        build = load_params(f"{name}-only")
        assert build.directions == (name,) and build.as_json() == {**default.as_json(), "directions": [name]}
        assert build.refuses_tables_of(default) is None and default.refuses_tables_of(build) is None
    assert load_params("tiny").refuses_tables_of(default) == "lanes = 8, not 4"


def test_a_codec_of_both_directions_is_named_as_before_there_were_others():
    assert "directions" not in CodecParams().as_json()
    assert CodecParams(directions=("encoder", "decoder")) == CodecParams()


@pytest.mark.parametrize("directions", ["[]", '["decoder", "encoder"]', '["encoder", "encoder"]', '["other"]'])
def test_directions_are_both_in_order_or_one(toml, directions):
    assert "directions" in refusal(toml(f"directions = {directions}"))


def test_an_empty_file_gives_the_defaults(toml):
    assert load_params(toml("")) == CodecParams()


def test_derived_sizes():
    params = CodecParams(lanes=8, rows=4, block=16, word_bits=128)
    assert (params.word_bytes, params.beats_per_block, params.groups_per_block) == (16, 2, 4)


@pytest.mark.parametrize(
    ("given", "codes", "parts", "slots"),
    [
        ({}, 8, 1, 8),
        ({"rows": 16}, 8, 1, 16),
        ({"lanes": 16}, 8, 2, 8),
        ({"lanes": 12, "block": 12}, 6, 2, 6),
        ({"lanes": 16, "word_bits": 512}, 16, 1, 16),
        ({"codes": 2}, 2, 4, 4),
    ],
)
def test_codes_a_cycle_are_the_largest_part_of_a_beat_that_a_word_holds(given, codes, parts, slots):
    params = CodecParams(**given)
    assert (params.codes_per_cycle, params.parts_per_beat, params.slots) == (codes, parts, slots)


def test_parameters_are_frozen():
    with pytest.raises(ValidationError):
        CodecParams().lanes = 4


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("word_bits = 96", "word_bits = 96 is not a power of two"),
        ("block = 12", "block = 12 is not a multiple of lanes = 8"),
        ("lanes = 4\nblock = 20\nrows = 8", "block = 20 is not a multiple of rows = 8"),
        ("codes = 3", "codes = 3 do not divide lanes = 8"),
        ("lanes = 16\ncodes = 16", "codes = 16 of 8 bits do not fit word_bits = 64"),
        ('transforms = ["project", "folded"]', "an encoder takes accumulators or activations"),
        ('transforms = ["fourier"]', "transforms.0 = 'fourier'"),
        ('orders = ["spiral"]', "orders.0 = 'spiral'"),
        ("lanes = 0", "lanes = 0"),
        ("acc_bits = 33", "acc_bits = 33"),
        ("acc_bits = 15", "acc_bits = 15"),
        ("word_bits = 32", "word_bits = 32"),
        ("max_sites = 0", "max_sites = 0"),
        ("banks = 3", "banks = 3"),
        ("step_depth = 1000", "step_depth = 1000 cannot be halved; banks = 2 takes powers of two from 2 on"),
        ("max_sites = 1", "max_sites = 1 cannot be halved; banks = 2 takes powers of two from 2 on"),
        ('lanes = "eight"', "lanes = 'eight'"),
        ("lanes = 8.5", "lanes = 8.5"),
        ("lane = 8", "lane = 8"),
        ("[codec]\nlanes = 8", "codec = {'lanes': 8}"),
    ],
)
def test_an_impossible_field_is_refused_by_name_and_value(toml, content, complaint):
    message = refusal(toml(content))
    assert complaint in message
    assert "codec.toml: " in message


@pytest.mark.parametrize(
    "content",
    ["lanes = ", "lanes = 8\nlanes = 8", b"\xff\xfe", b"\x00", "lanes = " + "[" * 5000, "lanes = " + "1" * 5000],
    ids=["no value", "twice", "not UTF-8", "NUL", "nested", "5000 digits"],
)
def test_a_file_that_is_not_toml_is_refused(toml, content):
    assert "codec.toml: is not TOML: " in refusal(toml(content))


@pytest.mark.parametrize("source", ["huge", "huge.toml", "", "codec/default", "a\0b"])
def test_an_unknown_configuration_lists_the_known_ones(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if source == "codec/default":
        assert load_params(source) == load_params("default")
        return
    message = refusal(source)
    assert "no such codec configuration" in message
    assert all(name in message for name in SHIPPED)


def test_a_folder_is_not_a_configuration(tmp_path):
    (tmp_path / "codec.toml").mkdir()
    assert "no such codec configuration" in refusal(tmp_path / "codec.toml")


def test_a_name_that_is_too_long_is_refused():
    refusal("a" * 5000)


def test_two_banks_are_not_written_so_that_older_tables_keep_their_name(toml):
    assert "banks" not in CodecParams().as_json() and CodecParams(banks=1).as_json()["banks"] == 1
    assert load_params(toml("banks = 1\nstep_depth = 1000\nmax_sites = 1")).banks == 1
    assert CodecParams.model_validate(CodecParams(banks=1).as_json()) == CodecParams(banks=1)
