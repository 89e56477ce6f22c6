"""Real activations of real networks through the RTL, word for word: what docs/cosim.md shows.

    python benchmarks/cosim.py [NAME ...] [--cache build/cache]

runs `actcodec cosim` for every case and keeps what it prints in benchmarks/results/cosim/NAME.json. The data of
`$ACTCODEC_DATA` are needed; the first build of a codec takes minutes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from actcodec.files import write_json

RESULTS = Path(__file__).parent / "results"
KEPT = "benchmarks/results"
CASES: dict[str, list[str]] = {
    "resnet20-verilator": ["--tables", f"{KEPT}/tables/resnet20-p1q-2.5", "--sim", "verilator", "--image", "3"],
    "resnet20-icarus": [
        *("--tables", f"{KEPT}/tables/resnet20-p1q-2.5", "--sim", "icarus", "--image", "3"),
        *("--only", "layer3.2.conv2", "--only", "layer3.1.conv1"),
        *("--only", "layer2.1.conv1", "--only", "layer3.0.conv1"),
    ],
    "mobilenetv2-verilator": [
        *("--tables", f"{KEPT}/codec_tables/mobilenetv2-waterfill-4", "--sim", "verilator", "--image", "0"),
        *("--only", "features.1.conv.1", "--only", "features.2.conv.2", "--only", "features.7.conv.1.0"),
        *("--only", "features.14.conv.2", "--only", "features.16.conv.2", "--only", "features.17.conv.2"),
        *("--only", "features.17.conv.1.0", "--only", "features.18.0"),
    ],
}
"""Options of `actcodec cosim`: all sites of ResNet-20; of MobileNetV2 at 224 × 224 some of every size and transform."""


def main() -> None:
    """Run the cases that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="*", default=list(CASES), help=f"of {', '.join(CASES)} (default: all)")
    parser.add_argument("--cache", type=Path, default=Path("build/cache"))
    arguments = parser.parse_args()
    for name in arguments.name:
        with tempfile.TemporaryDirectory(prefix="actcodec-cosim-") as scratch:
            command = ["cosim", *CASES[name], "--cache", str(arguments.cache), "--out", scratch, "--json"]
            run = subprocess.run([sys.executable, "-m", "actcodec", *command], stdout=subprocess.PIPE, check=True)
        result = {"command": f"python benchmarks/cosim.py {name}", **json.loads(run.stdout)}
        write_json(RESULTS / "cosim" / f"{name}.json", result)
        print(
            f"{name}: {len(result['sites'])} sites in {result['seconds']:.0f} s, agrees: {result['agrees']}", flush=True
        )


if __name__ == "__main__":
    main()
