"""Training a network whose widths and channels follow its activation densities.

    repeat   train an epoch at {k_l}, counting AD_l
             once every AD_l has saturated:  accuracy below its target → the last good model, nothing shrinks any more
                                             k_l ← round(k_l·AD_l),  C_l ← round(C_l·AD_l)
                                             neither changed → nothing shrinks any more
    until all epochs are done; there is no training after that

**Published** (arXiv 2101.04354): the loop, Adam, both ways to stop, no re-training. **Reconstructed**: the rate's
schedule, what saturated means (`rules`), the target (a distance below the best accuracy so far, on the selection
images, which are not trained on), and that a model is *good* where it met the target when its densities had saturated.
Where the last widths never met it, the last good model is the result, as it was when it was left.

Every epoch draws from (seed, epoch) alone and its state is written whole or not at all, so a run that was killed at any
moment ends in the same bytes (one machine, one thread).
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from actcodec.data import Dataset, load_dataset, split_training
from actcodec.data.augment import augmentation
from actcodec.density.energy import baseline_energy, mac_reduction, network_energy, pim_width
from actcodec.density.network import DensityNetwork
from actcodec.density.pruning import prune_by_density, prune_to
from actcodec.density.recipe import DensityRecipe
from actcodec.density.rules import next_width, saturated, training_complexity
from actcodec.files import WEIGHTS, write_bytes, write_json, write_text
from actcodec.learn.checkpoint import load_checkpoint, save_checkpoint
from actcodec.learn.progress import track
from actcodec.learn.tuning.trainer import device_of
from actcodec.networks import NetworkSpec, network_spec
from actcodec.networks.channels import channel_metadata
from actcodec.networks.registry import normalised

RESULT, LOG, STATE, CODEC_RECIPE = "result.json", "epochs.csv", "training.resume", "codec.toml"
_EVALUATION_BATCH = 250
_BETAS = (0.9, 0.999)
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")
_FIELDS = ("epoch", "stage", "loss", "accuracy", "mac_reduction", "widths", "channels", "densities")


@dataclass(frozen=True)
class DensityResult:
    """``folder`` holds weights, log and `result.json`, whose content is ``summary``."""

    folder: Path
    summary: dict[str, Any]

    @property
    def accuracy(self) -> float:
        """Share of correct test images, 0…1."""
        return float(self.summary["accuracy"])


def train_density(
    name: str,
    out: Path,
    *,
    recipe: DensityRecipe | None = None,
    seed: int = 0,
    root: Path | None = None,
    images: int | None = None,
    progress: bool = True,
    dataset: str | None = None,
) -> DensityResult:
    """Train network ``name`` by ``recipe`` and write the folder ``out``.

    It holds ``weights.safetensors`` (the network's own names, weights at their widths), ``result.json``, ``epochs.csv``
    (a line an epoch and layer: width, channels, density) and ``codec.toml``, a recipe for `actcodec learn` that codes
    every site at the width it is read at. ``training.resume`` is the state of an unfinished run and is gone on with.
    ``images`` limits the training images. The test set is looked at once, at the end.
    Raises ActcodecError for an unknown network, absent data, a network without widths, or a state of other settings.
    """
    recipe = recipe or DensityRecipe()
    spec = network_spec(name, dataset)
    train = load_dataset(spec.dataset, "train", root)
    split = split_training(train if images is None else train.head(images))
    state_path = out / STATE
    header: dict[str, Any] = {
        "network": name,
        "seed": seed,
        "images": len(split.pool),
        "recipe": recipe.model_dump(mode="json"),
    }
    run = _Run(spec, recipe, seed)
    if state_path.exists():
        run.restore(*load_checkpoint(state_path, header))
    while run.epochs_done < recipe.epochs:
        run.epoch(split.pool, progress)
        run.judge(split.selection)
        save_checkpoint(state_path, run.state(), {**header, **run.header()})
        write_text(out / LOG, run.log())
    run.finish()
    test = load_dataset(spec.dataset, "test", root)
    summary = {**header, "accuracy": _accuracy(run.network, spec, test), **run.summary()}
    write_bytes(out / WEIGHTS, run.checkpoint())
    write_text(out / CODEC_RECIPE, _codec_recipe(run.network.site_widths(), recipe.method))
    write_json(out / RESULT, summary)
    state_path.unlink(missing_ok=True)
    return DensityResult(out, summary)


@dataclass
class _Good:
    """The last model that met its target, whole."""

    tensors: dict[str, Tensor]
    widths: dict[str, int]
    channels: dict[str, int]
    stage: int


class _Run:
    """A network and its optimizer on the way through the epochs."""

    def __init__(self, spec: NetworkSpec, recipe: DensityRecipe, seed: int) -> None:
        self._spec, self._recipe, self._seed = spec, recipe, seed
        self._device = device_of(recipe)
        self.network, self._optimizer = self._built()
        self._baseline = self.network.shapes()
        self.epochs_done = 0
        self._stage = 0
        self._shrinking = recipe.quantize or recipe.prune
        self._ended = "nothing shrinks in this recipe" if not self._shrinking else ""
        self._best = 0.0
        self._good: _Good | None = None
        self._history: list[dict[str, Any]] = []

    def _built(self) -> tuple[DensityNetwork, torch.optim.Optimizer]:
        recipe = self._recipe
        torch.manual_seed(self._seed)
        model = self._spec.build()
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
        network = DensityNetwork(model, self._spec.input_shape, recipe.bits)
        network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=recipe.rate, betas=_BETAS, weight_decay=recipe.weight_decay
        )
        return network, optimizer

    def epoch(self, pool: Dataset, progress: bool) -> None:
        """Go once through ``pool``, in an order and with an augmentation drawn from (seed, epoch)."""
        recipe, epoch = self._recipe, self.epochs_done
        self.network.train()
        self.network.reset_counters()
        # Dropout draws from torch's generator.
        torch.manual_seed(int(np.random.default_rng([self._seed, epoch, 0xD809]).integers(2**63)))
        steps = math.ceil(len(pool) / recipe.batch)
        batches = self._batches(pool, np.random.default_rng([self._seed, epoch, 0xAD]))
        total = 0.0
        title = f"epoch {epoch + 1}/{recipe.epochs}, widths {self._stage}"
        for step, (x, y) in enumerate(track(batches, title, steps, progress)):
            self._optimizer.param_groups[0]["lr"] = self._rate(epoch + step / steps)
            loss = functional.cross_entropy(self.network(x), y, label_smoothing=recipe.smoothing)
            self._optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
            total += float(loss.detach())
        entry = self._entry(
            epoch=epoch + 1,
            stage=self._stage,
            loss=total / steps,
            accuracy=None,
            mac_reduction=self._reduction(),
            widths=self.network.widths,
            channels=self.network.channels(),
            densities=self.network.densities(),
        )
        self._history.append(entry)
        self.epochs_done = epoch + 1

    def _entry(self, **values: Any) -> dict[str, Any]:
        """Return an epoch of the history, fields and layers in one order: a checkpoint's header has them sorted."""
        names = [layer.name for layer in self.network.layers]

        def ordered(value: Any) -> Any:
            return {name: value[name] for name in names if name in value} if isinstance(value, dict) else value

        return {field: ordered(values[field]) for field in _FIELDS}

    def _rate(self, epoch: float) -> float:
        recipe = self._recipe
        if epoch < recipe.warmup:
            return recipe.rate * (epoch + 1e-3) / recipe.warmup
        done = (epoch - recipe.warmup) / max(recipe.epochs - recipe.warmup, 1e-9)
        return recipe.rate * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

    def _batches(self, pool: Dataset, rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        order, recipe = rng.permutation(len(pool)), augmentation(pool.name)
        for start in range(0, len(pool), self._recipe.batch):
            chosen = order[start : start + self._recipe.batch]
            images = recipe.apply(pool.images[chosen], rng)
            x, y = normalised(images, self._spec.mean, self._spec.std), torch.from_numpy(pool.labels[chosen])
            yield x.to(self._device), y.to(self._device)

    def _reduction(self) -> float:
        shapes = self.network.shapes()
        return mac_reduction(self._baseline, shapes, list(self.network.widths.values()))

    def judge(self, selection: Dataset) -> None:
        """Measure the epoch's accuracy and shrink the network, or leave off, where the rules say so."""
        recipe = self._recipe
        accuracy = _accuracy(self.network, self._spec, selection)
        self._history[-1]["accuracy"] = accuracy
        self._best = max(self._best, accuracy)
        if not self._shrinking:
            return
        stage = [entry["densities"] for entry in self._history if entry["stage"] == self._stage]
        settled = saturated(stage, recipe.window, recipe.tolerance) or 0 < recipe.longest <= len(stage)
        last_call = self.epochs_done >= recipe.epochs - recipe.settle
        if not last_call and (self.epochs_done < recipe.first or not settled):
            return
        target = self._best - recipe.accuracy_drop if recipe.accuracy is None else recipe.accuracy
        if accuracy < target:
            self._missed(last_call)
            return
        self._good = self._snapshot()
        if last_call:
            self._leave_off("the last epochs began")
        elif not self._shrink():
            self._leave_off("no width and no channel count changed")
        else:
            self._stage += 1

    def _missed(self, last_call: bool) -> None:
        """Go back to the last good model; the first widths have none and are trained on, up to the last epoch."""
        if self._good is None:
            if self.epochs_done == self._recipe.epochs:
                self._leave_off("the accuracy target was not met at the first widths")
            return
        if last_call and self.epochs_done < self._recipe.epochs and self._good.stage < self._stage:
            # A last chance to reach the target at the present widths.
            return
        self._take(self._good)
        self._leave_off("the accuracy target was missed")

    def _leave_off(self, reason: str) -> None:
        self._shrinking, self._ended = False, reason

    def _shrink(self) -> bool:
        recipe, network = self._recipe, self.network
        before = (network.widths, network.channels())
        if recipe.quantize:
            densities = network.densities()
            own = {
                layer.name: network.widths[layer.name]
                if layer.fixed or layer.name not in densities
                else next_width(network.widths[layer.name], densities[layer.name], recipe.least_bits, recipe.pim)
                for layer in network.layers
            }
            network.set_widths({layer.name: own[layer.follows or layer.name] for layer in network.layers})
        if recipe.prune:
            prune_by_density(network, self._optimizer)
        return (network.widths, network.channels()) != before

    def finish(self) -> None:
        """Leave the result in the network: the present model, or the last good one where this never met its target."""
        if self._good is not None and self._shrinking and self._good.stage < self._stage:
            self._take(self._good)
            self._leave_off("the accuracy target was missed")

    def _tensors(self) -> dict[str, Tensor]:
        """Return parameters, buffers and Adam's moments under flat names."""
        tensors = {f"model.{name}": value.detach() for name, value in self.network.graph.state_dict().items()}
        for name, parameter in self.network.graph.named_parameters():
            for moment in _MOMENTS:
                if moment in self._optimizer.state[parameter]:
                    tensors[f"adam.{moment}.{name}"] = self._optimizer.state[parameter][moment]
        return tensors

    def _snapshot(self) -> _Good:
        tensors = {name: tensor.clone() for name, tensor in self._tensors().items()}
        return _Good(tensors, self.network.widths, self.network.channels(), self._stage)

    def _take(self, model: _Good) -> None:
        """Go on from ``model``: a network of its shape with its tensors and moments."""
        self.network, self._optimizer = self._built()
        prune_to(self.network, model.channels)
        self.network.set_widths(model.widths)
        graph = self.network.graph
        graph.load_state_dict(
            {n.removeprefix("model."): tensor for n, tensor in model.tensors.items() if n.startswith("model.")}
        )
        for name, parameter in graph.named_parameters():
            moments = {
                # Adam counts its steps on the CPU.
                moment: model.tensors[f"adam.{moment}.{name}"].clone().to("cpu" if moment == "step" else self._device)
                for moment in _MOMENTS
                if f"adam.{moment}.{name}" in model.tensors
            }
            if moments:
                self._optimizer.state[parameter] = moments
        self._stage = model.stage

    def state(self) -> dict[str, Tensor]:
        """Return the present model and the last good one."""
        tensors = {f"now.{name}": tensor for name, tensor in self._tensors().items()}
        if self._good is not None:
            tensors |= {f"good.{name}": tensor for name, tensor in self._good.tensors.items()}
        return tensors

    def header(self) -> dict[str, Any]:
        """Return what a checkpoint's header says of the way so far."""
        good = self._good
        return {
            "epochs_done": self.epochs_done,
            "history": self._history,
            "stage": self._stage,
            "shrinking": self._shrinking,
            "ended": self._ended,
            "best": self._best,
            "widths": self.network.widths,
            "channels": self.network.channels(),
            "good": good and {"widths": good.widths, "channels": good.channels, "stage": good.stage},
        }

    def restore(self, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
        """Take up what ``state`` and ``header`` wrote."""

        def part(prefix: str) -> dict[str, Tensor]:
            return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}

        self._take(_Good(part("now."), header["widths"], header["channels"], header["stage"]))
        self.epochs_done = int(header["epochs_done"])
        self._history = [self._entry(**entry) for entry in header["history"]]
        self._shrinking, self._ended = bool(header["shrinking"]), str(header["ended"])
        self._best = float(header["best"])
        if header["good"] is not None:
            self._good = _Good(tensors=part("good."), **header["good"])

    def checkpoint(self) -> bytes:
        """Return the network's own tensors (safetensors), with its channels where it was pruned."""
        channels = self.network.channels()
        pruned = channels != {shape.name: shape.outputs for shape in self._baseline}
        tensors = {name: value.cpu().contiguous() for name, value in self.network.network_state().items()}
        return save(tensors, metadata=channel_metadata(channels if pruned else None))

    def log(self) -> str:
        """Return the history as CSV, a line an epoch and layer."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow((*_FIELDS[:5], "layer", "bits", "channels", "density"))
        for entry in self._history:
            common = [entry[field] for field in _FIELDS[:5]]
            for layer, bits in entry["widths"].items():
                density = entry["densities"].get(layer, "")
                writer.writerow((*common, layer, bits, entry["channels"][layer], density))
        return text.getvalue()

    def summary(self) -> dict[str, Any]:
        """Return what the run came to: layers, stages, reduction, training complexity, energy."""
        network = self.network
        shapes, widths = network.shapes(), list(network.widths.values())
        energy, before = network_energy(shapes, widths), baseline_energy(self._baseline)
        complexity = training_complexity([entry["mac_reduction"] for entry in self._history])
        return {
            "accuracy_selection": self._history[-1]["accuracy"] if self._history[-1]["stage"] == self._stage else None,
            "ended": self._ended,
            "stages": self._stages(),
            "layers": [
                {
                    "name": shape.name,
                    "bits": bits,
                    "pim_bits": pim_width(bits),
                    "channels": shape.outputs,
                    "macs": shape.macs,
                    "analytic_uJ": analytic,
                    "pim_uJ": pim,
                }
                for shape, bits, analytic, pim in zip(shapes, widths, energy.analytic, energy.pim, strict=True)
            ],
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "mac_reduction": self._reduction(),
            "training_complexity": {
                "epochs": self.epochs_done,
                "absolute": complexity,
                "relative": complexity / self.epochs_done,
            },
            "energy_uJ": {
                "analytic": energy.analytic_total,
                "analytic_16bit": before.analytic_total,
                "analytic_ratio": before.analytic_total / energy.analytic_total,
                "pim": energy.pim_total,
                "pim_16bit": before.pim_total,
                "pim_ratio": before.pim_total / energy.pim_total,
            },
        }

    def _stages(self) -> list[dict[str, Any]]:
        """Return the last epoch of every run of epochs at the same widths, with the number of epochs of that run."""
        runs = [list(run) for _, run in groupby(self._history, lambda entry: entry["stage"])]
        return [{**run[-1], "epochs": len(run)} for run in runs]


def _codec_recipe(widths: dict[str, int], method: str) -> str:
    """Return a recipe for `actcodec learn`: every site at the width that it is read at, 8 at most."""
    lines = [f"# Widths of activation-density training, {method}: every site as it is read, 8 bits at most."]
    lines += ['allocation = "density"', 'transform = "identity"', "", "[density_widths]"]
    lines += [f'"{site}" = {min(8, bits)}' for site, bits in widths.items()]
    return "\n".join(lines) + "\n"


@torch.no_grad()
def _accuracy(network: DensityNetwork, spec: NetworkSpec, images: Dataset) -> float:
    network.eval()
    hits = 0
    for start in range(0, len(images), _EVALUATION_BATCH):
        part = images.images[start : start + _EVALUATION_BATCH]
        x = normalised(part, spec.mean, spec.std).to(next(network.parameters()).device)
        predicted = network(x).argmax(1).cpu().numpy()
        hits += int((predicted == images.labels[start : start + _EVALUATION_BATCH]).sum())
    return hits / len(images)
