"""The one trainer of all methods: a network with layers at its sites, against the uncompressed network.

    minimise    α·CE(y, f(x)) + δ·KL(teacher ‖ f(x)) + γ·Σ_l ‖a_l − â_l‖²/‖a_l‖²/L + the method's own penalty

over the layers and, where the recipe says so, the network's weights. Adam, cosine schedule, mixup (Zhang et al., ICLR
2018) on request. A weight's rate is relative to its tensor's rms, so that one number suits all tensors. Every epoch
draws its order and augmentation from (seed, epoch) alone and its state is written whole or not at all, so a run that
was killed at any moment ends in the same bytes. The epoch with the least divergence on the selection images is kept,
or the last one; what came in counts as epoch 0. Several processes share every batch (`distributed`).
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from actcodec.data import Dataset
from actcodec.data.augment import augmentation
from actcodec.errors import ActcodecError
from actcodec.files import write_text
from actcodec.learn.checkpoint import load_checkpoint, save_checkpoint
from actcodec.learn.distributed import ALONE, World
from actcodec.learn.divergence import kl_divergence
from actcodec.learn.progress import track
from actcodec.learn.recipe import LearnRecipe
from actcodec.learn.tuning.compressed import CompressedNetwork, selection_divergence
from actcodec.networks import Network, SitedNetwork


class Steering(Protocol):
    """What a method does beside the loss: rates of its own, corrected gradients, steps of its own, state and log."""

    def rate(self, parameter: nn.Parameter) -> float | None:
        """Return the learning rate of a parameter that is the method's, None for the others."""

    def correct_gradients(self) -> None:
        """Change gradients between backward and the step."""

    def after_step(self) -> None:
        """Do what is to be done after every step."""

    def state(self) -> dict[str, Tensor]:
        """Return the tensors of a checkpoint."""

    def header(self) -> dict[str, Any]:
        """Return what the header of a checkpoint says."""

    def restore(self, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
        """Take up what ``state`` and ``header`` gave."""


_MOMENTS = ("step", "exp_avg", "exp_avg_sq")
_STEERING = "steering."


@dataclass(frozen=True, eq=False)
class TrainingData:
    """``pool``: what is trained on; ``selection`` (N, H, W, C): what epochs are chosen by."""

    network: Network
    pool: Dataset
    selection: NDArray[np.uint8]


class HasDevice(Protocol):
    """A recipe that names what it runs on: ``cpu``, ``cuda`` or ``auto``."""

    @property
    def device(self) -> str: ...  # noqa: D102


def device_of(recipe: HasDevice) -> torch.device:
    """Return the device that the recipe asks for; ActcodecError where it asks for CUDA and there is none."""
    if recipe.device == "cuda" and not torch.cuda.is_available():
        raise ActcodecError("recipe", "device = 'cuda': no CUDA device is available")
    if recipe.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(recipe.device)


def autocast(recipe: LearnRecipe, device: torch.device) -> AbstractContextManager[Any]:
    """Return the context that forward passes run in: bfloat16 where the recipe says so."""
    return torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16")


def train(
    compressed: CompressedNetwork,
    teacher: SitedNetwork,
    data: TrainingData,
    recipe: LearnRecipe,
    seed: int,
    identity: dict[str, Any],
    state: Path | None = None,
    progress: bool = True,
    steering: Steering | None = None,
    world: World = ALONE,
) -> None:
    """Train ``compressed`` in place for ``recipe.epochs`` and leave the best epoch's numbers in it.

    ``state`` is a file that is written after every epoch and taken up if it exists; beside it a CSV log with a line an
    epoch. ``identity`` names what is trained: a state of another plan, recipe or seed is refused with ActcodecError.
    ``steering`` is a method's own part in every step. All processes of ``world`` call this alike and end with the same
    numbers; ``state`` is the first one's.
    """
    world.check_batches(len(data.pool), recipe.batch)
    device = device_of(recipe)
    compressed.to(device)
    teacher.to(device)
    world.copy_from_first([*compressed.parameters(), *compressed.buffers()])
    progress = progress and world.is_first
    run = _Run(compressed, teacher, data, recipe, seed, device, steering, world)
    header: dict[str, Any] = {**identity, "seed": seed, "recipe": recipe.model_dump(mode="json")}
    before = world.by_first(lambda: load_checkpoint(state, header) if state is not None and state.exists() else None)
    if before is not None:
        run.restore(*before)
    else:
        run.consider(0, None, progress)
    while run.epochs_done < recipe.epochs and not run.settled:
        loss = run.epoch(run.epochs_done, progress)
        run.consider(run.epochs_done + 1, loss, progress)
        if state is not None and world.is_first:
            save_checkpoint(state, run.state(), {**header, **run.header()})
            write_text(state.with_suffix(".csv"), run.log())
    run.leave_best()
    compressed.to("cpu")
    teacher.to("cpu")


class _Run:
    """A network on its way through the epochs, and the best of it so far."""

    def __init__(
        self,
        compressed: CompressedNetwork,
        teacher: SitedNetwork,
        data: TrainingData,
        recipe: LearnRecipe,
        seed: int,
        device: torch.device,
        steering: Steering | None,
        world: World,
    ) -> None:
        self._compressed, self._teacher, self._data = compressed, teacher, data
        self._recipe, self._seed, self._device = recipe, seed, device
        self._steering, self._world = steering, world
        weights = {f"sited.{name}" for name, _ in compressed.sited.named_parameters()}
        compressed.sited.requires_grad_(recipe.weights)
        trained = [(name, p) for name, p in compressed.named_parameters() if p.requires_grad]
        self._parameters = dict(trained)
        self._groups = [
            {"params": [p], "rate": recipe.weight_rate * _rms(p) if name in weights else self._rate(p)}
            for name, p in trained
        ]
        self._optimizer = torch.optim.Adam(self._groups, lr=recipe.rate, betas=(0.9, 0.99))
        self.epochs_done = 0
        self._best_divergence, self._best_epoch = math.inf, 0
        self._best: dict[str, Tensor] = {}
        self._history: list[dict[str, float | None]] = []

    def _rate(self, parameter: nn.Parameter) -> float:
        own = self._steering.rate(parameter) if self._steering is not None else None
        return self._recipe.rate if own is None else own

    @property
    def settled(self) -> bool:
        """Whether as many epochs as the recipe's patience brought nothing."""
        return 0 < self._recipe.patience <= self.epochs_done - self._best_epoch

    def epoch(self, epoch: int, progress: bool) -> float:
        """Go once through the pool; return the mean loss."""
        recipe, pool, world = self._recipe, self._data.pool, self._world
        steps = math.ceil(len(pool) / recipe.batch)
        batches = self._batches(np.random.default_rng([self._seed, epoch, 0xF17E]))
        # Dropout draws from torch's generator; every process for its own images.
        torch.manual_seed(int(np.random.default_rng([self._seed, epoch, 0xD809]).integers(2**63)) + world.rank)
        total = 0.0
        for step, (x, y) in enumerate(track(batches, f"training {epoch + 1}/{recipe.epochs}", steps, progress)):
            done = (epoch + step / steps) / recipe.epochs
            for group in self._optimizer.param_groups:
                group["lr"] = group["rate"] * 0.5 * (1 + math.cos(math.pi * done))
            loss = self._loss(x, y, world.share(min(recipe.batch, len(pool) - step * recipe.batch)))
            self._optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            total += world.sum_gradients(self._parameters.values(), loss)
            if self._steering is not None:
                self._steering.correct_gradients()
            self._optimizer.step()
            if self._steering is not None:
                self._steering.after_step()
        return total / steps

    def _loss(self, x: Tensor, y: Tensor, share: float) -> Tensor:
        """Return what images ``x``, a ``share`` of the batch, add to the loss of the batch."""
        recipe = self._recipe
        with autocast(recipe, self._device):
            logits, loss = self._compressed.with_penalty(
                x, recipe.reconstruction, lambda means: self._world.sum(means * share)
            )
            logits = logits.float()
            if recipe.distillation:
                with torch.no_grad():
                    reference = self._teacher(x).float()
                loss = loss + recipe.distillation * kl_divergence(reference, logits, recipe.temperature).mean()
            if recipe.cross_entropy:
                loss = loss + recipe.cross_entropy * functional.cross_entropy(logits, y)
        return loss * share

    def _batches(self, rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield this process's part of every batch: inputs and the probabilities of their classes, (N, classes).

        All processes draw for the whole batch; each makes the images of its part and those that they are mixed with.
        """
        pool, batch, mixup = self._data.pool, self._recipe.batch, self._recipe.mixup
        order, recipe = rng.permutation(len(pool)), augmentation(pool.name)
        for start in range(0, len(pool), batch):
            chosen = order[start : start + batch]
            drawn, part = recipe.draw(len(chosen), rng), self._world.part(len(chosen))
            own = needed = np.arange(len(chosen))[part]
            if mixup:
                share, partners = float(rng.beta(mixup, mixup)), rng.permutation(len(chosen))[part]
                needed = np.concatenate([own, np.setdiff1d(partners, own)])
            images = recipe.apply_drawn(pool.images[chosen[needed]], drawn.of(needed))
            x = self._data.network.inputs(images)
            y = functional.one_hot(torch.from_numpy(pool.labels[chosen[needed]]), pool.classes).float()
            if mixup:
                place = np.empty(len(chosen), np.int64)
                place[needed] = np.arange(len(needed))
                other = torch.from_numpy(place[partners])
                x, y = (share * t[: len(own)] + (1 - share) * t[other] for t in (x, y))
            yield x.to(self._device), y.to(self._device)

    def consider(self, epoch: int, loss: float | None, progress: bool) -> None:
        """Measure the present numbers on the selection images and keep them if they are the best so far."""
        data = self._data
        divergence = selection_divergence(
            self._compressed, self._teacher, data.network, data.selection, progress, self._world
        )
        self.epochs_done = epoch
        self._history.append({"epoch": epoch, "loss": loss, "divergence": divergence})
        if divergence < self._best_divergence or self._recipe.keep == "last":
            self._best_divergence, self._best_epoch = divergence, epoch
            self._best = {name: p.detach().clone() for name, p in self._parameters.items()}

    def leave_best(self) -> None:
        """Put the best epoch's numbers into the network."""
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(self._best[name])
        self._compressed.sited.requires_grad_(False)

    def log(self) -> str:
        """Return the history as CSV."""
        text = io.StringIO()
        writer = csv.DictWriter(text, ["epoch", "loss", "divergence"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._history)
        return text.getvalue()

    def header(self) -> dict[str, Any]:
        """Return what the header of a checkpoint says of the way so far."""
        return {
            "epochs_done": self.epochs_done,
            "best_divergence": self._best_divergence,
            "best_epoch": self._best_epoch,
            "history": self._history,
            "steering": None if self._steering is None else self._steering.header(),
        }

    def state(self) -> dict[str, Tensor]:
        """Return parameters, the best ones and Adam's moments under flat names."""
        tensors: dict[str, Tensor] = {}
        for name, parameter in self._parameters.items():
            tensors[f"now.{name}"], tensors[f"best.{name}"] = parameter.detach(), self._best[name]
            for moment, value in self._optimizer.state[parameter].items():
                tensors[f"adam.{moment}.{name}"] = value
        if self._steering is not None:
            tensors |= {f"{_STEERING}{name}": value for name, value in self._steering.state().items()}
        return tensors

    def restore(self, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
        """Take up what ``state`` and ``header`` wrote."""
        self.epochs_done, self._best_epoch = int(header["epochs_done"]), int(header["best_epoch"])
        self._best_divergence, self._history = float(header["best_divergence"]), list(header["history"])
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(tensors[f"now.{name}"])
                self._best[name] = tensors[f"best.{name}"].to(self._device)
                moments = {m: tensors[f"adam.{m}.{name}"] for m in _MOMENTS if f"adam.{m}.{name}" in tensors}
                if moments:
                    self._optimizer.state[parameter] = {
                        m: value if m == "step" else value.to(self._device) for m, value in moments.items()
                    }
        if self._steering is not None:
            own = {k.removeprefix(_STEERING): v for k, v in tensors.items() if k.startswith(_STEERING)}
            self._steering.restore(own, header["steering"])


def _rms(parameter: nn.Parameter) -> float:
    return float(parameter.detach().square().mean().sqrt().clamp_min(1e-4))
