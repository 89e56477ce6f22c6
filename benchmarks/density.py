"""Activation-density training on CIFAR-10: in-training quantization, the 16-bit baseline beside it, then pruning.

    python benchmarks/density.py [--networks cifar10-vgg19-fc1-w0.25] [--runs quantize,baseline,quantize-prune]

writes benchmarks/results/density.json. A run that is finished is not repeated, one that was interrupted goes on;
folders with weights, logs and states are in build/density. All runs of a network have the same images, epochs, seed.
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
SEED = 0
# Far fewer epochs than published: a stage ends after four of them even where a density still moves.
SHORT: dict[str, Any] = {"epochs": 20, "longest": 4}
RUNS = ("quantize", "baseline", "quantize-prune")
# By network and run, what differs from the recipe. Pruning halves the channels at a time, more than the usual target
# lets pass in so few epochs.
NETWORKS: dict[str, dict[str, dict[str, Any]]] = {
    "cifar10-vgg19-fc1-w0.125": {},
    "cifar10-vgg19-fc1-w0.25": {"quantize-prune": {"accuracy_drop": 0.15}},
}
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
    parser.add_argument("--networks", default=",".join(NETWORKS), help="only these, a,b,c")
    parser.add_argument("--runs", default=",".join(RUNS), help="only these, a,b,c")
    parser.add_argument("--build", type=Path, default=BUILD, help="folder of the runs")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    build: Path = arguments.build
    for network in arguments.networks.split(","):
        for name in arguments.runs.split(","):
            out = build / network / name
            if not (out / RESULT).exists():
                update = SHORT | NETWORKS[network].get(name, {})
                recipe = load_density_recipe(name).model_copy(update=update)
                train_density(network, out, recipe=recipe, seed=SEED)
            print(f"{network}, {name}: {read_json(out / RESULT)['accuracy']:.2%}", flush=True)
            _keep(network, name, read_json(out / RESULT))


def _keep(network: str, name: str, result: dict[str, Any]) -> None:
    """Put a run into the file of results, beside what is there of the others."""
    kept = read_json(RESULTS)["networks"] if RESULTS.exists() else {}
    kept.setdefault(network, {})[name] = result
    ordered = {each: {run: kept[each][run] for run in RUNS if run in kept[each]} for each in NETWORKS if each in kept}
    write_json(RESULTS, {"command": "python benchmarks/density.py", "published": PUBLISHED, "networks": ordered})


if __name__ == "__main__":
    main()
