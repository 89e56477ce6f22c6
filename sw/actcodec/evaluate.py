"""Accuracy and divergence of a network over images: uncompressed, with 8-bit sites, or through the golden model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from actcodec.activations import FoldedTables, folded_indices, site_taps, stored_patches
from actcodec.data import Dataset
from actcodec.errors import ActcodecError
from actcodec.fidelity import Fidelity
from actcodec.learn.batches import input_batches
from actcodec.networks import Network, sited_network
from actcodec.tables import Tables

Mode = Literal["float", "int8", "golden"]
MODES: tuple[Mode, ...] = ("float", "int8", "golden")

_BATCH = 100


@dataclass(frozen=True)
class Evaluation:
    """``correct`` of ``images`` images, and the mean KL divergence (nats) from the float network's output."""

    mode: str
    weights: str
    images: int
    correct: int
    divergence: float
    agreement: int
    """Images that get the same class as from the float network."""
    logit_sqnr: float | None
    """Of the logits, in dB (`Fidelity`); None where nothing differs."""

    @property
    def accuracy(self) -> float:
        """Share of correct images, 0…1."""
        return self.correct / self.images


@torch.no_grad()
def float_logits(network: Network, dataset: Dataset, progress: bool = False) -> Tensor:
    """Return the logits of the uncompressed ``network`` on ``dataset``, (N, classes)."""
    sited = sited_network(network)
    return torch.cat([sited(x) for x in input_batches(network, dataset.images, _BATCH, "reference", progress)])


@torch.no_grad()
def evaluate(
    network: Network,
    dataset: Dataset,
    mode: Mode = "golden",
    *,
    tables: Tables | None = None,
    folded: FoldedTables | None = None,
    weights: str = "float",
    progress: bool = True,
    expected: Tensor | None = None,
) -> Evaluation:
    """Run ``network`` over ``dataset`` and compare with the labels and with the float network.

    The latter's logits are ``expected`` (N, classes) where they are given: those of what ``network`` was before its
    weights were trained, or simply known already.

    ``float`` leaves activations alone; ``int8`` rounds every site to the reference bytes of ``tables``; ``golden``
    sends every site through the integer golden model: encode, the real bytes of the stream, decode. ``weights`` is
    ``float`` or ``w8``. ``folded`` are the tables of the sites that ``tables`` lack; ``golden`` computes these in
    integers from the bytes of the site before.
    Raises ActcodecError where mode, data set or tables do not go with the network.
    """
    if mode not in MODES:
        raise ActcodecError("mode", f"{mode!r} is unknown; known: {', '.join(MODES)}")
    if not len(dataset) or dataset.name != network.dataset:
        raise ActcodecError(
            "dataset", f"{len(dataset)} images of {dataset.name!r}; {network.name} needs {network.dataset!r}"
        )
    plain = sited_network(network)
    orders = tables.orders if tables is not None and mode != "float" else {}
    indices = folded_indices(plain, folded) if mode != "float" else ()
    patches = stored_patches(plain.sites, tables, folded) if mode != "float" else {}
    unchanged = weights == "float" and not orders and not indices and not patches
    sited = plain if unchanged else sited_network(network, weights, orders, indices, patches)
    taps = None if mode == "float" else site_taps(tables, network, sited, coded=mode == "golden", folded=folded)
    found = Fidelity()
    for x in input_batches(network, dataset.images, _BATCH, f"evaluating {mode}", progress):
        batch = slice(found.images, found.images + len(x))
        original = plain(x) if expected is None else expected[batch]
        logits = sited(x) if taps is None else sited(x, lambda index, tensor: taps[index](tensor))
        found.add(logits, original, torch.from_numpy(dataset.labels[batch]))
    return Evaluation(mode, weights, found.images, found.correct, found.divergence, found.agreement, found.logit_sqnr)
