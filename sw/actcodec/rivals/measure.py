"""Accuracy and size of a network whose sites go through coders of variable length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from actcodec.data import Dataset
from actcodec.learn.batches import input_batches
from actcodec.learn.divergence import kl_divergence
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
    correct = agreement = start = 0
    divergence = 0.0
    for x in input_batches(network, dataset.images, _BATCH, "measuring", progress):
        logits = sited(x, lambda site, tensor: coders[site](tensor))
        batch = slice(start, start + len(x))
        labels = torch.from_numpy(dataset.labels[batch])
        start += len(x)
        correct += int((logits.argmax(1) == labels).sum())
        agreement += int((logits.argmax(1) == expected[batch].argmax(1)).sum())
        divergence += float(kl_divergence(expected[batch], logits).sum())
    return Measurement(start, correct, divergence / start, tuple(coder.bits for coder in coders), agreement)
