"""Learning from end to end: order channels, calibrate, allocate, re-estimate BatchNorm, reconstruct, train."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from actcodec.data import Dataset, split_training
from actcodec.data.augment import augmentation
from actcodec.errors import ActcodecError
from actcodec.learn.allocation.choice import Choice
from actcodec.learn.allocation.density import by_density
from actcodec.learn.allocation.fixed import equal_variance, fixed_width, uniform
from actcodec.learn.allocation.greedy import Greedy, Step
from actcodec.learn.allocation.learned import learned
from actcodec.learn.allocation.partition import GroupPrices, partition
from actcodec.learn.allocation.waterfill import allocate
from actcodec.learn.bases import choose_bases
from actcodec.learn.batches import input_batches
from actcodec.learn.build import build_site
from actcodec.learn.calibrate import SiteStatistics, by_variance, calibrate
from actcodec.learn.distributed import ALONE, World
from actcodec.learn.draft import StreamSettings
from actcodec.learn.option import SiteOption, plain_options, projection, raw
from actcodec.learn.order import Orders, choose_orders
from actcodec.learn.pca import Basis
from actcodec.learn.plan import Plan, PlanProvenance, SitePlan
from actcodec.learn.quantize8 import choose_ranges
from actcodec.learn.recipe import LearnRecipe
from actcodec.learn.search.run import search
from actcodec.learn.tuning.batchnorm import reestimate
from actcodec.learn.tuning.blockwise import reconstruct
from actcodec.learn.tuning.compressed import CompressedNetwork, selection_divergence
from actcodec.learn.tuning.layer import CodecLayer
from actcodec.learn.tuning.trainer import TrainingData, train
from actcodec.learn.tuning.weights import checkpoint_of
from actcodec.networks import Network, SitedNetwork, foldable_sites, network_macs, sited_network
from actcodec.networks.patches import patches_that_fit
from actcodec.networks.stages import StagedNetwork
from actcodec.params import MAX_WIDTH, CodecParams

_BATCH = 64
_GREEDY_BATCH = 125
_CALIBRATION_SEED = 0xCA11

Sites = tuple[SitePlan, ...]
Report = Callable[[Step], None]


def learn(
    network: Network,
    train: Dataset,
    target_bits: float,
    seed: int = 0,
    *,
    recipe: LearnRecipe | None = None,
    params: CodecParams | None = None,
    state: Path | None = None,
    greedy_log: Path | None = None,
    search_log: Path | None = None,
    report: Report | None = None,
    progress: bool = True,
    world: World = ALONE,
) -> Plan:
    """Return the plan that codes every site of ``network`` in at most ``target_bits`` stream bits a value.

    ``train`` is the training split of the network's data set. ``state`` is the resumable state of training,
    ``greedy_log`` that of a greedy allocation, its log as well: given again, with any target, it is gone on with where
    the target lies below what it has reached. ``search_log`` gets the trajectory of a search. ``report`` is called with
    every greedy step. Deterministic in ``seed`` on one thread.

    The processes of ``world`` all call this and all get the plan. They share search and end-to-end training; all before
    and between is the first one's, and so are the files.
    Raises ActcodecError for a data set that is not the network's, a target that cannot be reached, or several processes
    with nothing to share.
    """
    recipe, params = recipe or LearnRecipe(), params or CodecParams()
    if train.name != network.dataset:
        raise ActcodecError("dataset", f"{train.name!r} is not {network.name}'s, {network.dataset!r}")
    if recipe.coder == "huffman":
        raise ActcodecError(
            "recipe", f"allocation = {recipe.allocation!r} makes no tables; measure it by `actcodec sweep`"
        )
    if not 0 < target_bits <= 8:
        raise ActcodecError("target_bits", f"{target_bits} is outside 0…8")
    if world.size > 1 and not (recipe.epochs or recipe.search_epochs):
        raise ActcodecError(
            "torchrun", f"method {recipe.method!r} has no epochs for {world.size} processes to share; it takes one"
        )
    progress = progress and world.is_first
    run = _Learning(
        network, train, target_bits, seed, recipe, params, state, greedy_log, search_log, report, progress, world
    )
    return run.plan()


@dataclass(frozen=True)
class _Files:
    """Where a round keeps what it needs to be taken up again."""

    state: Path | None
    greedy: Path | None

    def of_round(self, number: int) -> _Files:
        """The files of a round: each has its own."""
        if number == 0:
            return self
        return _Files(*(p and p.with_name(f"{p.stem}.{number}{p.suffix}") for p in (self.state, self.greedy)))


class _Learning:
    """One run of `learn`: what its stages share."""

    def __init__(
        self,
        network: Network,
        train: Dataset,
        target_bits: float,
        seed: int,
        recipe: LearnRecipe,
        params: CodecParams,
        state: Path | None,
        greedy_log: Path | None,
        search_log: Path | None,
        report: Report | None,
        progress: bool,
        world: World,
    ) -> None:
        self._search_log, self._world = search_log, world
        self._network, self._target, self._seed, self._recipe = network, target_bits, seed, recipe
        self._files, self._report, self._progress = _Files(state, greedy_log), report, progress
        self._settings = StreamSettings(params, recipe.order, recipe.align_bits, recipe.transaction_bytes)
        split = split_training(train)
        self._selection = split.selection.images[: recipe.selection_images]
        rng = np.random.default_rng(_CALIBRATION_SEED)
        calibration = split.pool.images[: recipe.calibration_images]
        self._calibration = augmentation(train.name).apply(calibration, rng)
        self._data = TrainingData(network, split.pool.head(recipe.images), self._selection)
        self._search_data = TrainingData(network, split.pool.head(recipe.search_images), self._selection)
        block_images = recipe.block_images if recipe.block_epochs else 0
        self._block_images = augmentation(train.name).apply(split.pool.images[:block_images], rng)
        plain = sited_network(network)
        self._patches = patches_that_fit(plain.sites, recipe.patch, params.max_channels)
        self._orders: Orders = {}
        if recipe.permute:
            self._orders = world.by_first(
                lambda: choose_orders(network, plain, self._batches("channel orders"), params.block)
            )
        reordered = self._orders or self._patches
        self._teacher = sited_network(network, orders=self._orders, patches=self._patches) if reordered else plain
        self._ranges = world.by_first(lambda: choose_ranges(self._teacher, self._batches("ranges"), seed))
        self._folded = tuple(site.site for site in foldable_sites(network)) if recipe.folded else ()
        self._start = sited_network(network, folded=self._folded) if self._folded else self._teacher

    def plan(self) -> Plan:
        """Run every stage that the recipe asks for."""
        recipe = self._recipe
        changes_weights = recipe.batchnorm or recipe.trains_weights
        student = self._start
        if changes_weights:
            student = sited_network(self._network, orders=self._orders, patches=self._patches)
        sites: Sites | None = None
        for number in range(recipe.rounds):
            target = _target_of_round(self._target, number, recipe.rounds)
            files = self._files.of_round(number)
            sites = self._allocated(student, target, sites, files)
            sites = self._tuned(student, sites, files.state)
        assert sites is not None
        if self._orders:
            sites = tuple(_ordered(site, self._orders.get(index)) for index, site in enumerate(sites))
        weights = None if student is self._start else checkpoint_of(self._network, student, self._orders)
        provenance = self._provenance(weights)
        return Plan(self._settings.params, sites, provenance, recipe.transaction_bytes, weights)

    def _provenance(self, weights: bytes | None) -> PlanProvenance:
        network, recipe = self._network, self._recipe
        return PlanProvenance(
            network=network.name,
            dataset=network.dataset,
            method=recipe.method,
            seed=self._seed,
            target_bits=self._target,
            table_batch=recipe.table_batch,
            calibration_images=len(self._calibration),
            finetune_images=len(self._data.pool) if recipe.epochs else 0,
            search_images=len(self._search_data.pool) if recipe.search_epochs else 0,
            epochs=recipe.epochs,
            checkpoint_sha256=network.checkpoint_sha256 if weights is None else hashlib.sha256(weights).hexdigest(),
            network_macs=network_macs(network.model, network.input_shape),
            block_images=len(self._block_images),
            weights_trained=weights is not None,
        )

    def _batches(self, title: str) -> Any:
        return input_batches(self._network, self._calibration, _BATCH, title, self._progress)

    def _statistics(self, sited: SitedNetwork) -> tuple[SiteStatistics, ...]:
        statistics = calibrate(
            sited,
            self._ranges,
            self._batches("calibration"),
            images=len(self._calibration),
            block=self._settings.params.block,
            seed=self._seed,
            positions=self._recipe.positions,
            folded=self._folded,
        )
        return tuple(map(by_variance, statistics)) if self._recipe.sensitivity == "variance" else statistics

    def _layer(self, choice: Choice) -> CodecLayer:
        return CodecLayer(build_site(choice, self._settings)).requires_grad_(False)

    def _allocated(self, student: SitedNetwork, target: float, before: Sites | None, files: _Files) -> Sites:
        """Return the sites of an allocation; ``before`` is what an earlier round made of them."""
        recipe, world = self._recipe, self._world
        if recipe.search_epochs:
            above = min(target + recipe.search_above, MAX_WIDTH)
            start = world.by_first(lambda: self._spread(student, self._statistics(student), above))
            return self._searched(student, start, target, files.state)
        return world.by_first(lambda: self._measured(student, self._statistics(student), target, before, files.greedy))

    def _measured(
        self,
        student: SitedNetwork,
        statistics: tuple[SiteStatistics, ...],
        target: float,
        before: Sites | None,
        greedy_log: Path | None,
    ) -> Sites:
        """Return the sites of an allocation by ``statistics``."""
        recipe, settings = self._recipe, self._settings
        if recipe.allocation == "greedy":
            return self._greedy(student, statistics, target, before, greedy_log)
        if recipe.allocation in ("waterfill", "partition"):
            return self._built(self._spread(student, statistics, target))
        if recipe.allocation == "raw":
            choices = fixed_width([raw(s) for s in statistics], 8, settings)
        elif recipe.allocation == "fixed-width":
            choices = fixed_width([projection(s, "identity") for s in statistics], target, settings)
        elif recipe.allocation == "density":
            plain = [projection(s, "identity") for s in statistics]
            choices = by_density(plain, target, settings, recipe.density_widths)
        else:
            spread = uniform if recipe.allocation == "uniform" else equal_variance
            choices = spread(self._projections(student, statistics, target), target, settings)
        return self._built(choices)

    def _built(self, choices: tuple[Choice, ...]) -> Sites:
        return tuple(build_site(choice, self._settings) for choice in choices)

    def _projections(
        self, student: SitedNetwork, statistics: tuple[SiteStatistics, ...], target: float
    ) -> tuple[SiteOption, ...]:
        """Return one projection of every site: the recipe's basis, or the best measured one."""
        basis = self._recipe.transform
        if basis != "auto" and basis != "best":
            return tuple(projection(site, basis) for site in statistics)
        inputs = self._selection_inputs(self._recipe.greedy_images)
        return choose_bases(
            StagedNetwork(student),
            statistics,
            inputs,
            target,
            self._recipe.table_batch,
            self._settings,
            self._layer,
            self._progress,
        )

    def _spread(
        self, student: SitedNetwork, statistics: tuple[SiteStatistics, ...], target: float
    ) -> tuple[Choice, ...]:
        """Return the choices of water-filling or of a partition; of several bases those of least divergence."""
        recipe = self._recipe
        plain = [plain_options(site) for site in statistics]
        bases: tuple[Basis, ...] = ("identity", "pca", "fisher")

        def offer(basis: Basis) -> list[tuple[SiteOption, ...]]:
            if basis == "identity":
                return list(plain)
            return [(projection(site, basis), *others) for site, others in zip(statistics, plain, strict=True)]

        if recipe.transform == "best":
            chosen = self._projections(student, statistics, target)
            return self._allocate([(option, *others) for option, others in zip(chosen, plain, strict=True)], target)
        # One basis after the other: what the others of a site were is gone before the next one is measured.
        spread = [
            self._allocate(offer(basis), target)
            for basis in (bases if recipe.transform == "auto" else (recipe.transform,))
        ]
        if len(spread) == 1:
            return spread[0]
        costs = [self._divergence(CompressedNetwork.of_plan(student, self._built(choices))) for choices in spread]
        return spread[int(np.argmin(costs))]

    def _allocate(self, offer: Sequence[Sequence[SiteOption]], target: float) -> tuple[Choice, ...]:
        recipe = self._recipe
        if recipe.allocation == "waterfill":
            return allocate(offer, target, recipe.table_batch, self._settings)
        prices = GroupPrices(recipe.grouping, recipe.group_bits, recipe.cycle_bits, recipe.groups)
        return partition(offer, target, recipe.table_batch, prices, self._settings)

    def _searched(self, student: SitedNetwork, choices: tuple[Choice, ...], target: float, state: Path | None) -> Sites:
        """Return the sites of a search for widths that starts from ``choices``."""
        sites, log = search(
            student,
            self._teacher,
            choices,
            self._search_data,
            target,
            self._recipe,
            self._settings,
            self._seed,
            {"network": self._network.name, "start": _digest(self._built(choices)), "target": target},
            state and state.with_name(f"{state.stem}.search{state.suffix}"),
            self._progress,
            self._world,
        )
        if self._search_log is not None and self._world.is_first:
            log.write(self._search_log)
        return sites

    def _greedy(
        self,
        student: SitedNetwork,
        statistics: tuple[SiteStatistics, ...],
        target: float,
        before: Sites | None,
        log: Path | None,
    ) -> Sites:
        recipe = self._recipe
        start, kept = None, dict[Choice, SitePlan]()
        if before is None:
            projections = self._projections(student, statistics, recipe.basis_bits)
            options = [
                (option, projection(site, "identity")) if recipe.widths == "site" and recipe.unprojected else (option,)
                for option, site in zip(projections, statistics, strict=True)
            ]
        else:
            # What was learned so far is the basis that is cut on.
            learnt = [learned(site, plan, self._settings) for site, plan in zip(statistics, before, strict=True)]
            options = [(choice.option,) for choice in learnt]
            start = learnt
            kept = dict(zip(learnt, before, strict=True))

        def layer(choice: Choice) -> CodecLayer:
            plan = kept.get(choice) or build_site(choice, self._settings)
            return CodecLayer(plan).requires_grad_(False)

        inputs = self._selection_inputs(recipe.greedy_images)
        with torch.no_grad():
            reference = [self._teacher(x) for x in inputs]
        greedy = Greedy(
            StagedNetwork(student),
            options,
            layer,
            inputs,
            reference,
            self._settings,
            mixed=recipe.widths == "site",
            step=recipe.greedy_step,
            table_batch=recipe.table_batch,
            key=self._greedy_key(before),
            file=log,
            start=start,
        )
        choices = greedy.advance(target, self._report)
        return tuple(kept.get(choice) or build_site(choice, self._settings) for choice in choices)

    def _greedy_key(self, before: Sites | None) -> dict[str, Any]:
        """Name everything that a greedy run depends on but its target."""
        return {
            "network": self._network.name,
            "checkpoint": self._network.checkpoint_sha256,
            "seed": self._seed,
            "codec": self._settings.params.as_json(),
            "before": _digest(before) if before else "",
            **self._recipe.walk,
        }

    def _selection_inputs(self, count: int) -> list[Tensor]:
        images = self._selection[:count]
        return [self._network.inputs(images[i : i + _GREEDY_BATCH]) for i in range(0, len(images), _GREEDY_BATCH)]

    def _divergence(self, compressed: CompressedNetwork) -> float:
        return selection_divergence(compressed, self._teacher, self._network, self._selection, self._progress)

    def _tuned(self, student: SitedNetwork, sites: Sites, state: Path | None) -> Sites:
        """Return ``sites`` after the training stages; ``student``'s weights change where the recipe says so."""
        recipe = self._recipe
        compressed = CompressedNetwork.of_plan(student, sites)
        if recipe.batchnorm:
            self._world.by_first(lambda: reestimate(compressed, self._batches("BatchNorm")))
            self._world.copy_from_first(list(student.parameters()))
        trainable = any(p.requires_grad for p in compressed.layers.parameters())
        if recipe.block_epochs and trainable:
            sites = self._reconstructed(compressed, sites)
            compressed = CompressedNetwork.of_plan(student, sites)
        if recipe.epochs and (trainable or recipe.weights):
            identity = {"network": self._network.name, "sites": _digest(sites), "pool": len(self._data.pool)}
            train(
                compressed,
                self._teacher,
                self._data,
                recipe,
                self._seed,
                identity,
                state,
                self._progress,
                world=self._world,
            )
            sites = compressed.plans()
        return sites

    def _reconstructed(self, compressed: CompressedNetwork, sites: Sites) -> Sites:
        """Return ``sites`` after block-wise reconstruction, or as they were where that is better."""

        def better() -> Sites:
            before = self._divergence(compressed)
            reconstruct(
                compressed, self._teacher, self._network, self._block_images, self._recipe, self._seed, self._progress
            )
            return compressed.plans() if self._divergence(compressed) < before else sites

        return self._world.by_first(better)


def _target_of_round(target: float, number: int, rounds: int) -> float:
    """Cut 8 bits down to ``target`` in equal ratios; the last round gives it exactly."""
    return target if number + 1 == rounds else float(8 * (target / 8) ** ((number + 1) / rounds))


def _ordered(site: SitePlan, order: NDArray[np.int64] | None) -> SitePlan:
    if order is None:
        return site
    return SitePlan(site.info, replace(site.arrays, channel_order=order.astype(np.uint16)))


def _digest(sites: Sites) -> str:
    named = hashlib.sha256()
    for site in sites:
        named.update(site.info.model_dump_json().encode())
        for array in vars(site.arrays).values():
            named.update(np.ascontiguousarray(array).tobytes())
    return named.hexdigest()
