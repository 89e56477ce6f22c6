"""A small learning problem: the embedded network on a few images."""

from __future__ import annotations

from functools import lru_cache

import torch

from actcodec.data import Dataset, TrainingSplit, load_dataset, split_training
from actcodec.learn import LearnRecipe, Plan, learn
from actcodec.networks import Network, load_network

QUICK = LearnRecipe(
    calibration_images=48,
    positions=1024,
    selection_images=48,
    greedy_images=24,
    images=64,
    batch=16,
    transform="pca",
    block_images=64,
)


ARGUMENTS = ("state", "greedy_log", "search_log", "report", "world")
"""What `quick_plan` hands to `learn` as it is."""


@lru_cache(maxsize=1)
def network() -> Network:
    torch.set_num_threads(1)
    return load_network("mnist-resnet12")


@lru_cache(maxsize=1)
def training() -> Dataset:
    return load_dataset("mnist", "train")


@lru_cache(maxsize=1)
def split() -> TrainingSplit:
    return split_training(training())


def quick_plan(target: float = 3.0, **changes: object) -> Plan:
    """A plan of the embedded network by the quick recipe with ``changes``; never kept, so never shared by mistake."""
    given = {name: changes.pop(name) for name in ARGUMENTS if name in changes}
    recipe = QUICK.model_copy(update=changes)
    return learn(network(), training(), target, 0, recipe=recipe, progress=False, **given)  # type: ignore[arg-type]
