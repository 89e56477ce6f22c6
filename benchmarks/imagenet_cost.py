"""What ResNet-18, MobileNetV2 and VGG-16 cost on ImageNet at 224×224, from measured steps of a few images.

    python benchmarks/imagenet_cost.py      writes benchmarks/results/imagenet_cost.json

Processor seconds of one thread, the least of several rounds, on images of noise with random weights: times do not
depend on either. The golden codec's share is the network's stored values over its measured rate (golden_speed.json).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from actcodec.learn.calibrate import calibrate
from actcodec.learn.quantize8 import choose_ranges
from actcodec.networks import SitedNetwork, find_sites, fold_batchnorm, network_macs
from actcodec.networks.mobilenetv2 import ImageNetMobileNetV2
from actcodec.networks.resnet18 import ResNet18
from actcodec.networks.vgg import VGG

RESULTS = Path(__file__).parent / "results"
SHAPE = (3, 224, 224)
BLOCK = 16
CALIBRATION_IMAGES, SELECTION_IMAGES, BASES = 512, 1_000, 3
"""Of the recipe `waterfill`, which measures a plan of every basis on the selection images."""
TRAINING_IMAGES, EPOCHS, TEST_IMAGES = 5_000, 10, 50_000
"""What is read of a training set by default, a short training, and ImageNet's validation set."""


def resnet18() -> nn.Module:
    """ResNet-18 as it is for ImageNet: a 7×7 stem at stride 2, its pooling fused behind the ReLU."""
    net = ResNet18(classes=1000)
    net.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
    net.relu = nn.Sequential(nn.ReLU(), nn.MaxPool2d(3, 2, 1))  # type: ignore[assignment]
    return net


def vgg16() -> nn.Module:
    """VGG-16 as it is for ImageNet: 7×7 positions and 4,096 units before the classes."""
    net = VGG(16, classes=1000)
    net.avgpool = nn.AdaptiveAvgPool2d(7)
    hidden = (nn.Linear(25088, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU())
    net.classifier = nn.Sequential(*hidden, nn.Linear(4096, 1000))
    return net


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "ResNet-18": resnet18,
    "MobileNetV2": ImageNetMobileNetV2,
    "VGG-16": vgg16,
}


def least(rounds: int, run: Callable[[], Any]) -> float:
    """Processor seconds of the quickest round."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def measured(build: Callable[[], nn.Module], images: int, rounds: int) -> dict[str, Any]:
    """Multiplications, stored values, and seconds an image of inference and calibration."""
    model = build().eval().requires_grad_(False)
    folded = fold_batchnorm(model)
    sited = SitedNetwork(folded, find_sites(folded, SHAPE))
    x = torch.randn(images, *SHAPE).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    ranges = choose_ranges(sited, [x], 0)

    def infer() -> None:
        with torch.no_grad():
            sited(x)

    def learn() -> None:
        calibrate(sited, ranges, [x], images=images, block=BLOCK, seed=0, positions=1024)

    return {
        "macs": network_macs(model, SHAPE),
        "sites": len(sited.sites),
        "values": sum(site.values for site in sited.sites),
        "infer_seconds": least(rounds, infer) / images,
        "calibrate_seconds": least(rounds, learn) / images,
    }


def estimated(found: dict[str, Any], golden_rate: float, step_ratio: float) -> dict[str, float]:
    """Hours of one thread; a training step is three inferences times what the codec's layers add."""
    golden = found["values"] / golden_rate
    hours = {
        # Ranges, statistics, and every plan beside the uncompressed network.
        "learning": CALIBRATION_IMAGES * (found["infer_seconds"] + found["calibrate_seconds"])
        + SELECTION_IMAGES * BASES * 2 * found["infer_seconds"],
        "epochs": EPOCHS * TRAINING_IMAGES * 3 * found["infer_seconds"] * step_ratio,
        # The uncompressed network beside the one whose stored tensors go through the codec.
        "evaluation": TEST_IMAGES * (2 * found["infer_seconds"] + golden),
    }
    return {name: seconds / 3600 for name, seconds in hours.items()}


def main() -> None:
    """Measure and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rate = json.loads((RESULTS / "golden_speed.json").read_text())["million_values_per_second"]["both"] * 1e6
    ratios = json.loads((RESULTS / "training_step.json").read_text())["ratio_to_plain"]
    ratio = ratios["all 19 projected, K = C/2, distilled"]
    networks = {}
    for name, build in NETWORKS.items():
        found = measured(build, arguments.images, arguments.rounds)
        networks[name] = {**found, "hours": estimated(found, rate, ratio)}
    result = {
        "command": "python benchmarks/imagenet_cost.py",
        "images": arguments.images,
        "calibration_images": CALIBRATION_IMAGES,
        "selection_images": SELECTION_IMAGES,
        "training_images": TRAINING_IMAGES,
        "epochs": EPOCHS,
        "test_images": TEST_IMAGES,
        "golden_values_per_second": rate,
        "step_ratio": ratio,
        "networks": networks,
    }
    (RESULTS / "imagenet_cost.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
