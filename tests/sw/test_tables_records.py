import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actcodec.tables.records import Field, Record, bits_for, decoder_records, encoder_records
from support.sites import BUILDS
from support.table_machine import unpack_entry

RECORD = Record("demo", 4, (Field("flag", 1), Field("bias", 5, signed=True, count=2), Field("last", 4)))
GOOD = {"flag": 1, "bias": [-16, 15], "last": 9}


def test_fields_are_packed_least_significant_first():
    assert RECORD.bits == 15
    assert RECORD.pack(GOOD) == 1 | 0b10000 << 1 | 0b01111 << 6 | 9 << 11


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"flag": 2}, "demo.flag: 2 is outside 0…1"),
        ({"flag": -1}, "demo.flag: -1 is outside 0…1"),
        ({"bias": [0, 16]}, "demo.bias: 16 is outside -16…15"),
        ({"bias": [-17, 0]}, "demo.bias: -17 is outside -16…15"),
        ({"bias": [0]}, "demo.bias: 1 of 2 values"),
        ({"last": [1, 2]}, "demo.last: 2 of 1 values"),
        ({"first": 0}, "demo: got fields"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(wrong, complaint):
    with pytest.raises(ValueError, match="record " + complaint):
        RECORD.pack({**GOOD, **wrong})


def test_a_missing_field_is_refused():
    with pytest.raises(ValueError, match="got fields"):
        RECORD.pack({"flag": 0})


@pytest.mark.parametrize(("largest", "bits"), [(0, 1), (1, 1), (2, 2), (255, 8), (256, 9)])
def test_bits_for(largest, bits):
    assert bits_for(largest) == bits


@pytest.mark.parametrize(("bits", "words"), [(1, 1), (64, 1), (65, 2), (128, 2)])
def test_an_entry_takes_whole_words(bits, words):
    assert Record("r", 1, (Field("x", bits),)).words(64) == words


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_what_is_packed_is_unpacked(data):
    records = data.draw(st.sampled_from([encoder_records, decoder_records]))(data.draw(st.sampled_from(BUILDS)))
    record = records[data.draw(st.sampled_from(list(records)))]
    values = {}
    for field in record.fields:
        low = -(1 << (field.bits - 1)) if field.signed else 0
        numbers = st.integers(low, low + (1 << field.bits) - 1)
        values[field.name] = data.draw(
            numbers if field.count is None else st.lists(numbers, min_size=field.count, max_size=field.count)
        )
    packed = record.pack(values)
    assert packed.bit_length() <= record.bits
    assert unpack_entry(record, packed) == values


def test_memories_keep_their_numbers():
    params = BUILDS[0]
    assert list(encoder_records(params)) == ["site", "plane", "operation", "code_plane", "code"]
    assert list(decoder_records(params)) == [
        "site",
        "plane",
        "operation",
        "code_plane",
        "code",
        "beat",
        "window",
    ]
    for records in (encoder_records(params), decoder_records(params)):
        assert [records[name].depth for name in ("site", "plane", "code_plane", "code", "operation")] == [
            params.max_sites,
            params.plane_depth,
            params.plane_depth,
            params.step_depth,
            params.coefficient_depth,
        ]
