"""Real activations of real networks through the RTL, word for word: what docs/cosim.md shows.

    python benchmarks/cosim.py [NAME ...] [--cache build/cache]

runs `actcodec cosim` for every case and keeps what it prints in benchmarks/results/cosim/NAME.json. With

    python benchmarks/cosim.py [NAME ...] --jobs N | --scheduler tcp://HOST:PORT

each site is a simulation of its own, in N processes or on a cluster, and has to measure what is kept of it: words,
cycles, counters and digests. It goes on where it stopped. The data of `$ACTCODEC_DATA` are needed; the first build of a
codec takes minutes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from actcodec.files import write_json

REGRESSION = Path("build/cosim-regression")
"""Results by site, which are not made again while nothing that enters them changes."""
RESULTS = Path(__file__).parent / "results"
KEPT = "benchmarks/results"
CASES: dict[str, list[str]] = {
    "resnet20-verilator": ["--tables", f"{KEPT}/tables/resnet20-p1q-2.5", "--sim", "verilator", "--image", "3"],
    "resnet20-icarus": [
        *("--tables", f"{KEPT}/tables/resnet20-p1q-2.5", "--sim", "icarus", "--image", "3"),
        *("--only", "layer3.2.conv2", "--only", "layer3.1.conv1"),
        *("--only", "layer2.1.conv1", "--only", "layer3.0.conv1"),
    ],
    "resnet20-patch-verilator": [
        *("--tables", f"{KEPT}/tables/resnet20-p3-patch-2"),
        *("--sim", "verilator", "--image", "3"),
    ],
    "mobilenetv2-verilator": [
        *("--tables", f"{KEPT}/codec_tables/mobilenetv2-waterfill-4", "--sim", "verilator", "--image", "0"),
        *("--only", "features.1.conv.1", "--only", "features.2.conv.2", "--only", "features.7.conv.1.0"),
        *("--only", "features.14.conv.2", "--only", "features.16.conv.2", "--only", "features.17.conv.2"),
        *("--only", "features.17.conv.1.0", "--only", "features.18.0"),
    ],
}
"""Options of `actcodec cosim`: all sites of ResNet-20; of MobileNetV2 at 224 × 224 some of every size and transform."""


def measured(name: str, options: list[str]) -> dict[str, Any]:
    """What `actcodec cosim` prints of a case."""
    command = [sys.executable, "-m", "actcodec", "cosim", *CASES[name], *options, "--json"]
    run = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    result: dict[str, Any] = json.loads(run.stdout)
    return result


def keep(name: str, cache: Path) -> None:
    """Run a case in one simulation and keep its result."""
    with tempfile.TemporaryDirectory(prefix="actcodec-cosim-") as scratch:
        found = measured(name, ["--cache", str(cache), "--out", scratch])
    result = {"command": f"python benchmarks/cosim.py {name}", **found}
    write_json(RESULTS / "cosim" / f"{name}.json", result)
    print(f"{name}: {len(result['sites'])} sites in {result['seconds']:.0f} s, agrees: {result['agrees']}", flush=True)


def compare(name: str, cache: Path, where: list[str]) -> bool:
    """Run the sites of a case on their own; whether each measures what is kept of it."""
    found = measured(name, [*where, "--cache", str(cache), "--out", str(REGRESSION / name)])["sites"]
    kept = {site["name"]: site for site in json.loads((RESULTS / "cosim" / f"{name}.json").read_text())["sites"]}
    differ = [site["name"] for site in found if site != kept.get(site["name"])]
    print(f"{name}: {len(found)} sites, not as kept: {', '.join(differ) or 'none'}", flush=True)
    return not differ


def main() -> None:
    """Run the cases that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("name", nargs="*", default=list(CASES), help=f"of {', '.join(CASES)} (default: all)")
    parser.add_argument("--cache", type=Path, default=Path("build/cache"))
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--jobs", type=int)
    place.add_argument("--scheduler")
    arguments = parser.parse_args()
    where = [f"--{name}={value}" for name in ("jobs", "scheduler") if (value := getattr(arguments, name)) is not None]
    if not where:
        for name in arguments.name:
            keep(name, arguments.cache)
        return
    same = [compare(name, arguments.cache, where) for name in arguments.name]
    sys.exit(0 if all(same) else 1)


if __name__ == "__main__":
    main()
