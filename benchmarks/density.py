"""Activation-density training on CIFAR-10: in-training quantization, the 16-bit baseline beside it, then pruning.

    python benchmarks/density.py [--runs quantize,baseline,quantize-prune]

writes benchmarks/results/density.json. A run that is finished is not repeated, one that was interrupted goes on;
folders with weights, logs and states are in build/density. Every run has the same network, images, epochs, seed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from actcodec.density.recipe import load_density_recipe
from actcodec.density.train import RESULT, train_density
from actcodec.files import read_json, write_json

RESULTS = Path(__file__).parent / "results" / "density.json"
BUILD = Path("build") / "density"
NETWORK = "cifar10-vgg19-fc1-w0.125"
SEED = 0
# Far fewer epochs than published: a stage ends after four of them even where a density still moves.
SHORT = {"epochs": 20, "longest": 4}
RUNS = ("quantize", "baseline", "quantize-prune")
PUBLISHED = {
    "source": "arXiv 2101.04354",
    "network": "VGG19 of full width, CIFAR-10",
    "mac_reduction": 4.5,
    "training_complexity_relative": 0.5,
    "pim_ratio": 5.1,
    "pim_ratio_pruned": 198,
}


def main() -> None:
    """Train what is missing and write what there is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", default=",".join(RUNS), help="only these, a,b,c")
    parser.add_argument("--build", type=Path, default=BUILD, help="folder of the runs")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    build: Path = arguments.build
    for name in arguments.runs.split(","):
        out = build / name
        if not (out / RESULT).exists():
            recipe = load_density_recipe(name).model_copy(update=SHORT)
            train_density(NETWORK, out, recipe=recipe, seed=SEED)
        print(f"{name}: {read_json(out / RESULT)['accuracy']:.2%}", flush=True)
        _write(build)


def _write(build: Path) -> None:
    runs: dict[str, Any] = {name: read_json(build / name / RESULT) for name in RUNS if (build / name / RESULT).exists()}
    content = {
        "command": "python benchmarks/density.py",
        "network": NETWORK,
        "published": PUBLISHED,
        "runs": runs,
    }
    write_json(RESULTS, content)


if __name__ == "__main__":
    main()
