"""Tables for other tools: a C codec on the header, and the ONNX models, give the golden model's bytes."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from actcodec.cli import app
from actcodec.deploy import write_c_header, write_qonnx
from actcodec.errors import ActcodecError
from actcodec.golden import SiteCodec
from actcodec.params import CodecParams, load_params
from actcodec.tables import SiteTable, Tables, digest_of, load_tables, save_tables
from actcodec.tables.synthetic import synthetic_input, synthetic_tables
from support.onnx_networks import evaluator

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "benchmarks" / "results" / "tables" / "resnet20-p1q-2.5"
STRICT = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-O1")


def frame(site: SiteTable, seed: int = 0) -> np.ndarray:
    return synthetic_input(np.random.default_rng(seed), site)


def golden(site: SiteTable, x: np.ndarray) -> tuple[bytes, np.ndarray]:
    codec = SiteCodec(site)
    stream = codec.encode(x)
    return stream.tobytes(), codec.decode(stream)


def compiled(tmp_path: Path, tables: Tables, name: str) -> Path:
    (header,) = write_c_header(tmp_path / name, tables)
    program = tmp_path / f"{name}-codec"
    source = ROOT / "examples" / "c" / "codec.c"
    subprocess.run(["gcc", *STRICT, f"-I{header.parent}", "-o", program, source], check=True)
    return program


def call(program: Path, verb: str, site: str, content: bytes) -> bytes:
    return subprocess.run([program, verb, site], input=content, capture_output=True, check=True).stdout


@pytest.mark.parametrize("seed", [0, 1])
def test_a_c_codec_on_the_header_gives_the_golden_bytes(tmp_path: Path, seed: int) -> None:
    """Sites of all transforms and both orders, with coefficients that are not stored and blocks without any."""
    tables = synthetic_tables(seed, load_params("tiny"))
    assert {site.info.order for site in tables.sites} == {"position-major", "block-major"}
    program = compiled(tmp_path, tables, "synthetic")
    for site in tables.sites:
        x = frame(site, seed)
        stream, restored = golden(site, x)
        assert call(program, "encode", site.info.name, x.tobytes()) == stream, site.info.name
        assert call(program, "decode", site.info.name, stream) == restored.tobytes(), site.info.name
    unknown = subprocess.run([program, "encode", "gone"], capture_output=True, text=True)
    assert (unknown.returncode, unknown.stderr) == (2, "error: no site gone that can be encoded\n")


def test_a_folded_site_is_decoded_in_c(tmp_path: Path) -> None:
    tables = synthetic_tables(2, load_params("folded"))
    program = compiled(tmp_path, tables, "folded")
    for site in tables.sites[:3]:
        stream, restored = golden(site, frame(site))
        assert call(program, "decode", site.info.name, stream) == restored.tobytes()


def test_the_header_holds_every_integer_of_the_tables(tmp_path: Path) -> None:
    """Those of a learned network, printed by a C++ program."""
    tables = load_tables(KEPT)
    write_c_header(tmp_path, tables)
    program = """
        #include "actcodec_tables.h"
        #include <cstdio>
        typedef unsigned long long whole;
        template <class T> void show(const T *a, size_t n) {
            for (size_t i = 0; a && i < n; i++) std::printf("%lld ", (long long)a[i]);
            std::puts("");
        }
        int main() {
            std::puts(ACTCODEC_DIGEST);
            for (const actcodec_site &s : actcodec_sites) {
                std::printf("%s %u %u %u %.17g %u %u ", s.name, s.channels, s.height, s.width, s.scale, s.zero, s.low);
                std::printf("%u %u %u ", s.high, s.output_shift, s.readers);
                std::printf("%llu %llu\\n", (whole)s.payload_bits, (whole)s.stream_bytes);
                show(s.P, (size_t)s.coefficients * ACTCODEC_BLOCK);
                show(s.R, (size_t)s.channels * ACTCODEC_BLOCK);
                show(s.bias, s.coefficients);
                show(s.shift, s.coefficients);
                show(s.bits, s.coefficients);
                show(s.left_shift, s.coefficients);
                show(s.bias_out, s.channels);
                show(s.channel_order, s.channels);
            }
            return ACTCODEC_SITE_LAYER1_0_CONV1 != 1;
        }"""
    (tmp_path / "show.cpp").write_text(program)
    subprocess.run(
        ["g++", "-std=c++11", "-Wall", "-Wextra", "-Werror", "-o", tmp_path / "show", tmp_path / "show.cpp"], check=True
    )
    lines = subprocess.run([tmp_path / "show"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines.pop(0) == digest_of(tables)
    for site in tables.sites:
        info, sizes = site.info, site.sizes(1)
        name, *numbers = lines.pop(0).split()
        assert (name, float(numbers.pop(3))) == (info.name, info.scale)
        assert [int(n) for n in numbers] == [
            *(info.channels, info.height, info.width, info.zero, info.low, info.high, info.output_shift, info.readers),
            *(sizes.payload_bits, sizes.stream_bytes),
        ]
        for field, array in site.arrays.items():
            if field != "group":
                assert np.fromstring(lines.pop(0), np.int64, sep=" ").tolist() == array.ravel().tolist(), field
    assert not lines


def test_models_of_sites_give_the_golden_reconstruction(tmp_path: Path) -> None:
    tables = load_tables(KEPT)
    *models, summary = write_qonnx(tmp_path, tables)
    entries = json.loads(summary.read_text())
    assert entries["digest"] == digest_of(tables)
    for site, path, entry in list(zip(tables.sites, models, entries["sites"], strict=True))[::6]:
        assert (entry["site"], entry["file"], entry["scale"]) == (site.info.name, path.name, site.info.scale)
        check_model(path, site)


@pytest.mark.parametrize("seed", [0, 1])
def test_models_of_all_transforms(tmp_path: Path, seed: int) -> None:
    tables = synthetic_tables(seed, load_params("default"))
    sites = tuple(site for site in tables.sites if site.arrays.width.any())
    assert {site.info.transform for site in sites} == {"project", "identity", "bypass"}
    chosen = Tables(tables.params, sites, tables.provenance, tables.residency, tables.transaction_bytes)
    *models, _ = write_qonnx(tmp_path, chosen)
    for site, path in zip(sites, models, strict=True):
        check_model(path, site)


def check_model(path: Path, site: SiteTable) -> None:
    """The model is valid, and equal to the golden model on whole frames."""
    model = onnx.load(str(path))
    onnx.checker.check_model(model)
    x = np.stack([frame(site, seed) for seed in range(2)])
    expected = SiteCodec(site).decode(SiteCodec(site).encode(x))
    given = {"x": x.transpose(0, 3, 1, 2).astype(np.float32)}
    (found,) = evaluator(model).run(None, given)
    np.testing.assert_array_equal(found, expected.transpose(0, 3, 1, 2))


def test_what_has_no_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folded = synthetic_tables(0, load_params("folded"))
    with pytest.raises(ActcodecError, match="is folded: its coefficients are computed by the convolution"):
        write_qonnx(tmp_path, folded)
    wide = synthetic_tables(0, CodecParams(acc_bits=32))
    loud = wide.sites[0].arrays
    loud.bias[:] = 1 << 28
    with pytest.raises(ActcodecError, match=r"encoder sums can reach 26\d+, more than the 16777216 that float32 holds"):
        write_qonnx(tmp_path, wide)
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ActcodecError, match=r"needs the package onnx \(pip install 'actcodec\[loaders\]'\)"):
        write_qonnx(tmp_path, folded)
    assert not list(tmp_path.iterdir())


def test_the_command_line(tmp_path: Path) -> None:
    tables = synthetic_tables(0, load_params("tiny"))
    save_tables(tables, tmp_path / "tables")

    def run(*arguments: object) -> str:
        result = CliRunner().invoke(app, ["export", *map(str, arguments)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    out = tmp_path / "c"
    shown = json.loads(run("--tables", tmp_path / "tables", "--format", "c-header", "--out", out, "--json"))
    assert shown == {"digest": digest_of(tables), "files": [str(out / "actcodec_tables.h")]}
    shutil.rmtree(out)
    assert run("--tables", tmp_path / "tables", "--format", "c-header", "--out", out).strip().endswith("tables.h")
    with pytest.raises(ActcodecError, match="--format qonnx takes --tables"):
        run("--plan", tmp_path, "--format", "qonnx", "--out", out)
    with pytest.raises(ActcodecError, match="--format tables takes --plan"):
        run("--tables", tmp_path / "tables", "--out", out)
