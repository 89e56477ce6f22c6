"""What the generator writes, and when it does not write."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from actcodec.errors import ActcodecError
from actcodec.params import DIRECTIONS, load_params
from actcodec.tables.records import decoder_records, encoder_records
from actcodec_rtl.generate import AXI_TOP, TOP, generate, generator_digest
from actcodec_rtl.registers.c_header import C_HEADER
from support.frames import CONFIGS

TINY = load_params("tiny")
BUILDS = (*CONFIGS, "decoder-only", "encoder-only")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("config", BUILDS)
def test_the_file_list_names_every_source_and_the_modules_they_instantiate(
    config: str, rtl_of: Callable[[str], Path]
) -> None:
    rtl = rtl_of(config)
    listed = (rtl / "files.f").read_text().split()
    other = {"files.f", "ports.json", "axi_ports.json", "registers.json", C_HEADER, "waivers.vlt", "generated.json"}
    other |= {"actcodec.core", "actcodec_codec_inst.svh"}
    assert {*listed, *other} == set(contents(rtl)) and len(set(listed)) == len(listed)
    text = "".join((rtl / name).read_text() for name in listed)
    defined = set(re.findall(r"^module (\w+)", text, re.MULTILINE))
    used = set(re.findall(r"^  (actcodec_\w+)", text, re.MULTILINE))
    assert defined == used | {AXI_TOP}
    assert json.loads((rtl / "generated.json").read_text())["codec"] == load_params(config).as_json()


@pytest.mark.parametrize("config", BUILDS)
def test_the_ports_file_agrees_with_the_top_module(config: str, rtl_of: Callable[[str], Path]) -> None:
    rtl = rtl_of(config)
    for name, top, others in (("ports.json", TOP, ("clk", "rst")), ("axi_ports.json", AXI_TOP, ())):
        ports = json.loads((rtl / name).read_text())
        assert ports["top"] == top
        text = (rtl / f"{top}.sv").read_text()
        declared = {
            name: (direction, int(high or 0) + 1)
            for direction, high, name in re.findall(r"^  (input|output) (?:\[(\d+):0\] )?(\w+);", text, re.MULTILINE)
        }
        listed = {port["name"]: (port["direction"], port["bits"]) for port in ports["ports"]}
        assert declared == listed | dict.fromkeys(others, ("input", 1))
        assert all(name == name.lower() for name in declared)


def test_the_register_map_of_a_build_says_what_it_was_made_from(rtl_of: Callable[[str], Path]) -> None:
    rtl = rtl_of("tiny")
    values = {r["name"]: r["reset"] for r in json.loads((rtl / "registers.json").read_text())["registers"]}
    assert f"{values['generator']:08x}" == json.loads((rtl / "generated.json").read_text())["digest"][:8]
    assert values["array"] & 0xFF == TINY.lanes and values["step_depth"] == TINY.step_depth
    # One header for every build.
    assert (rtl / C_HEADER).read_bytes() == (rtl_of("default") / C_HEADER).read_bytes()


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_codec_of_one_direction_has_no_file_and_no_port_of_the_other(
    direction: str, rtl_of: Callable[[str], Path]
) -> None:
    rtl, (other,) = rtl_of(f"{direction}-only"), set(DIRECTIONS) - {direction}
    listed = (rtl / "files.f").read_text().split()
    ports = [port["name"] for port in json.loads((rtl / "ports.json").read_text())["ports"]]
    assert f"actcodec_{direction}.sv" in listed and f"{direction}_start_valid" in ports
    ports += [port["name"] for port in json.loads((rtl / "axi_ports.json").read_text())["ports"]]
    registers = {entry["name"]: entry for entry in json.loads((rtl / "registers.json").read_text())["registers"]}
    assert f"{direction}_start" in registers
    assert not any(other in name for name in [*contents(rtl), *ports, *registers])
    inputs = {"encoder": "s_axis_act_tdata", "decoder": "s_axis_stream_tdata"}
    assert inputs[direction] in ports and inputs[other] not in ports
    assert registers["build"]["reset"] & 3 == 1 << DIRECTIONS.index(direction)  # type: ignore[arg-type]
    # Software of any build is compiled with the same header.
    assert (rtl / C_HEADER).read_bytes() == (rtl_of("default") / C_HEADER).read_bytes()
    assert json.loads((rtl / "generated.json").read_text())["codec"]["directions"] == [direction]


def test_memories_have_the_depth_and_width_of_the_records(rtl_of: Callable[[str], Path]) -> None:
    for part, records in (("encoder", encoder_records(TINY)), ("decoder", decoder_records(TINY))):
        for name, record in records.items():
            text = (rtl_of("tiny") / f"actcodec_{part}_store_{name}.sv").read_text()
            found: dict[str, list[int]] = {"WIDTH": [], "DEPTH": [], "ADDR": []}
            for key, value in re.findall(r"\.(WIDTH|DEPTH|ADDR)\(32'd(\d+)\)", text):
                found[key].append(int(value))
            assert len(found["WIDTH"]) == record.words(64) and max(found["WIDTH"]) <= 64
            assert sum(found["WIDTH"]) == record.bits and set(found["DEPTH"]) == {record.depth}
            assert 1 << min(found["ADDR"]) >= record.depth


def test_the_text_is_the_same_in_every_process(tmp_path: Path, rtl_of: Callable[[str], Path]) -> None:
    script = (
        "import sys; from pathlib import Path; from actcodec.params import load_params; "
        "from actcodec_rtl.generate import generate; assert generate(load_params('tiny'), Path(sys.argv[1]))"
    )
    subprocess.run(
        [sys.executable, "-c", script, tmp_path / "again"], env={**os.environ, "PYTHONHASHSEED": "7"}, check=True
    )
    assert contents(tmp_path / "again") == contents(rtl_of("tiny"))


def test_what_is_up_to_date_is_left_alone_and_what_is_not_is_replaced_whole(tmp_path: Path) -> None:
    rtl = tmp_path / "deep" / "rtl"
    assert generate(TINY, rtl) is True
    written = contents(rtl)
    (rtl / "note.txt").write_text("kept")
    assert generate(TINY, rtl) is False
    assert (rtl / "note.txt").exists()
    (rtl / "note.txt").unlink()
    assert contents(rtl) == written

    other = TINY.model_copy(update={"codes": 1})
    (rtl / "stale.sv").write_text("")
    assert generate(other, rtl) is True
    assert not (rtl / "stale.sv").exists() and not (rtl / "actcodec_encoder_quantizer_requantize_1.sv").exists()
    assert contents(rtl).keys() < written.keys()
    assert [path.name for path in rtl.parent.iterdir()] == ["rtl"]


def test_a_stamp_of_another_generator_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "rtl").mkdir()
    (tmp_path / "rtl" / "generated.json").write_text('{"digest": "0"}')
    assert generate(TINY, tmp_path / "rtl") is True
    assert (tmp_path / "rtl" / f"{TOP}.sv").is_file()


def test_the_digest_follows_every_parameter() -> None:
    changes = [
        {"rows": 1},
        {"codes": 2},
        {"acc_bits": 25},
        {"max_side": 255},
        {"step_depth": 129},
        {"orders": ("block-major",)},
        {"directions": ("decoder",)},
    ]
    digests = {generator_digest(TINY.model_copy(update=change)) for change in [{}, *changes]}
    assert len(digests) == len(changes) + 1
    assert generator_digest(TINY) == generator_digest(load_params("tiny"))


def test_a_file_in_the_way_is_named_and_kept(tmp_path: Path) -> None:
    (tmp_path / "rtl").write_text("mine")
    with pytest.raises(ActcodecError, match="rtl: is a file"):
        generate(TINY, tmp_path / "rtl")
    assert (tmp_path / "rtl").read_text() == "mine"
