"""Learning from end to end: calibrate, choose, allocate, refit, fine-tune."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actcodec.data import Dataset, selection_images
from actcodec.errors import ActcodecError
from actcodec.learn.batches import input_batches
from actcodec.learn.build import build_site
from actcodec.learn.calibrate import SiteStatistics, calibrate
from actcodec.learn.draft import StreamSettings
from actcodec.learn.finetune import CompressedNetwork, finetune, plan_divergence
from actcodec.learn.option import SiteOption, plain_options, projection
from actcodec.learn.pca import Basis
from actcodec.learn.plan import Plan, PlanProvenance
from actcodec.learn.quantize8 import choose_ranges
from actcodec.learn.recipe import LearnRecipe
from actcodec.learn.waterfill import allocate
from actcodec.networks import Network, SitedNetwork, network_macs, sited_network
from actcodec.params import CodecParams

_CALIBRATION_BATCH = 64


def learn(
    network: Network,
    train: Dataset,
    target_bits: float,
    seed: int = 0,
    *,
    recipe: LearnRecipe | None = None,
    params: CodecParams | None = None,
    state: Path | None = None,
    progress: bool = True,
) -> Plan:
    """Return the plan that codes every site of ``network`` in at most ``target_bits`` stream bits a value.

    ``train`` is the training split of the network's data set: selection images are made of its front, fine-tuning
    takes its back. ``state`` is the resumable state of fine-tuning. Deterministic in ``seed`` on one thread.
    Raises ActcodecError for a data set that is not the network's or a target that cannot be reached.
    """
    recipe, params = recipe or LearnRecipe(), params or CodecParams()
    if train.name != network.dataset:
        raise ActcodecError("dataset", f"{train.name!r} is not {network.name}'s, {network.dataset!r}")
    if not 0 < target_bits <= 8:
        raise ActcodecError("target_bits", f"{target_bits} is outside 0…8")
    settings = StreamSettings(params, recipe.order, recipe.align_bits, recipe.transaction_bytes)
    sited = sited_network(network)
    selection = selection_images(train, seed).images
    calibration = selection[: recipe.calibration_images]
    statistics = _statistics(network, sited, calibration, recipe, params, seed, progress)
    provenance = PlanProvenance(
        network=network.name,
        dataset=train.name,
        method=recipe.method,
        seed=seed,
        target_bits=target_bits,
        table_batch=recipe.table_batch,
        calibration_images=len(calibration),
        finetune_images=0,
        epochs=0,
        checkpoint_sha256=network.checkpoint_sha256,
        network_macs=network_macs(network.model, network.input_shape),
    )
    plans = _plans(statistics, target_bits, recipe, settings, provenance)
    chosen = selection[: recipe.selection_images]
    plan = _best(plans, sited, network, chosen, progress)
    if recipe.epochs:
        plan = finetune(plan, sited, network, train, chosen, recipe, seed, state, progress)
    return plan


def _statistics(
    network: Network,
    sited: SitedNetwork,
    images: NDArray[np.uint8],
    recipe: LearnRecipe,
    params: CodecParams,
    seed: int,
    progress: bool,
) -> tuple[SiteStatistics, ...]:
    batches = input_batches(network, images, _CALIBRATION_BATCH, "ranges", progress)
    ranges = choose_ranges(sited, batches, seed)
    return calibrate(
        sited,
        ranges,
        input_batches(network, images, _CALIBRATION_BATCH, "calibration", progress),
        images=len(images),
        block=params.block,
        seed=seed,
        positions=recipe.positions,
    )


def _plans(
    statistics: tuple[SiteStatistics, ...],
    target_bits: float,
    recipe: LearnRecipe,
    settings: StreamSettings,
    provenance: PlanProvenance,
) -> list[Plan]:
    """Return the plan of every basis that the recipe asks for, before any training."""
    bases: tuple[Basis, ...] = ("identity", "pca", "fisher") if recipe.transform == "auto" else (recipe.transform,)
    plain = [plain_options(site) for site in statistics]
    plans = []
    for basis in bases:
        options: list[tuple[SiteOption, ...]] = list(plain)
        if basis != "identity":
            options = [(projection(s, basis), *others) for s, others in zip(statistics, plain, strict=True)]
        choices = allocate(options, target_bits, recipe.table_batch, settings)
        sites = tuple(build_site(choice, settings) for choice in choices)
        plans.append(Plan(settings.params, sites, provenance, recipe.transaction_bytes))
    return plans


def _best(plans: list[Plan], sited: SitedNetwork, network: Network, images: NDArray[np.uint8], progress: bool) -> Plan:
    """Return the plan with the least divergence on ``images``."""
    if len(plans) == 1:
        return plans[0]
    costs = [plan_divergence(CompressedNetwork(sited, plan), network, images, progress) for plan in plans]
    return plans[int(np.argmin(costs))]
