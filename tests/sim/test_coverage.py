"""Functional coverage: samples and bins of known sites, stalls as the ports saw them, merging, and that it closes."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actcodec.errors import ActcodecError
from actcodec.params import DIRECTIONS, load_params
from actcodec.tables.model import SiteTable, Tables
from actcodec.tables.synthetic import synthetic_site, synthetic_tables
from actcodec_sim.cosim import cosimulate
from actcodec_sim.cosim.coverage import (
    COVERAGE_FILE,
    CROSSES,
    POINTS,
    Coverage,
    ObservedFrame,
    all_bins,
    bin_name,
    collect,
    impossible,
    merge_files,
    read_coverage,
    site_samples,
)
from actcodec_sim.cosim.covering import covering_tables
from actcodec_sim.cosim.drivers import StallMonitor
from support.cosim import CACHE, random_activations

DEFAULT = load_params("default")
RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "coverage.json"


def site_with(widths: list[int], shape: tuple[int, int, int], **options: Any) -> SiteTable:
    site = synthetic_site(np.random.default_rng(0), DEFAULT, "known", shape, keep=1.0, **options)
    site.arrays.width[:] = widths
    site.arrays.left_shift[:] = 0
    return SiteTable(site.info, site.arrays, DEFAULT)


def test_samples_of_a_site_tell_every_block_and_width() -> None:
    site = site_with([3] * 16 + [0, 3, 8], (2, 3, 19), align_bits=256)
    common = {
        "transform": "project",
        "order": "position-major",
        "alignment": "several words",
        "last word": "padding only",
        "last beat": "some lanes",
        "last block": "stored",
        # 3 positions of 59 bits in rows of 256: the rest of the third word, and another one.
        "padding": "part and whole words",
    }
    assert site_samples(site) == [
        {**common, "channels": "full block", "kept": "whole groups", "width": "3"},
        *({**common, "channels": "part of a beat", "kept": "part of a group", "width": w} for w in "038"),
    ]


def test_a_site_that_stores_nothing_has_no_word_and_a_plane_its_own_padding() -> None:
    (empty,) = site_samples(site_with([0] * 8, (1, 1, 8)))
    assert (empty["last word"], empty["kept"], empty["padding"], empty["channels"]) == (
        "no word",
        "nothing",
        "none",
        "whole beats",
    )
    planes = site_samples(site_with([8] * 16 + [1] * 12, (1, 4, 28), order="block-major"))
    assert [(s["padding"], s["channels"]) for s in planes] == [
        ("none", "full block"),
        ("part of a word", "beats and a part"),
    ]
    assert {s["last word"] for s in planes} == {"part"} and {s["last beat"] for s in planes} == {"some lanes"}


def test_stalls_are_those_of_the_frame_whose_payload_waits() -> None:
    class Port:
        def __init__(self, size: int) -> None:
            self.taken: Any = 0
            self.starves = self.blocks = False
            self.size = size

        @property
        def empty(self) -> bool:
            return bool(self.taken == self.size)

    monitor = StallMonitor([2, 0, 3], [1, 1, 0])
    source, sink = Port(5), Port(0)
    sink.taken = []
    source.starves = True
    monitor.sample(source, sink, 0)  # nothing has begun
    monitor.sample(source, sink, 1)
    source.taken = 2
    monitor.sample(source, sink, 2)  # the frame that these inputs are of has not begun
    monitor.sample(source, sink, 3)
    source.taken = 5
    monitor.sample(source, sink, 3)  # there is nothing left to wait for
    source.starves, sink.blocks, sink.taken = False, True, [0]
    monitor.sample(source, sink, 3)
    assert (monitor.input_stalls, monitor.output_stalls) == ([1, 0, 1], [0, 1, 0])


def test_a_frame_s_stalls_are_named_by_side() -> None:
    frames = [ObservedFrame(0, "encoder", i, o).stalls for i, o in ((0, 0), (3, 0), (0, 1), (2, 2))]
    assert frames == list(POINTS["stalls"])


def test_bins_are_the_crosses_without_what_cannot_be() -> None:
    assert len(CROSSES) == len(set(CROSSES)) == 55 + 6
    assert ("encoder", "stalls=both, width=3") in all_bins()
    assert ("encoder", "width=3, transform=bypass") not in all_bins()
    values = {"stalls": "output", "last word": "no word"}
    assert impossible("encoder", values) and impossible("decoder", values) is None
    assert bin_name({"order": "block-major", "stalls": "none"}) == "stalls=none, order=block-major"


def test_no_frame_of_random_tables_hits_a_bin_that_was_ruled_out() -> None:
    for config in ("tiny", "default", "wide"):
        tables = synthetic_tables(3, load_params(config))
        frames = [ObservedFrame(site, d, 0, 0) for site in range(len(tables.sites)) for d in DIRECTIONS]
        found = collect(tables, frames, "none")
        assert found.hits.keys() <= all_bins() and max(found.hits.values()) <= len(frames)


def test_coverage_is_merged_and_read_again(tmp_path: Path) -> None:
    tables = synthetic_tables(3, DEFAULT)
    parts = [collect(tables, [ObservedFrame(n, "encoder", n, 0)], "icarus") for n in (0, 1)]
    for number, part in enumerate(parts):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / COVERAGE_FILE).write_text(json.dumps(part.as_json()))
    merged = merge_files([tmp_path])
    assert merged.hits == parts[0].hits + parts[1].hits and len(merged.runs) == 2
    assert {*merged.hits, *merged.holes()} == all_bins() and not set(merged.hits) & set(merged.holes())
    assert merge_files([tmp_path / "1" / COVERAGE_FILE]).hits == parts[1].hits


@pytest.mark.parametrize("content", [{}, [], {"points": {}, "hits": {"encoder": {}, "decoder": {}}, "runs": []}])
def test_what_is_no_coverage_is_refused(content: Any) -> None:
    with pytest.raises(ActcodecError, match=r"coverage"):
        read_coverage(content, "a coverage file")


def test_an_empty_folder_has_no_coverage(tmp_path: Path) -> None:
    with pytest.raises(ActcodecError, match=r"no coverage\.json was found"):
        merge_files([tmp_path])


def test_covering_tables_reach_what_random_ones_do_not() -> None:
    def reached(tables: Tables) -> Counter[Any]:
        frames = [ObservedFrame(n, d, s, 0) for n in range(len(tables.sites)) for d in DIRECTIONS for s in (0, 1)]
        return collect(tables, frames, "none").hits

    tiny = load_params("tiny")
    covering = covering_tables(tiny, 1)
    assert len(covering.sites) <= tiny.max_sites
    assert len(reached(covering)) > 1.2 * len(reached(synthetic_tables(1, tiny)))


def test_a_run_writes_the_coverage_of_the_stalls_that_happened(tmp_path: Path) -> None:
    tables = covering_tables(load_params("tiny"), 2, most_sites=3)
    cosimulate(tables, random_activations(tables, 1), "icarus", CACHE, tmp_path / "job", stall=0.5, output_stall=0.0)
    found = merge_files([tmp_path])
    assert found.runs[0]["frames"] == 2 * 2 * len(tables.sites)
    stalls = {name.split(",")[0] for _, name in found.hits if name.startswith("stalls=")}
    assert stalls == {"stalls=none", "stalls=input"}


def test_the_kept_coverage_is_of_today_s_bins_and_has_no_hole_but_those_documented() -> None:
    kept: Coverage = read_coverage(json.loads(RESULTS.read_text()), RESULTS)
    document = (RESULTS.parents[2] / "docs" / "coverage.md").read_text()
    for direction, name in kept.holes():
        assert f"| {direction} | {name} |" in document
