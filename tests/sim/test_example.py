"""The example testbench in Icarus Verilog, on the exported codec and the vectors of a site."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from actcodec.errors import ActcodecError
from actcodec.params import CodecParams, load_params
from actcodec.tables.synthetic import synthetic_tables
from actcodec_sim.cosim.builds import kept_rtl
from actcodec_sim.cosim.vectors import write_vectors
from support.cosim import CACHE, random_activations
from support.frames import FOLDED, params_of

BENCH = Path(__file__).parents[2] / "examples" / "integration" / "actcodec_codec_tb.sv"


def prepare(config: str | CodecParams, vectors: Path, site: int = 3) -> Path:
    """Write vectors of a site and return the folder of the RTL."""
    params = params_of(config)
    tables = synthetic_tables(5, params)
    name = tables.sites[site].info.name
    write_vectors(vectors, tables, name, random_activations(tables, 6)[name], params.directions)
    return kept_rtl(params, CACHE.resolve())


def simulate(rtl: Path, vectors: Path, limit_cycles: int = 100_000) -> str:
    """What the bench prints."""
    sources = [str(rtl / name) for name in (rtl / "files.f").read_text().split()]
    compile_it = ["iverilog", "-g2012", f"-I{rtl}", "-I.", "-s", "actcodec_codec_tb", "-o", "tb.vvp"]
    compile_it.append(f"-Pactcodec_codec_tb.LIMIT_CYCLES={limit_cycles}")
    subprocess.run([*compile_it, *sources, str(BENCH)], cwd=vectors, check=True, capture_output=True)
    result = subprocess.run(
        ["vvp", "-n", "tb.vvp"], cwd=vectors, check=True, capture_output=True, text=True, timeout=300
    )
    return result.stdout


@pytest.mark.parametrize(
    "config", ["tiny", "decoder-only", "encoder-only", FOLDED], ids=["tiny", "decoder-only", "encoder-only", "folded"]
)
def test_every_payload_of_every_direction_is_compared_and_passes(config: str | CodecParams, tmp_path: Path) -> None:
    rtl = prepare(config, tmp_path / "vectors")
    assert re.search(r"^PASS: \d+ cycles$", simulate(rtl, tmp_path / "vectors"), re.MULTILINE)


@pytest.mark.parametrize("name", ["encoder_o.hex", "decoder_o.hex"])
def test_a_wrong_payload_fails(name: str, tmp_path: Path) -> None:
    vectors = tmp_path / "vectors"
    rtl = prepare("tiny", vectors)
    lines = (vectors / name).read_text().splitlines()
    place = len(lines) // 2
    lines[place] = f"{int(lines[place], 16) ^ 1:0{len(lines[place])}x}"
    (vectors / name).write_text("\n".join([*lines, ""]))
    text = simulate(rtl, vectors)
    assert re.search(r"^FAIL: a payload differs, or an error$", text, re.MULTILINE) and "PASS" not in text
    assert re.search(rf"^{name[:7]}, payload {place}: got ", text, re.MULTILINE)


def test_a_missing_input_ends_with_a_failure(tmp_path: Path) -> None:
    vectors = tmp_path / "vectors"
    rtl = prepare("tiny", vectors)
    header = vectors / "vectors.svh"
    header.write_text(re.sub(r"(ENCODER_INPUTS) = \d+", r"\1 = 1", header.read_text()))
    assert re.search(r"^FAIL: not done after 3000 cycles$", simulate(rtl, vectors, 3000), re.MULTILINE)


def test_vectors_refuse_activations_of_another_shape(tmp_path: Path) -> None:
    tables = synthetic_tables(5, load_params("tiny"))
    with pytest.raises(ActcodecError, match=r"have shape \(1, 2, 3\), expected \(6, 6, 8\)"):
        write_vectors(tmp_path / "v", tables, "synthetic0", np.zeros((1, 2, 3), np.uint8), ("encoder",))
    assert not (tmp_path / "v").exists()
