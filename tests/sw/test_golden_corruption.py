"""10,000 corruptions: each is refused with one line, or decodes to values in the site's range. Nothing else happens.

ACTCODEC_CORRUPTIONS sets another count; benchmarks/corruption.py runs many more.
"""

import os

import numpy as np
import pytest

from actcodec.tables import Tables
from support.corruption import (
    ACCEPTED,
    DIRECTORY_TRIALS,
    FAST_TRIALS,
    REFUSED,
    Subjects,
    corrupt_many,
    failures,
    mutate,
    outcome,
)
from support.sites import small_tables

COUNT = int(os.environ.get("ACTCODEC_CORRUPTIONS", "10000"))
SEED = 2024


@pytest.fixture(scope="module")
def subjects(tmp_path_factory):
    return Subjects(small_tables(), tmp_path_factory.mktemp("corruption") / "tables")


@pytest.fixture(scope="module")
def two_sites(tmp_path_factory):
    whole = small_tables()
    tables = Tables(whole.params, (whole.sites[2], whole.sites[5]), whole.provenance)
    return Subjects(tables, tmp_path_factory.mktemp("corruption") / "two")


def test_corrupt_containers_streams_and_arrays_are_refused_or_in_range(subjects):
    counts = corrupt_many(FAST_TRIALS, subjects, COUNT * 9 // 10, SEED)
    assert failures(counts) == []
    for name, found in counts.items():
        assert found[REFUSED] and found[ACCEPTED], name
        assert found.total() >= COUNT * 9 // 10 // len(FAST_TRIALS)


def test_corrupt_tables_directories_are_refused_or_the_same_tables(two_sites):
    counts = corrupt_many(DIRECTORY_TRIALS, two_sites, COUNT // 10, SEED)
    assert failures(counts) == []
    assert all(found[REFUSED] > found[ACCEPTED] for found in counts.values())


def test_the_directory_is_as_it_was_after_the_trials(two_sites):
    corrupt_many(DIRECTORY_TRIALS, two_sites, 20, SEED)
    assert {path.name: path.read_bytes() for path in two_sites.folder.iterdir()} == two_sites.files


def test_a_leak_would_be_seen(subjects):
    def leak(rng, _):
        raise IndexError("index 5 is out of bounds")

    counts = corrupt_many({"leak": leak}, subjects, 2, SEED)
    assert failures(counts) == [f"leak: IndexError: index 5 is out of bounds, trial {number}" for number in (0, 1)]
    assert outcome(leak, subjects, SEED, 0).startswith("IndexError")


def test_mutations_are_reproducible_and_of_every_kind():
    content, other = bytes(range(100)), bytes(100)
    made = [mutate(np.random.default_rng(number), content, other) for number in range(200)]
    assert made == [mutate(np.random.default_rng(number), content, other) for number in range(200)]
    assert {len(m) > 100 for m in made} == {True, False}
    assert any(len(m) < 50 for m in made)
    assert sum(m != content for m in made) > 180
