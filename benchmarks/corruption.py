"""Corrupt containers, streams, arrays and tables at random and count what came of it.

    python benchmarks/corruption.py [--count 100000] [--directories 10000] [--seed 1] [--output FILE]

A trial may end as ``refused`` (ActcodecError of one line) or as ``accepted`` (output in the site's range); anything
else is listed as a failure, and the exit status is 1. Prints the counts as JSON and writes them to
benchmarks/results/corruption.json. Needs only the golden model; the trials are those of tests/support/corruption.py.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from actcodec.files import write_json

_HERE = Path(__file__).parent
# The trials are the tests' own; the benchmark runs more of them.
sys.path.insert(0, str(_HERE.parent / "tests"))

from support.corruption import (  # noqa: E402
    ACCEPTED,
    DIRECTORY_TRIALS,
    FAST_TRIALS,
    REFUSED,
    Subjects,
    corrupt_many,
    failures,
)
from support.sites import small_tables  # noqa: E402


def main() -> int:
    """Run the trials; 1 where one of them ended as it may not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000, help="trials of containers, streams and arrays")
    parser.add_argument("--directories", type=int, default=10_000, help="trials of tables directories")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=_HERE / "results" / "corruption.json")
    arguments = parser.parse_args()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        subjects = Subjects(small_tables(), Path(folder) / "tables")
        counts = corrupt_many(FAST_TRIALS, subjects, arguments.count, arguments.seed)
        counts |= corrupt_many(DIRECTORY_TRIALS, subjects, arguments.directories, arguments.seed)
    bad = failures(counts)
    result = {
        "seed": arguments.seed,
        "trials": sum(found.total() for found in counts.values()),
        "refused": sum(found[REFUSED] for found in counts.values()),
        "accepted": sum(found[ACCEPTED] for found in counts.values()),
        "failed": len(bad),
        "by_target": {name: {REFUSED: found[REFUSED], ACCEPTED: found[ACCEPTED]} for name, found in counts.items()},
        "failures": bad[:100],
        "seconds": round(time.perf_counter() - start, 1),
    }
    print(json.dumps(result, indent=2, ensure_ascii=False))
    write_json(arguments.output, result)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
