"""How close a compressed network's outputs are to the uncompressed one's, and to the labels."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from actcodec.learn.divergence import kl_divergence


@dataclass
class Fidelity:
    """Running sums over batches of logits N×classes; ``original`` is what the uncompressed network gives."""

    images: int = 0
    correct: int = 0
    agreement: int = 0
    """Images that get the same class as from the uncompressed network."""
    divergence_sum: float = 0.0
    signal: float = 0.0
    noise: float = 0.0

    def add(self, logits: Tensor, original: Tensor, labels: Tensor) -> None:
        """Add a batch."""
        predicted = logits.argmax(1)
        self.images += len(logits)
        self.correct += int((predicted == labels).sum())
        self.agreement += int((predicted == original.argmax(1)).sum())
        self.divergence_sum += float(kl_divergence(original, logits).sum())
        self.signal += float(original.double().square().sum())
        self.noise += float((original.double() - logits.double()).square().sum())

    @property
    def divergence(self) -> float:
        """Mean KL divergence from the uncompressed network's output, in nats."""
        return self.divergence_sum / self.images

    @property
    def logit_sqnr(self) -> float | None:
        """10·log₁₀(Σ l²/Σ (l − l̂)²) over the logits l of all images, in dB; None where nothing differs."""
        return 10 * math.log10(self.signal / self.noise) if self.noise and self.signal else None


def agreement_interval(agreement: int, images: int) -> tuple[float, float]:
    """Return the 95 % interval of the share of images that agree (Wilson, JASA 1927).

    (p + z²/2n ± z√(p(1 − p)/n + z²/4n²))/(1 + z²/n), z = 1.96; it stays inside 0…1 where the share is near 1.
    """
    z = 1.959964
    share, wide = agreement / images, z * z / images
    half = z * math.sqrt(share * (1 - share) / images + wide / (4 * images))
    return (share + wide / 2 - half) / (1 + wide), (share + wide / 2 + half) / (1 + wide)
