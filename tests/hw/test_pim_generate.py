"""The macro's exported Verilog: files, boundaries of the blocks, lint, and what its digest depends on."""

import json
from pathlib import Path

import pytest

from actcodec.errors import ActcodecError
from actcodec.pim import PimParams, load_pim_params
from actcodec.pim.codes import segment_bits
from actcodec_rtl.lint import lint
from actcodec_rtl.pim.generate import TOP, generate_pim, generator_digest

BLOCKS = ("array", "cells", "counters", "input_buffer", "input_driver", "accumulators", "result_buffer")


@pytest.fixture(scope="module")
def rtl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pim") / "tiny"
    assert generate_pim(load_pim_params("tiny"), folder)
    return folder


def test_every_block_is_a_module_of_its_own_in_the_file_list(rtl: Path) -> None:
    files = (rtl / "files.f").read_text().split()
    assert set(files) == {f"{TOP}.sv", *(f"{TOP}_{name}.sv" for name in (*BLOCKS, "tree"))}
    assert all((rtl / name).read_text().startswith(f"module {name.removesuffix('.sv')}") for name in files)


def test_blocks_to_replace_have_the_ports_of_their_docstrings(rtl: Path) -> None:
    written = {"clk", "rst", "write_en", "write_row", "write_data", "inputs"}
    for name, others in (("cells", {"products"}), ("array", {"en", "counts"})):
        text = (rtl / f"{TOP}_{name}.sv").read_text()
        ports = {port.strip() for port in text[text.index("(") + 1 : text.index(")")].split(",")}
        assert ports == written | others
    assert "stored" not in "".join((rtl / f"{TOP}_{name}.sv").read_text() for name in BLOCKS if name != "cells")


def test_ports_have_the_layouts_of_their_payloads(rtl: Path) -> None:
    content = json.loads((rtl / "ports.json").read_text())
    ports = {port["name"]: port for port in content["ports"]}
    params = load_pim_params("tiny")
    assert content["top"] == TOP
    assert ports["o_payload"]["bits"] == params.trees * segment_bits(params) + 1
    fields = {field["name"]: field for field in ports["o_payload"]["fields"]}
    assert fields["segments.0.by16.0"]["bits"] == params.result_bits(16) and fields["segments.0.by16.0"]["signed"]
    assert fields["segments.0.by2.7"]["offset"] == 7 * params.result_bits(2)
    assert {field["name"] for field in ports["i_payload"]["fields"]} >= {
        "data",
        "mode.weight_bits",
        "mode.input_signed",
    }


def test_the_same_parameters_are_not_generated_twice(rtl: Path) -> None:
    assert not generate_pim(load_pim_params("tiny"), rtl)
    assert generator_digest(PimParams(rows=16, columns=16)) != generator_digest(PimParams(rows=32, columns=16))


def test_verilator_finds_nothing(rtl: Path) -> None:
    """`make lint` runs on every configuration."""
    lint(rtl, (TOP,))


def test_a_width_that_is_cut_off_is_found(rtl: Path) -> None:
    path = rtl / f"{TOP}_accumulators.sv"
    text = path.read_text()
    assert "reg [21:0] kept_0;" in text
    path.write_text(text.replace("reg [21:0] kept_0;", "reg [20:0] kept_0;"))
    with pytest.raises(ActcodecError, match="lint messages, first: %Warning-WIDTHTRUNC"):
        lint(rtl, (TOP,))
    path.write_text(text)
