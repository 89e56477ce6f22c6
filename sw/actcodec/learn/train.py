"""Training a network from scratch: SGD with momentum, cosine schedule, light augmentation, resumable.

Every epoch draws its order and its augmentation from (seed, epoch) alone, so a resumed run ends in the same
bytes as an uninterrupted one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from actcodec.data import Dataset, load_dataset
from actcodec.data.augment import augmentation
from actcodec.errors import ActcodecError
from actcodec.files import write_bytes
from actcodec.learn.checkpoint import load_checkpoint, save_checkpoint
from actcodec.learn.distributed import ALONE, World, synchronise_batchnorm
from actcodec.learn.progress import track
from actcodec.networks import NetworkSpec, network_spec
from actcodec.networks.registry import normalised

_EVALUATION_BATCH = 250


@dataclass(frozen=True)
class TrainingRecipe:
    """``rate`` is the peak learning rate, reached after ``warmup`` epochs and taken to 0 by a cosine.

    Raises ActcodecError for values that cannot train.
    """

    epochs: int = 30
    batch: int = 64
    rate: float = 0.1
    warmup: float = 1.0
    momentum: float = 0.9
    weight_decay: float = 5e-4
    smoothing: float = 0.1

    def __post_init__(self) -> None:
        for field in ("epochs", "batch", "rate"):
            if not getattr(self, field) > 0:
                raise ActcodecError("training recipe", f"{field} is {getattr(self, field)}, must be above 0")
        if not 0 <= self.smoothing < 1:
            raise ActcodecError("training recipe", f"smoothing is {self.smoothing}, must be in 0…1")

    def rate_at(self, epoch: float) -> float:
        """Return the learning rate at ``epoch``, a real number: linear warm-up, then half a cosine."""
        if epoch < self.warmup:
            return self.rate * (epoch + 1e-3) / self.warmup
        done = (epoch - self.warmup) / max(self.epochs - self.warmup, 1e-9)
        return self.rate * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


@dataclass(frozen=True)
class TrainingResult:
    """Where the weights were written and the share of correct test images, 0…1."""

    checkpoint: Path
    accuracy: float


def train_network(
    name: str,
    out: Path,
    *,
    recipe: TrainingRecipe | None = None,
    seed: int = 0,
    root: Path | None = None,
    resume: bool = True,
    images: int | None = None,
    progress: bool = True,
    dataset: str | None = None,
    world: World = ALONE,
) -> TrainingResult:
    """Train ``name`` on its data set and write the last epoch's weights to ``out`` (safetensors).

    ``dataset`` is needed for a network of one's own (`network_spec`). ``images`` limits the training images. After
    every epoch the state goes to ``out`` with ``.resume`` appended; ``resume`` continues from it. The test set is
    looked at once, at the end. The processes of ``world`` all call this; they share every batch, BatchNorm's moments
    are those of the whole one, and the files are the first one's.
    Raises ActcodecError for an unknown network, absent data, or a state of other settings.
    """
    recipe = recipe or TrainingRecipe()
    spec = network_spec(name, dataset)
    train = load_dataset(spec.dataset, "train", root)
    train = train if images is None else train.head(images)
    state_path = out.with_name(f"{out.name}.resume")
    header: dict[str, Any] = {"network": name, "seed": seed, "images": len(train), **asdict(recipe)}
    world.check_batches(len(train), recipe.batch)
    run = _Run(spec, recipe, seed, world)
    before = world.by_first(lambda: load_checkpoint(state_path, header) if resume and state_path.exists() else None)
    if before is not None:
        run.restore(*before)
    for epoch in range(run.epochs_done, recipe.epochs):
        run.epoch(train, epoch, progress and world.is_first)
        if world.is_first:
            save_checkpoint(state_path, run.state(), {**header, "epochs_done": epoch + 1})
    if world.is_first:
        weights = {k: v for k, v in run.model.state_dict().items() if not k.endswith("num_batches_tracked")}
        write_bytes(out, save({key: value.contiguous() for key, value in weights.items()}))
        state_path.unlink(missing_ok=True)
    return TrainingResult(out, _accuracy(run.model, spec, load_dataset(spec.dataset, "test", root), world))


class _Run:
    """A model and its optimizer on the way from the first epoch to the last."""

    def __init__(self, spec: NetworkSpec, recipe: TrainingRecipe, seed: int, world: World) -> None:
        self._spec, self._recipe, self._seed, self._world = spec, recipe, seed, world
        torch.manual_seed(seed)
        self.model: nn.Module = spec.build().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for module in self.model.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
        synchronise_batchnorm(self.model, world)
        world.copy_from_first(list(self.model.state_dict().values()))
        self._optimizer = torch.optim.SGD(
            self.model.parameters(),
            lr=recipe.rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=True,
        )
        self.epochs_done = 0

    def epoch(self, train: Dataset, epoch: int, progress: bool) -> None:
        """Go once through ``train``, in an order and with an augmentation drawn from (seed, epoch)."""
        self.model.train()
        # Dropout draws from torch's generator; every process for its own images.
        torch.manual_seed(int(np.random.default_rng([self._seed, epoch, 0xD809]).integers(2**63)) + self._world.rank)
        steps = math.ceil(len(train) / self._recipe.batch)
        batches = self._batches(train, np.random.default_rng([self._seed, epoch]))
        title = f"epoch {epoch + 1}/{self._recipe.epochs}"
        for step, (x, y) in enumerate(track(batches, title, steps, progress)):
            self._optimizer.param_groups[0]["lr"] = self._recipe.rate_at(epoch + step / steps)
            loss = functional.cross_entropy(self.model(x), y, label_smoothing=self._recipe.smoothing)
            loss = loss * self._world.share(min(self._recipe.batch, len(train) - step * self._recipe.batch))
            self._optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self._world.sum_gradients(self.model.parameters(), loss)
            self._optimizer.step()
        self.epochs_done = epoch + 1

    def _batches(self, train: Dataset, rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        order = rng.permutation(len(train))
        recipe = augmentation(train.name)
        for start in range(0, len(train), self._recipe.batch):
            chosen = order[start : start + self._recipe.batch]
            # All processes draw for the whole batch; each makes the images of its part.
            drawn, own = recipe.draw(len(chosen), rng), np.arange(len(chosen))[self._world.part(len(chosen))]
            images = recipe.apply_drawn(train.images[chosen[own]], drawn.of(own))
            yield normalised(images, self._spec.mean, self._spec.std), torch.from_numpy(train.labels[chosen[own]])

    def state(self) -> dict[str, Tensor]:
        """Return weights, running statistics and momenta under flat names."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            # A parameter that the loss does not depend on has none.
            if "momentum_buffer" in self._optimizer.state[parameter]:
                tensors[f"momentum.{name}"] = self._optimizer.state[parameter]["momentum_buffer"]
        return tensors

    def restore(self, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
        """Take up a state written by ``state``."""
        self.model.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")})
        for name, parameter in self.model.named_parameters():
            if f"momentum.{name}" in tensors:
                self._optimizer.state[parameter]["momentum_buffer"] = tensors[f"momentum.{name}"]
        self.epochs_done = int(header["epochs_done"])


@torch.no_grad()
def _accuracy(model: nn.Module, spec: NetworkSpec, test: Dataset, world: World) -> float:
    model.eval()
    part = world.part(len(test))
    hits = 0
    for start in range(part.start, part.stop, _EVALUATION_BATCH):
        batch = slice(start, min(start + _EVALUATION_BATCH, part.stop))
        images: NDArray[np.uint8] = test.images[batch]
        predicted = model(normalised(images, spec.mean, spec.std)).argmax(1).numpy()
        hits += int((predicted == test.labels[batch]).sum())
    return int(world.sum(torch.tensor(hits))) / len(test)
