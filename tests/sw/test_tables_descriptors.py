"""A DMA that fetches exactly the words of a descriptor gives the decoder all that its tile needs."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from actcodec.errors import ActcodecError
from actcodec.golden import SiteCodec
from actcodec.params import load_params
from actcodec.tables import Tables, save_tables
from actcodec.tables.descriptors import (
    Descriptor,
    Tiling,
    all_descriptors,
    as_csv,
    as_json,
    site_bases,
    site_descriptors,
)
from actcodec.tables.synthetic import synthetic_tables
from support.sites import activations

TABLES = {config: synthetic_tables(5, load_params(config)) for config in ("tiny", "wide")}
TILINGS = [Tiling(2, 3), Tiling(4, 2, halo=1), Tiling(3, 3, halo=2), Tiling(4, 4, stride=2), Tiling(3, 2, 1, 3)]


def memory_of(tables: Tables, bases: list[int]) -> tuple[np.ndarray, list[np.ndarray]]:
    """All sites' golden streams where the descriptors expect them, other bytes wrong; and the decoded images."""
    streams, images = [], []
    for number, site in enumerate(tables.sites):
        codec = SiteCodec(site)
        streams.append(codec.encode(activations(site, number)))
        images.append(codec.decode(streams[-1]))
    memory = np.full(bases[-1] + streams[-1].size, 0xA5, dtype=np.uint8)
    for base, stream in zip(bases, streams, strict=True):
        memory[base : base + stream.size] = stream
    return memory, images


@pytest.mark.parametrize("config", TABLES)
@pytest.mark.parametrize("tiling", TILINGS, ids=str)
def test_the_words_of_a_descriptor_decode_to_its_tile(config: str, tiling: Tiling) -> None:
    tables = TABLES[config]
    word = tables.params.word_bytes
    bases = site_bases(tables, 3 * word, 2 * word)
    memory, images = memory_of(tables, bases)
    found = all_descriptors(tables, tiling, 3 * word, 2 * word)
    seen = [np.zeros(image.shape, dtype=int) for image in images]
    for d in found:
        site = tables.sites[d.site]
        addresses = d.word_addresses(word)
        assert addresses.size == d.words and d.base == bases[d.site] and not (addresses % word).any()
        words = memory[addresses[:, None] + np.arange(word)]
        got = SiteCodec(site).decode_window(words.reshape(-1, word), d.window)
        place = (
            slice(d.y, d.y + (d.rows - 1) * d.stride + 1, d.stride),
            slice(d.x, d.x + (d.count - 1) * d.stride + 1, d.stride),
            slice(d.first_channel, d.first_channel + d.channels),
        )
        assert np.array_equal(got, images[d.site][place])
        seen[d.site][place] += 1
    for counts in seen:
        wanted = np.zeros(counts.shape, dtype=bool)
        wanted[:: tiling.stride, :: tiling.stride] = True
        assert np.array_equal(counts > 0, wanted)
        if not tiling.halo:
            assert counts.max() == 1


def test_no_word_is_fetched_that_holds_nothing_of_the_tile() -> None:
    tables = TABLES["tiny"]
    bits = tables.params.word_bits
    for number, site in enumerate(tables.sites):
        for d in site_descriptors(site, number, Tiling(2, 2), 0):
            plane = site.planes[d.plane]
            for row in range(d.rows):
                first = plane.position_bit(d.y + row, d.x)
                end = first + d.count * plane.position_bits
                words = range(first // bits, -(-end // bits) if end > first else first // bits)
                assert [n * bits // 8 for n in words] == [
                    d.address + row * d.pitch + n * bits // 8 for n in range(d.row_words)
                ]


def test_json_and_csv_say_the_same() -> None:
    tables = TABLES["tiny"]
    found = all_descriptors(tables, Tiling(4, 4, 1), 0, 64)
    content = json.loads(json.dumps(as_json(tables, found, tiling=asdict(Tiling(4, 4, 1)))))
    lines = list(csv.DictReader(io.StringIO(as_csv(Descriptor, found))))
    assert [{key: str(value) for key, value in entry.items()} for entry in content["descriptors"]] == lines
    assert content["tiling"] == {"height": 4, "width": 4, "halo": 1, "stride": 1}


@pytest.mark.parametrize("change", [{"height": 0}, {"width": -1}, {"halo": -1}, {"stride": 0}])
def test_an_impossible_tiling_is_named(change: dict[str, int]) -> None:
    (name,) = change
    with pytest.raises(ActcodecError, match=f"tiling: {name} = "):
        Tiling(**{"height": 1, "width": 1, **change})


def test_an_alignment_within_a_word_is_refused() -> None:
    with pytest.raises(ActcodecError, match="alignment = 12 bytes"):
        site_bases(TABLES["tiny"], 0, 12)


def test_the_command_writes_both_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from actcodec.cli.hardware import descriptors

    save_tables(TABLES["tiny"], tmp_path / "tables")
    descriptors(tmp_path / "tables", "4x4", halo=1, stride=1, align=None, base=4096, stripe=3, out=tmp_path / "out")
    assert "descriptors of 8 sites" in capsys.readouterr().out
    stripes = json.loads((tmp_path / "out" / "stripes.json").read_text())
    assert stripes["stripe_rows"] == 3 and stripes["descriptors"][0]["address"] == 4096
    assert (tmp_path / "out" / "stripes.csv").read_text().count("\n") == len(stripes["descriptors"]) + 1
    content = json.loads((tmp_path / "out" / "descriptors.json").read_text())
    assert content["descriptors"][0]["base"] == 4096
    assert (tmp_path / "out" / "descriptors.csv").read_text().count("\n") == len(content["descriptors"]) + 1
    for wrong in ("4", "4x", "axb", "4x4x4"):
        with pytest.raises(ActcodecError, match="is not HEIGHTxWIDTH"):
            descriptors(tmp_path / "tables", wrong)
