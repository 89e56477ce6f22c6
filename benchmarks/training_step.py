"""What compression costs a training step: the plain step of ResNet-20 beside steps with codecs at all 19 sites.

    python benchmarks/training_step.py      writes benchmarks/results/training_step.json

The variants take turns, and ratios are of the least times of each: neighbours on the machine disturb single ones. One
thread. ``plain`` trains the network's weights on the cross entropy, BatchNorm folded as in all others; ``naive`` has
the codecs as plain torch operations (`actcodec.learn.tuning.layer.reference`); ``distilled`` also runs the teacher.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from actcodec.data import load_dataset
from actcodec.files import write_json
from actcodec.learn import LearnRecipe, learn
from actcodec.learn.divergence import kl_divergence
from actcodec.learn.plan import Plan
from actcodec.learn.tuning.compressed import CompressedNetwork
from actcodec.learn.tuning.layer import CodecLayer, reference
from actcodec.networks import load_network, sited_network

RESULT = Path(__file__).parent / "results" / "training_step.json"
NETWORK = "cifar10-resnet20"
BATCH = 100
ROUNDS = 12

Step = Callable[[], None]


class _Naive(nn.Module):
    """A codec layer as torch operations."""

    def __init__(self, layer: CodecLayer) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return reference(x, *self.layer.weights(), self.layer.geometry)


def _step(forward: Callable[[Tensor], Tensor], parameters: list[Tensor], x: Tensor, y: Tensor) -> Step:
    optimizer = torch.optim.Adam(parameters, lr=1e-5)

    def run() -> None:
        loss = functional.cross_entropy(forward(x), y)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return run


def _distilled(compressed: CompressedNetwork, parameters: list[Tensor], x: Tensor) -> Step:
    optimizer = torch.optim.Adam(parameters, lr=1e-5)
    teacher = sited_network(load_network(NETWORK))

    def run() -> None:
        with torch.no_grad():
            expected = teacher(x)
        loss = kl_divergence(expected, compressed(x)).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return run


def _compressed(plan: Plan) -> tuple[CompressedNetwork, list[Tensor]]:
    compressed = CompressedNetwork.of_plan(sited_network(load_network(NETWORK)), plan.sites)
    compressed.sited.requires_grad_(True)
    return compressed, [p for p in compressed.parameters() if p.requires_grad]


def main() -> None:
    """Time all variants in turn."""
    torch.set_num_threads(1)
    network = load_network(NETWORK)
    train = load_dataset("cifar10", "train")
    x = network.inputs(train.images[:BATCH])
    y = torch.from_numpy(train.labels[:BATCH])
    quick = {"calibration_images": 128, "selection_images": 100}
    projected = learn(network, train, 4.0, recipe=LearnRecipe(allocation="uniform", transform="pca", **quick))
    waterfilled = learn(network, train, 2.5, recipe=LearnRecipe(transform="fisher", **quick))
    plain = sited_network(network).requires_grad_(True)
    steps = {"plain": _step(plain, list(plain.parameters()), x, y)}
    for name, plan in (("all 19 projected, K = C/2", projected), ("waterfilled at 2.5 bits", waterfilled)):
        compressed, parameters = _compressed(plan)
        steps[name] = _step(compressed, parameters, x, y)
        steps[f"{name}, distilled"] = _distilled(*_compressed(plan), x)
    naive, parameters = _compressed(projected)
    naive.layers = nn.ModuleList(_Naive(layer) for layer in naive.layers)  # type: ignore[arg-type]
    steps["all 19 projected, K = C/2, naive"] = _step(naive, parameters, x, y)
    best = dict.fromkeys(steps, float("inf"))
    for _ in range(ROUNDS):
        for name, step in steps.items():
            begin = time.perf_counter()
            step()
            best[name] = min(best[name], time.perf_counter() - begin)
    content = {
        "command": "python benchmarks/training_step.py",
        "network": NETWORK,
        "batch": BATCH,
        "rounds": ROUNDS,
        "least_seconds": {name: round(seconds, 4) for name, seconds in best.items()},
        "ratio_to_plain": {name: round(seconds / best["plain"], 3) for name, seconds in best.items()},
    }
    write_json(RESULT, content)
    for name, ratio in content["ratio_to_plain"].items():  # type: ignore[attr-defined]
        print(f"{name}: {ratio}")


if __name__ == "__main__":
    main()
