"""The hardware's view of a table entry is the one that export packs."""

import random
from collections.abc import Callable

import pytest
from amaranth.hdl import Const, Value

from actcodec.params import CodecParams, load_params
from actcodec.tables.records import Field, Record, decoder_records, encoder_records
from actcodec_rtl.layouts import beat_layout, chunk_layout, record_layout, sums_layout, values_layout, word_layout
from support.frames import CONFIGS

SMALL = Record(
    "small",
    4,
    (Field("flag", 1), Field("signs", 3, signed=True, count=3), Field("plain", 5), Field("sign", 2, signed=True)),
)


def field_value(rng: random.Random, field: Field) -> int:
    low = -(1 << field.bits - 1) if field.signed else 0
    return rng.choice([low, low + (1 << field.bits) - 1, low + rng.getrandbits(field.bits)])


def values_of(rng: random.Random, record: Record) -> dict[str, int | list[int]]:
    """Random numbers for every field, the ends of its range among them."""
    found: dict[str, int | list[int]] = {}
    for field in record.fields:
        many = field.count is not None
        found[field.name] = [field_value(rng, field) for _ in range(field.count)] if many else field_value(rng, field)
    return found


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("records_of", [encoder_records, decoder_records])
def test_a_record_packs_to_the_same_bits_in_software_and_hardware(
    config: str, records_of: Callable[[CodecParams], dict[str, Record]]
) -> None:
    rng = random.Random(1)
    for record in (SMALL, *records_of(load_params(config)).values()):
        layout = record_layout(record)
        assert layout.size == record.bits
        for _ in range(20):
            values = values_of(rng, record)
            constant = Value.cast(layout.const(values))
            assert isinstance(constant, Const)
            assert constant.value & ((1 << record.bits) - 1) == record.pack(values)


def test_a_small_record_lies_as_written_out_by_hand() -> None:
    layout = record_layout(SMALL)
    assert {name: (field.offset, field.width) for name, field in layout} == {
        "flag": (0, 1),
        "signs": (1, 9),
        "plain": (10, 5),
        "sign": (15, 2),
    }
    packed = SMALL.pack({"flag": 1, "signs": [-1, 2, -4], "plain": 9, "sign": -2})
    assert packed == 0b10_01001_100_010_111_1


@pytest.mark.parametrize("config", CONFIGS)
def test_stream_payloads_have_the_sizes_of_the_parameters(config: str) -> None:
    params = load_params(config)
    beat, word, chunk = beat_layout(params), word_layout(params), chunk_layout(params)
    assert beat["last"].offset == 8 * params.lanes and beat["last_lane"].offset == 8 * params.lanes + 1
    assert 1 << beat["last_lane"].width >= params.lanes > 1 << beat["last_lane"].width - 1
    assert [beat["data"].shape[lane].offset for lane in range(params.lanes)] == [8 * n for n in range(params.lanes)]
    assert word.size == params.word_bits + 1 and word["last"].offset == params.word_bits
    assert chunk["bits"].width == 8 * params.codes_per_cycle and 1 << chunk["count"].width > params.word_bits
    assert sums_layout(params).length == values_layout(params).length == max(params.rows, params.codes_per_cycle)
