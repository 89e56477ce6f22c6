"""The functional coverage of the co-simulations that a session ran, merged when it ends."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from actcodec.files import write_json
from actcodec_sim.cosim.coverage import COVERAGE_FILE, merge_files

MERGED = Path(__file__).parents[2] / "build" / COVERAGE_FILE


@pytest.fixture(scope="session", autouse=True)
def merged_coverage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every co-simulation leaves its coverage in its job's folder; build/coverage.json gets the sum.

    Of test processes beside each other the last one to end finds everyone's.
    """
    yield
    base = tmp_path_factory.getbasetemp()
    found = sorted((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base).rglob(COVERAGE_FILE))
    if found:
        write_json(MERGED, merge_files(found).as_json())
