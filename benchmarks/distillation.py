"""What a training learns from the uncompressed network: temperature and mixup side by side, ResNet-20 at 2.5 bits.

    python benchmarks/distillation.py      writes benchmarks/results/distillation.json; goes on with what is missing

P1+q, weights trained, 10,000 training images × 4 epochs for every variant, seed 0. Measured on all selection images,
which no variant is trained on but the uncompressed network was; and on the same images mixed in pairs, of which it is
not sure. The test set is not looked at.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import torch

from actcodec.data import load_dataset, split_training
from actcodec.files import read_json, write_json
from actcodec.learn import LearnRecipe, learn
from actcodec.learn.divergence import kl_divergence
from actcodec.learn.recipe import load_recipe
from actcodec.learn.tuning.compressed import CompressedNetwork
from actcodec.networks import load_network, sited_network
from actcodec.networks.registry import network_with
from actcodec.params import load_params

RESULT = Path(__file__).parent / "results" / "distillation.json"
BUILD = Path("build") / "distillation"
NETWORK, TARGET, BATCH = "cifar10-resnet20", 2.5, 250
VARIANTS = [(temperature, mixup) for mixup in (0.0, 1.0) for temperature in (1.0, 4.0)]


def _measured(temperature: float, mixup: float) -> dict[str, float]:
    network, train = load_network(NETWORK), load_dataset("cifar10", "train")
    changes = {"images": 10000, "epochs": 4, "temperature": temperature, "mixup": mixup}
    recipe = LearnRecipe.model_validate({**load_recipe("p1q+long").model_dump(), **changes})
    name = f"t{temperature:g}-mixup{mixup:g}"
    # Every variant begins with the same walk.
    log = BUILD / f"{name}.greedy.json"
    known = next(BUILD.glob("*.greedy.json"), None)
    if known and not log.exists():
        shutil.copy(known, log)
    state = BUILD / f"{name}.resume"
    plan = learn(network, train, TARGET, recipe=recipe, params=load_params("default"), state=state, greedy_log=log)
    assert plan.weights is not None
    student = CompressedNetwork.of_plan(sited_network(network_with(network, plan.weights)), plan.sites)
    teacher = sited_network(network)
    images = split_training(train).selection.images
    sums = np.zeros(3)
    with torch.no_grad():
        for start in range(0, len(images), BATCH):
            x = network.inputs(images[start : start + BATCH])
            reference, logits = teacher(x), student(x)
            mixed = (x + x.flip(0)) / 2
            sums += (
                float(kl_divergence(reference, logits).sum()),
                float((reference.argmax(1) == logits.argmax(1)).sum()),
                float(kl_divergence(teacher(mixed), student(mixed)).sum()),
            )
    divergence, agreement, mixed_divergence = (sums / len(images)).tolist()
    state.unlink()
    return {
        "temperature": temperature,
        "mixup": mixup,
        "divergence": divergence,
        "agreement": agreement,
        "divergence_of_mixed_images": mixed_divergence,
        "bpv_stream": plan.bpv_stream,
    }


def main() -> None:
    """Measure the variants that are not in the result file yet."""
    torch.set_num_threads(1)
    BUILD.mkdir(parents=True, exist_ok=True)
    variants = read_json(RESULT)["variants"] if RESULT.exists() else []
    known = {(variant["temperature"], variant["mixup"]) for variant in variants}
    for variant in VARIANTS:
        if variant not in known:
            variants.append(_measured(*variant))
            write_json(RESULT, {"command": "python benchmarks/distillation.py", "variants": variants})


if __name__ == "__main__":
    main()
