"""The process-in-memory macro: energy per MAC, layers of real networks through the RTL.

    python benchmarks/pim.py [--cache build/cache] [--parts energy,cosim]

runs `actcodec pim energy` on CIFAR-10 ResNet-20 and `actcodec pim cosim` in both simulators on a layer of it and on two
of a VGG-19 that activation-density training brought to 4 and 2 bits (`benchmarks/density.py`); keeps what they print in
benchmarks/results/pim.json, and writes the measured figures into configs/pim-energy/per-mac.toml. The data of
`$ACTCODEC_DATA` and, for the energy, the extra ``synth`` are needed; the first synthesis and build take minutes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from actcodec.files import read_json, write_json, write_text
from actcodec.pim import WIDTHS
from actcodec_sim.cosim.simulators import SIMULATORS

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "pim.json"
PER_MAC = ROOT / "configs" / "pim-energy" / "per-mac.toml"
MEASURED = "# Measured: python benchmarks/pim.py writes what follows.\n"
MODEL = "cifar10-resnet20"
ENERGY = ["energy", "--model", MODEL, "--layer", "layer2.1.conv1", "--images", "16", "--vectors", "16"]
VGG = "cifar10-vgg19-fc1-w0.125"
TRAINED = ["--model", VGG, "--checkpoint", f"benchmarks/checkpoints/{VGG}-density.safetensors", "--positions", "256"]
RESNET = ["--model", MODEL, "--layer", "layer1.0.conv2", "--positions", "64"]
CONVOLUTIONS = (
    (RESNET, 4, 4),
    (RESNET, 2, 8),
    ([*TRAINED, "--layer", "features.7"], 4, 4),
    ([*TRAINED, "--layer", "features.49"], 2, 2),
)


def _run(arguments: list[str], cache: Path) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        out = ["--out", str(Path(folder) / "out"), "--cache", str(cache), "--json"]
        command = [sys.executable, "-m", "actcodec", "pim", *arguments, *out]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    print("actcodec pim", *arguments, flush=True)
    return {"command": " ".join(["actcodec", "pim", *arguments]), **json.loads(done.stdout)}


def _measured_toml(energy: dict[str, Any]) -> str:
    """The tables ``rtl`` and ``rtl-array``."""
    array = f"{energy['pim']['rows']} × {energy['pim']['columns']} cells"
    of = f"{array}, codes of {energy['model']} {energy['layer']}: {energy['command']}"
    text = MEASURED
    for name, key, what in (
        ("rtl", "total_fj", "the whole macro"),
        ("rtl-array", "array_fj", "cells, counters, shift accumulators and shift-add tree"),
    ):
        figures = {row["input_bits"]: row[key] for row in energy["layer_operands"]}
        lines = [f"{bits} = {figures[bits]:.3f}" for bits in WIDTHS]
        text += "\n".join(["", f"[{name}]", 'node = "45 nm"', f'source = "{what} of this project, {of}"', *lines, ""])
    return text


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=Path("build/cache"), help="netlists and builds")
    parser.add_argument("--parts", default="energy,cosim", help="what is measured; the rest stays as it is")
    arguments = parser.parse_args()
    cache, parts = arguments.cache, arguments.parts.split(",")
    found = read_json(RESULT) if RESULT.exists() else {}
    if "cosim" in parts:
        found["cosim"] = [
            _run(["cosim", *of, "--weight-bits", str(weights), "--input-bits", str(inputs), "--sim", simulator], cache)
            for of, weights, inputs in CONVOLUTIONS
            for simulator in SIMULATORS
        ]
    if "energy" in parts:
        found["energy"] = _run(ENERGY, cache)
    write_json(RESULT, found)
    if "energy" not in parts:
        return
    kept = PER_MAC.read_text().partition(MEASURED)[0].rstrip()
    write_text(PER_MAC, f"{kept}\n\n{_measured_toml(found['energy'])}")


if __name__ == "__main__":
    main()
