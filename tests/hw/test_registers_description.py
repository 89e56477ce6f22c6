"""The register map as data, C header and document."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from actcodec.params import CodecParams, load_params
from actcodec_rtl.registers import Field, Register, RegisterGroup, RegisterMap, codec_registers
from actcodec_rtl.registers.c_header import C_HEADER, c_header
from actcodec_rtl.registers.document import document

DOCS = Path(__file__).parents[2] / "docs"
MAP = codec_registers(CodecParams())
BIT = (Field("bit", 0, 1, ""),)


def test_the_page_of_registers_is_that_of_the_description() -> None:
    assert (DOCS / "registers.md").read_text() == document(MAP), "stale: python -m actcodec_rtl.registers"


def test_offsets_are_the_same_for_every_build() -> None:
    def fields(registers: RegisterMap) -> list[tuple[Any, ...]]:
        return [
            (place.path, place.address, field.name, field.offset, field.bits)
            for place in registers.places()
            for field in place.register.fields
        ]

    for config in ("tiny", "wide"):
        assert fields(codec_registers(load_params(config))) == fields(MAP)
    one = codec_registers(CodecParams(directions=("decoder",)))
    assert set(fields(one)) < set(fields(MAP)) and not any(path.startswith("encoder_") for path, *_ in fields(one))
    assert MAP.address("decoder_status") == one.address("decoder_status") == 0x200


def test_the_largest_parameters_fit_their_fields() -> None:
    side = dict(max_channels=4096, max_coefficients=4096, max_side=65536, max_sites=1024)
    depths = dict.fromkeys(("plane_depth", "step_depth", "coefficient_depth"), 65536)
    codec_registers(CodecParams(lanes=64, rows=64, block=64, word_bits=512, acc_bits=32, **side, **depths))


def test_the_json_has_every_bit_once() -> None:
    entries = MAP.as_json()
    assert len({entry["address"] for entry in entries}) == len(entries) == len(list(MAP.places()))
    for entry in entries:
        reset = sum(field["reset"] << field["offset"] for field in entry["fields"])
        assert entry["reset"] == reset
        bits = [bit for f in entry["fields"] for bit in range(f["offset"], f["offset"] + f["bits"])]
        assert len(set(bits)) == len(bits) and max(bits) < 32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Register("r", 2, "ro", "", BIT), "offset = 0x2"),
        (lambda: Register("r", 0, "r0", "", BIT), "access = 'r0'"),
        (lambda: Register("r", 0, "rw", "", BIT, fixed=True), "fixed"),
        (lambda: Register("r", 0, "rw", "", ()), "needs fields"),
        (lambda: Register("r", 0, "rw", "", (*BIT, *BIT)), "names of their own"),
        (lambda: Register("r", 0, "rw", "", (Field("a", 0, 3, ""), Field("b", 2, 1, ""))), r"r\.b: bits 2…3"),
        (lambda: Register("r", 0, "rw", "", (Field("a", 30, 3, ""),)), r"r\.a: bits 30…33"),
        (lambda: Register("r", 0, "rw", "", (Field("a b", 0, 3, ""),)), "field name 'a b'"),
        (lambda: Register("r", 0, "rw", "", (Field("a", 0, 3, "", 8),)), "reset = 0x8 in 3 bits"),
    ],
)
def test_impossible_registers_are_named(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("registers", "bases", "message"),
    [
        ((Register("a", 0, "rw", "", BIT), Register("b", 0, "rw", "", BIT)), (("", 0),), "a and b are both at 0x0"),
        ((Register("a", 0, "rw", "", BIT), Register("a", 4, "rw", "", BIT)), (("", 0),), "same name"),
        ((Register("a", 0, "rw", "", BIT),), (("x", 0x1000),), "x_a is at 0x1000"),
    ],
)
def test_impossible_maps_are_named(registers: Any, bases: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RegisterMap((RegisterGroup("g", "", bases, registers),))


def program() -> str:
    """A C program that fails where a constant or helper of the header is not the description's."""
    checks = []
    for group in MAP.groups:
        checks += [f"ACTCODEC_{name.upper()} == {base}u" for name, base in group.bases if name]
        for register in group.registers:
            name = f"actcodec_{register.name}"
            checks.append(f"{name.upper()} == {register.offset}u")
            for field in register.fields:
                macro, full = f"{name}_{field.name}".upper(), (1 << field.bits) - 1
                checks += [f"{macro}_MASK == {field.mask}u", f"{macro}_SHIFT == {field.offset}"]
                if register.access != "wo":
                    checks.append(f"{name}_{field.name}_get({field.mask}u) == {full}u")
                    checks.append(f"{name}_{field.name}_get(~{field.mask}u) == 0u")
                if register.access != "ro":
                    checks.append(f"{name}_{field.name}_set(0u, {full}u) == {field.mask}u")
                    checks.append(f"{name}_{field.name}_set(0xffffffffu, 0u) == ~UINT32_C({field.mask})")
    lines = "".join(f"    if (!({check})) return {n % 250 + 1};\n" for n, check in enumerate(checks))
    return f'#include "{C_HEADER}"\n\nint main(void)\n{{\n{lines}    return 0;\n}}\n'


@pytest.mark.parametrize(
    ("compiler", "suffix", "options"),
    [("gcc", "c", ["-std=c99", "-pedantic"]), ("g++", "cpp", []), ("g++", "cpp", ["-std=c++11", "-pedantic"])],
)
def test_the_c_header_compiles_without_a_warning_and_says_the_same(
    compiler: str, suffix: str, options: list[str], tmp_path: Path
) -> None:
    (tmp_path / C_HEADER).write_text(c_header(MAP))
    source, binary = tmp_path / f"check.{suffix}", tmp_path / "check"
    source.write_text(program())
    warnings = ["-Wall", "-Wextra", "-Werror", "-Wconversion"]
    subprocess.run([compiler, *options, *warnings, "-o", binary, source], check=True)
    assert subprocess.run([binary], check=False).returncode == 0


def test_the_header_can_be_included_twice_and_needs_nothing_else(tmp_path: Path) -> None:
    text = c_header(MAP)
    assert re.findall(r"#include (.*)", text) == ["<stdint.h>"]
    (tmp_path / C_HEADER).write_text(text)
    (tmp_path / "a.c").write_text(f'#include "{C_HEADER}"\n#include "{C_HEADER}"\nextern int unused;\n')
    subprocess.run(["gcc", "-std=c99", "-Wall", "-Werror", "-c", tmp_path / "a.c", "-o", tmp_path / "a.o"], check=True)
