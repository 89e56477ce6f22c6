"""The exported Verilog against the golden model on random tables and data, and proof that the bench can fail."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from actcodec.configs import configs_folder
from actcodec.errors import ActcodecError
from actcodec.params import DIRECTIONS, CodecParams, load_params
from actcodec.tables import digest_of
from actcodec.tables.model import SiteTable, Tables
from actcodec.tables.records import encoder_records
from actcodec.tables.synthetic import synthetic_site, synthetic_tables
from actcodec_rtl.generate import PORTS_FILE
from actcodec_sim.cosim import cosimulate
from actcodec_sim.cosim.builds import kept_build
from actcodec_sim.cosim.covering import covering_tables
from actcodec_sim.cosim.job import JOB_FILE, JOB_VARIABLE, Stalls, write_job
from actcodec_sim.cosim.run import transactions_of_words
from actcodec_sim.cosim.simulators import Simulator, run
from support.cosim import CACHE, random_activations
from support.images import place_of

SHIPPED = sorted(path.stem for path in (configs_folder() / "codec").glob("*.toml"))


@pytest.mark.parametrize(
    ("codec", "simulator"),
    [
        *((codec, "icarus") for codec in ("tiny", "default", "wide", "folded")),
        *((codec, "verilator") for codec in SHIPPED),
    ],
)
def test_synthetic_tables_give_the_same_words_and_cycles(codec: str, simulator: Simulator, tmp_path: Path) -> None:
    tables = synthetic_tables(11, load_params(codec))
    result = cosimulate(tables, random_activations(tables, 12), simulator, CACHE, tmp_path / "job", seed=3, stall=0.4)
    assert [site.name for site in result.sites if not site.agrees] == []
    assert len(result.sites) == len(tables.sites)
    for site, table in zip(result.sites, tables.sites, strict=True):
        sizes = table.sizes(tables.transaction_bytes)
        assert tuple(site.directions) == tables.params.directions
        assert {direction.payload_bits for direction in site.directions.values()} == {sizes.payload_bits}
        assert site.stream_bytes == sizes.stream_bytes
        assert site.transaction_bytes == sizes.transaction_bytes


def test_a_first_block_that_stores_nothing_leaves_nothing_unknown(tmp_path: Path) -> None:
    """Its channels are products of zero and of a group that has not come since power-up, which Icarus would show."""
    params, rng = load_params("tiny"), np.random.default_rng(0)
    site = synthetic_site(rng, params, "first block empty", (2, 2, 2 * params.block), keep=1.0)
    site.arrays.width[: params.block] = 0
    tables = Tables(params, (SiteTable(site.info, site.arrays, params),), synthetic_tables(0, params).provenance)
    assert cosimulate(tables, random_activations(tables, 1), "icarus", CACHE, tmp_path / "job").agrees


def _run_changed_job(tmp_path: Path, change: str) -> None:
    """Run a job after one of its files was changed behind the golden model's back, in Icarus."""
    tables = synthetic_tables(11, load_params("tiny"))
    rtl, folder = kept_build(tables.params, "icarus", CACHE)
    job = tmp_path / "job"
    write_job(job, tables, random_activations(tables, 12), DIRECTIONS, 0, Stalls(0.2, 0.2))
    if change == "expected word":
        words = np.load(job / "1.stream.npy")
        words[3, 2] ^= 4
        np.save(job / "1.stream.npy", words)
    elif change == "table":
        image = np.load(job / "encoder.load.npy")
        words = [int.from_bytes(word.tobytes(), "little") for word in image]
        bit = 6 + place_of(words, 64, encoder_records(tables.params), "operation", "matrix")
        image.reshape(-1)[bit // 8] ^= 1 << bit % 8
        np.save(job / "encoder.load.npy", image)
    elif change == "nothing loaded":
        np.save(job / "encoder.load.npy", np.load(job / "encoder.load.npy")[:0])
    elif change == "memory left out":
        image = np.load(job / "encoder.load.npy")
        words = [int.from_bytes(word.tobytes(), "little") for word in image]
        # The memory of codes comes last.
        codes = place_of(words, 64, encoder_records(tables.params), "code", "ends") // 64 - 1
        np.save(job / "encoder.load.npy", image[:codes])
    elif change == "input missing":
        np.save(job / "0.stream.npy", np.load(job / "0.stream.npy")[:-1])
    elif change == "output too many":
        # Of the encoder, and without a decoder, to which they would be inputs too many.
        words = np.load(job / "0.stream.npy")
        np.save(job / "0.stream.npy", np.concatenate([words, words[:1]]))
        content = json.loads((job / JOB_FILE).read_text())
        (job / JOB_FILE).write_text(json.dumps(content | {"directions": ["encoder"]}))
    variables = {JOB_VARIABLE: str(job), "ACTCODEC_COSIM_PORTS": (rtl / PORTS_FILE).read_text()}
    run("icarus", rtl, folder, job, variables, limit_s=120)


def test_a_wrong_word_is_found_and_located(tmp_path: Path) -> None:
    with pytest.raises(ActcodecError, match=r"encoder, site synthetic1, payload 3: got 0x\w+, expected 0x\w+"):
        _run_changed_job(tmp_path, "expected word")


def test_a_wrong_coefficient_in_the_rtl_is_found(tmp_path: Path) -> None:
    with pytest.raises(ActcodecError, match=r"co-simulation failed: .*encoder, site synthetic"):
        _run_changed_job(tmp_path, "table")


def test_an_error_of_the_codec_fails_the_run(tmp_path: Path) -> None:
    with pytest.raises(ActcodecError, match=r"encoder: \['bad_site'\]"):
        _run_changed_job(tmp_path, "nothing loaded")


def test_unknown_values_fail_the_run(tmp_path: Path) -> None:
    with pytest.raises(ActcodecError, match="co-simulation failed"):
        _run_changed_job(tmp_path, "memory left out")
    log = (tmp_path / "job" / "simulation.log").read_text()
    assert "Cannot convert" in log or "ValueError" in log


def test_a_hang_ends_with_the_sites_that_wait(tmp_path: Path) -> None:
    with pytest.raises(ActcodecError, match=r"timeout after \d+ cycles in sites \['synthetic0'\]"):
        _run_changed_job(tmp_path, "output too many")


def test_an_input_that_is_missing_is_found_by_the_codec(tmp_path: Path) -> None:
    with pytest.raises(ActcodecError, match=r"decoder: \['early_last'\]"):
        _run_changed_job(tmp_path, "input missing")


def test_missing_activations_are_named(tmp_path: Path) -> None:
    tables = synthetic_tables(11, load_params("tiny"))
    activations = random_activations(tables, 12)
    del activations["synthetic2"]
    with pytest.raises(ActcodecError, match="no activations for site 'synthetic2'"):
        cosimulate(tables, activations, "icarus", CACHE, tmp_path / "job")
    assert not (tmp_path / "job").exists()


@pytest.mark.parametrize(
    ("words", "word_bytes", "transaction", "moved"),
    [(0, 8, 64, 0), (1, 8, 64, 128), (8, 8, 64, 64), (9, 8, 64, 192), (1, 64, 64, 64), (3, 64, 32, 192)],
)
def test_transactions_are_counted_from_addresses(words: int, word_bytes: int, transaction: int, moved: int) -> None:
    assert transactions_of_words(words, word_bytes, transaction) == moved


def test_result_is_plain_json(tmp_path: Path) -> None:
    tables = synthetic_tables(11, load_params("tiny"))
    result = cosimulate(tables, random_activations(tables, 1), "icarus", CACHE, tmp_path / "job")
    content = json.loads(json.dumps(result.as_json()))
    assert content["agrees"] and content["sites"][0]["encoder"]["words_per_cycle"] > 0


@pytest.mark.parametrize(("simulator", "file"), [("icarus", "dump.fst"), ("verilator", "dump.vcd")])
def test_a_waveform_lies_beside_the_log(simulator: Simulator, file: str, tmp_path: Path) -> None:
    tables = synthetic_tables(11, load_params("tiny"))
    cosimulate(tables, random_activations(tables, 1), simulator, CACHE, tmp_path / "job", waves=True)
    content = (tmp_path / "job" / file).read_bytes()
    assert len(content) > 1000
    if simulator == "verilator":
        assert b"encoder_o_valid" in content and b"$enddefinitions" in content


def test_tables_run_on_a_codec_of_one_direction_and_keep_their_digest(tmp_path: Path) -> None:
    tables = covering_tables(load_params("tiny"), 4, most_sites=2)
    build = CodecParams.model_validate(tables.params.as_json() | {"directions": ["decoder"]})
    result = cosimulate(tables, random_activations(tables, 1), "icarus", CACHE, tmp_path / "job", build_params=build)
    assert result.agrees and result.tables_digest == digest_of(tables)
    assert [(site.encoder, tuple(site.directions)) for site in result.sites] == [(None, ("decoder",))] * 2


def test_some_sites_run_with_the_tables_of_all(tmp_path: Path) -> None:
    tables = synthetic_tables(11, load_params("tiny"))
    names = [tables.sites[number].info.name for number in (4, 1)]
    result = cosimulate(tables, random_activations(tables, 1), "icarus", CACHE, tmp_path / "job", only=names)
    assert [site.name for site in result.sites] == names and result.agrees
    with pytest.raises(ActcodecError, match="'none' is none of the sites synthetic0, "):
        cosimulate(tables, random_activations(tables, 1), "icarus", CACHE, tmp_path / "none", only=["none"])
