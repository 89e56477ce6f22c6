"""The search stage: from an allocation to sites with searched widths and jointly trained numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from actcodec.files import write_json
from actcodec.learn.allocation.choice import Choice
from actcodec.learn.allocation.partition import coefficient_bits
from actcodec.learn.build import build_site
from actcodec.learn.distributed import ALONE, World
from actcodec.learn.draft import StreamSettings
from actcodec.learn.plan import SitePlan
from actcodec.learn.recipe import LearnRecipe
from actcodec.learn.search.budget import whole_widths
from actcodec.learn.search.layer import SearchLayer
from actcodec.learn.search.steering import BitSearch
from actcodec.learn.search.widths import MODELS
from actcodec.learn.tuning.compressed import CompressedNetwork, selection_divergence
from actcodec.learn.tuning.layer import CodecLayer
from actcodec.learn.tuning.trainer import TrainingData, train
from actcodec.networks import SitedNetwork


@dataclass(frozen=True, eq=False)
class SearchLog:
    """How a search went: divergences on the selection images, nats, and where widths stood on the way."""

    before: float
    """Of the allocation that it started from."""
    mixed: float
    """At its end, every group a mixture of widths."""
    whole: float
    """With whole widths."""
    sites: tuple[str, ...]
    """Names of the sites that were searched."""
    sizes: tuple[tuple[int, ...], ...]
    """Coefficients of every group of theirs."""
    trajectory: list[dict[str, Any]]
    """Records of step, bits a value, price of a bit, and the widths of every group of every such site."""

    def write(self, path: Path) -> None:
        """Write the log as JSON."""
        write_json(
            path,
            {
                "divergence": {"before": self.before, "mixed": self.mixed, "whole": self.whole},
                "sites": self.sites,
                "sizes": self.sizes,
                "trajectory": self.trajectory,
            },
        )


def search(
    student: SitedNetwork,
    teacher: SitedNetwork,
    choices: Sequence[Choice],
    data: TrainingData,
    target_bits: float,
    recipe: LearnRecipe,
    settings: StreamSettings,
    seed: int,
    identity: dict[str, Any],
    state: Path | None = None,
    progress: bool = True,
    world: World = ALONE,
) -> tuple[tuple[SitePlan, ...], SearchLog]:
    """Search the widths of all groups of ``choices`` and train everything else with them; return sites and the log.

    ``student``'s weights change where the recipe trains weights. Sites that are raw bytes stay so. ``state``,
    ``identity`` and ``world`` as of `tuning.trainer.train`. Raises ActcodecError where the target cannot be reached.
    """
    model = MODELS[recipe.search]
    layers: list[nn.Module] = []
    searched: list[SearchLayer] = []
    names, overheads, raw_bytes = [], [], 0
    for choice in choices:
        if choice.option.transform == "bypass":
            layers.append(CodecLayer(build_site(choice, settings)))
            raw_bytes += choice.stream_bytes
            continue
        layer = SearchLayer(choice, settings, model, recipe.search_dynamic)
        if not recipe.search_projections:
            layer.freeze_transform()
        layers.append(layer)
        searched.append(layer)
        names.append(choice.option.statistics.site.name)
        overheads.append(coefficient_bits(choice.option, recipe.table_batch, recipe.cycle_bits, settings))
    values = sum(choice.option.statistics.site.values for choice in choices)
    compressed = CompressedNetwork(student, layers)
    stage = recipe.model_copy(
        update={
            "epochs": recipe.search_epochs,
            "images": recipe.search_images,
            "weights": recipe.weights and recipe.search_weights,
            # Earlier epochs have more bits.
            "keep": "last",
            "patience": 0,
        }
    )
    steering = BitSearch(
        searched,
        overheads,
        8 * raw_bytes,
        values,
        target_bits,
        rate=recipe.search_rate,
        steps=recipe.search_epochs * math.ceil(len(data.pool) / recipe.batch),
        reach=recipe.search_reach,
        slide_every=recipe.search_slide,
        coldest=recipe.search_coldest,
    )

    def divergence(network: CompressedNetwork) -> float:
        return selection_divergence(network, teacher, data.network, data.selection, progress, world)

    before = divergence(CompressedNetwork.of_plan(student, [build_site(choice, settings) for choice in choices]))
    train(compressed, teacher, data, stage, seed, identity, state, progress, steering, world)
    mixed = divergence(compressed)
    widths = iter(whole_widths(searched, math.floor(target_bits * values / 8) - raw_bytes))
    with torch.no_grad():
        sites = tuple(
            layer.to_plan(np.asarray(next(widths))) if isinstance(layer, SearchLayer) else layer.to_plan()  # type: ignore[operator]
            for layer in layers
        )
    whole = divergence(CompressedNetwork.of_plan(student, sites))
    sizes = tuple(tuple(int(size) for size in layer.sizes()) for layer in searched)
    return sites, SearchLog(before, mixed, whole, tuple(names), sizes, steering.trajectory)
