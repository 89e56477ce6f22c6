"""Accuracy and size of a network whose sites go through coders of variable length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from actcodec.data import Dataset
from actcodec.fidelity import Fidelity
from actcodec.learn.batches import input_batches
from actcodec.networks import Network, SitedNetwork

_BATCH = 100


@dataclass(frozen=True)
class ImageStreams:
    """Bits of the streams that one image's tensor was written to.

    ``uncounted`` are those that a coder's published form leaves out (`actcodec.baselines.Coded.uncounted_bits`).
    """

    bits: tuple[int, ...]
    uncounted: int = 0


class StreamCounter:
    """Remembers the size of every image's streams, in the order in which they are written."""

    def __init__(self) -> None:
        self.images: list[ImageStreams] = []

    @property
    def bits(self) -> int:
        """Bits of all streams written so far."""
        return sum(sum(image.bits) for image in self.images)


class SiteCoder(Protocol):
    """A coder of one site. ``bits`` counts the streams written so far, ``images`` has them image by image."""

    images: list[ImageStreams]

    @property
    def bits(self) -> int:
        """Bits of all streams written so far."""

    def __call__(self, activation: Tensor) -> Tensor:
        """Return what readers get for N×C×H×W ``activation``, and add the bits of its streams to ``bits``."""


@dataclass(frozen=True)
class Measurement:
    """``correct`` of ``images`` images, mean KL divergence from the float network (nats), bits of every site in all."""

    images: int
    correct: int
    divergence: float
    bits: tuple[int, ...]
    agreement: int
    """Images that get the same class as from the float network."""
    logit_sqnr: float | None
    """Of the logits, in dB (`Fidelity`); None where nothing differs."""

    @property
    def accuracy(self) -> float:
        """Share of correct images, 0…1."""
        return self.correct / self.images


@torch.no_grad()
def measure(
    network: Network,
    expected: Tensor,
    sited: SitedNetwork,
    coders: Sequence[SiteCoder],
    dataset: Dataset,
    progress: bool = True,
) -> Measurement:
    """Run ``sited``, a coder at every site, over ``dataset``; compare with labels and with ``expected`` logits."""
    found = Fidelity()
    for x in input_batches(network, dataset.images, _BATCH, "measuring", progress):
        logits = sited(x, lambda site, tensor: coders[site](tensor))
        batch = slice(found.images, found.images + len(x))
        found.add(logits, expected[batch], torch.from_numpy(dataset.labels[batch]))
    bits = tuple(coder.bits for coder in coders)
    return Measurement(found.images, found.correct, found.divergence, bits, found.agreement, found.logit_sqnr)
