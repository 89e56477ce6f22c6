"""Verilator finds nothing in the exported RTL beyond the rules that are waived by name."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from actcodec.configs import configs_folder
from actcodec.errors import ActcodecError
from actcodec_rtl.lint import lint

SHIPPED = sorted(path.stem for path in (configs_folder() / "codec").glob("*.toml"))


@pytest.mark.parametrize("config", SHIPPED)
def test_the_rtl_of_every_shipped_configuration_is_clean(config: str, rtl_of: Callable[[str], Path]) -> None:
    lint(rtl_of(config))


def test_a_width_that_is_cut_off_is_not_waived(tmp_path: Path, rtl_of: Callable[[str], Path]) -> None:
    rtl = shutil.copytree(rtl_of("tiny"), tmp_path / "rtl")
    packer = rtl / "actcodec_encoder_packer.sv"
    text = packer.read_text()
    assert "wire [6:0] total;" in text
    packer.write_text(text.replace("wire [6:0] total;", "wire [5:0] total;"))
    with pytest.raises(ActcodecError, match="WIDTHTRUNC"):
        lint(rtl)
