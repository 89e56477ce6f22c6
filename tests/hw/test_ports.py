"""The list of ports names every bit of the codec's interface once."""

import pytest
from amaranth.hdl import Fragment, Module, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from actcodec.params import DIRECTIONS, load_params
from actcodec_rtl.codec import Codec
from actcodec_rtl.counters import COUNTERS
from actcodec_rtl.layouts import ERRORS
from actcodec_rtl.ports import Port, ports_of
from support.frames import CONFIGS


def ports_used(component: wiring.Component) -> list[Port]:
    """The component's ports; it is elaborated, for Amaranth warns about one that never is."""
    Fragment.get(component, None)
    return ports_of(component)


class Example(wiring.Component):
    def __init__(self) -> None:
        inner = data.StructLayout({"a": 3, "b": data.ArrayLayout(signed(5), 2)})
        super().__init__(
            {
                "s": In(stream.Signature(data.StructLayout({"flag": 1, "inner": inner}))),
                "plain": Out(7),
            }
        )

    def elaborate(self, platform: object) -> Module:
        return Module()


def test_nested_fields_are_flattened_with_their_offsets_and_signs() -> None:
    ports = {port.name: port.as_json() for port in ports_used(Example())}
    assert list(ports) == ["s_payload", "s_valid", "s_ready", "plain"]
    assert ports["s_payload"] == {
        "name": "s_payload",
        "direction": "input",
        "bits": 14,
        "fields": [
            {"name": "flag", "offset": 0, "bits": 1, "signed": False},
            {"name": "inner.a", "offset": 1, "bits": 3, "signed": False},
            {"name": "inner.b.0", "offset": 4, "bits": 5, "signed": True},
            {"name": "inner.b.1", "offset": 9, "bits": 5, "signed": True},
        ],
    }
    assert ports["s_ready"] == {"name": "s_ready", "direction": "output", "bits": 1, "fields": []}
    assert ports["plain"] == {"name": "plain", "direction": "output", "bits": 7, "fields": []}


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_codec_of_one_direction_has_the_ports_of_that_one(direction: str) -> None:
    both = {port.name: port.as_json() for port in ports_used(Codec(load_params("default")))}
    one = {port.name: port.as_json() for port in ports_used(Codec(load_params(f"{direction}-only")))}
    assert one == {name: port for name, port in both.items() if name.startswith(f"{direction}_")}


@pytest.mark.parametrize("config", CONFIGS)
def test_the_codec_has_its_streams_and_counters_as_ports(config: str) -> None:
    params = load_params(config)
    ports = {port.name: port for port in ports_used(Codec(params))}
    side, plane = params.max_side.bit_length(), (params.plane_depth - 1).bit_length()
    job = (params.max_sites - 1).bit_length() + 2 + plane + (params.word_bits - 1).bit_length() + 3 * side
    bits = {"load": params.word_bits + 2, "start": job}
    beat, word = 8 * params.lanes + 1 + (params.lanes - 1).bit_length(), params.word_bits + 1
    expected: dict[str, tuple[bool, int]] = {}
    for part, sizes in (("encoder", bits | {"i": beat, "o": word}), ("decoder", bits | {"i": word, "o": beat})):
        for name, size in sizes.items():
            inward = name != "o"
            expected[f"{part}_{name}_payload"] = (inward, size)
            expected[f"{part}_{name}_valid"] = (inward, 1)
            expected[f"{part}_{name}_ready"] = (not inward, 1)
        expected[f"{part}_counters"] = (False, 4 * 32 + 64)
        expected[f"{part}_clear"] = (True, 1)
        expected |= {f"{part}_{name}": (False, size) for name, size in (("errors", 6), ("done", 1), ("busy", 1))}
    assert {name: (port.is_input, len(port.value)) for name, port in ports.items()} == expected


@pytest.mark.parametrize("config", CONFIGS)
def test_the_fields_of_a_port_cover_it_without_a_gap(config: str) -> None:
    structured = [port for port in ports_used(Codec(load_params(config))) if port.layout]
    for port in structured:
        position = 0
        for field in port.layout:
            assert field["offset"] == position
            position += field["bits"]
        assert position == len(port.value)
    assert {port.name for port in structured} == {
        f"{part}_{name}"
        for part in ("encoder", "decoder")
        for name in ("load_payload", "start_payload", "i_payload", "o_payload", "errors", "counters")
    }
    errors = next(port for port in structured if port.name == "decoder_errors")
    assert [field["name"] for field in errors.layout] == list(ERRORS)
    counters = next(port for port in structured if port.name == "encoder_counters")
    assert tuple(field["name"] for field in counters.layout) == COUNTERS
