"""What blocks of several pixels could save, by theory: bits at the loss that blocks of 16 channels have at a rate.

    python benchmarks/patches.py [--images 400]

writes benchmarks/results/patches.json. A coefficient is taken for Gaussian: N·s·λ·2^(−2b) of loss at b bits, with the
eigenvalues s·λ of the covariance weighted with Fisher information, and bits go where they are worth most (reverse
water-filling over all sites). Real activations are sparse behind a ReLU and real widths whole, so that less is left of
it; docs/joint.md has what was measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from actcodec.data import load_dataset, split_training
from actcodec.files import write_json
from actcodec.learn.calibrate import block_slices, fisher_direction
from actcodec.learn.pca import ridged
from actcodec.networks import load_network, sited_network
from actcodec.networks.patches import patches_that_fit

RESULT = Path(__file__).parent / "results" / "patches.json"
NETWORK, BATCH, SIDE = "cifar10-resnet20", 100, 2
PIXELS = SIDE**2
RATES = (3.0, 2.5, 2.0, 1.5)
# Rows of all combinations of signs: sum, differences of columns, of rows, of diagonals.
HAAR = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2

Matrix = NDArray[np.float64]
Places = list[int]


class _Moments:
    """Covariance and Fisher information of the 4·C values of a patch, channel by channel, four pixels each."""

    def __init__(self, channels: int) -> None:
        self.channels, self._count = channels // PIXELS, 0
        self._sum, self._squares = np.zeros(channels), np.zeros((channels, channels))
        self._fisher = np.zeros((channels, channels))

    def add(self, values: Tensor, gradients: Tensor) -> None:
        x, g = (t.permute(0, 2, 3, 1).reshape(-1, t.shape[1]).double().numpy() for t in (values, gradients))
        self._count += len(x)
        self._sum += x.sum(0)
        self._squares += x.T @ x
        self._fisher += g.T @ g

    def finish(self) -> tuple[Matrix, Matrix]:
        mean = self._sum / self._count
        return self._squares / self._count - np.outer(mean, mean), self._fisher / self._count


def _by_pixel(channels: int) -> list[Places]:
    return [[PIXELS * c + p for c in range(channels)] for p in range(PIXELS)]


def _blocks_of_pixels(size: int) -> Callable[[int], list[Places]]:
    """Blocks of ``size`` channels of one pixel."""
    return lambda channels: [pixel[s] for pixel in _by_pixel(channels) for s in block_slices(channels, size)]


def _blocks_of_patches(size: int) -> Callable[[int], list[Places]]:
    """Blocks of ``size`` places: all pixels of size/4 channels."""
    return lambda channels: [list(range(s.start, s.stop)) for s in block_slices(PIXELS * channels, size)]


STRUCTURES: dict[str, tuple[Callable[[int], list[Places]], bool]] = {
    "16 channels": (_blocks_of_pixels(16), False),
    "32 channels": (_blocks_of_pixels(32), False),
    "4 channels of 2×2 pixels": (_blocks_of_patches(16), False),
    "8 channels of 2×2 pixels": (_blocks_of_patches(32), False),
    "16 channels of 2×2 pixels": (_blocks_of_patches(64), False),
    "16 channels of a 2×2 Haar band": (_blocks_of_pixels(16), True),
}
"""By name: the blocks, and whether sums and differences of the pixels are taken before."""


def _eigenvalues(covariance: Matrix, fisher: Matrix) -> Matrix:
    values, vectors = np.linalg.eigh(ridged(fisher))
    root = (vectors * np.sqrt(values)) @ vectors.T
    found: Matrix = np.linalg.eigvalsh(root @ covariance @ root)
    return np.maximum(found, np.finfo(np.float64).tiny)


@dataclass(frozen=True, eq=False)
class _Spectrum:
    """Loss of every coefficient without any bit, (n,), and the number of positions that have it, (n,)."""

    values: Matrix
    counts: Matrix

    def bits(self, level: float) -> float:
        """Bits a value where every coefficient above ``level`` is brought down to it."""
        wanted = np.maximum(0, 0.5 * np.log2(self.values / level))
        return float((self.counts * wanted).sum() / self.counts.sum())

    def loss(self, level: float) -> float:
        """What is lost then."""
        return float((self.counts * np.minimum(self.values, level)).sum())

    def loss_at(self, rate: float) -> float:
        """Loss at ``rate`` bits a value."""
        return self.loss(_level(lambda level: self.bits(level) > rate))

    def bits_at(self, loss: float) -> float:
        """Bits a value at ``loss``."""
        return self.bits(_level(lambda level: self.loss(level) < loss))


def _level(is_low: Callable[[float], bool]) -> float:
    """Return the level up to which ``is_low`` is true: halving of the exponent."""
    low, high = -80.0, 20.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if is_low(10**middle) else (low, middle)
    return float(10**low)


def _spectrum(moments: Sequence[_Moments], positions: Sequence[int], structure: str) -> _Spectrum:
    """Return the spectrum of all sites under a structure."""
    blocks, haar = STRUCTURES[structure]
    values: list[Matrix] = []
    counts: list[Matrix] = []
    for site, count in zip(moments, positions, strict=True):
        covariance, fisher = site.finish()
        if haar:
            turn = np.kron(np.eye(site.channels), HAAR)
            covariance, fisher = turn @ covariance @ turn.T, turn @ fisher @ turn.T
        for places in blocks(site.channels):
            cut = np.ix_(places, places)
            values.append(_eigenvalues(covariance[cut], fisher[cut]))
            counts.append(np.full(len(places), float(count)))
    return _Spectrum(np.concatenate(values), np.concatenate(counts))


def main() -> None:
    """Collect the moments and compare the structures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=400)
    images: int = parser.parse_args().images
    torch.set_num_threads(1)
    network = load_network(NETWORK)
    patches = patches_that_fit(sited_network(network).sites, SIDE, 1 << 16)
    sited = sited_network(network, patches=patches)
    moments = [_Moments(site.channels) for site in sited.sites]
    generator = torch.Generator().manual_seed(0)
    pool = split_training(load_dataset(network.dataset, "train")).pool.images[:images]
    for start in range(0, images, BATCH):
        stored: dict[int, Tensor] = {}

        def keep(index: int, tensor: Tensor, stored: dict[int, Tensor] = stored) -> Tensor:
            tensor = tensor if tensor.requires_grad else tensor.detach().requires_grad_()
            stored[index] = tensor
            return tensor

        logits = sited(network.inputs(pool[start : start + BATCH]), keep)
        order = sorted(stored)
        found = torch.autograd.grad(
            logits, [stored[index] for index in order], fisher_direction(logits.detach(), generator)
        )
        for index, gradients in zip(order, found, strict=True):
            moments[index].add(stored[index].detach(), gradients)
    positions = [site.height * site.width for site in sited.sites]
    spectra = {name: _spectrum(moments, positions, name) for name in STRUCTURES}
    losses = [spectra["16 channels"].loss_at(rate) for rate in RATES]
    rows = [{name: round(spectrum.bits_at(loss), 3) for name, spectrum in spectra.items()} for loss in losses]
    content = {
        "command": "python benchmarks/patches.py",
        "network": NETWORK,
        "images": images,
        "bits_at_equal_loss": rows,
    }
    write_json(RESULT, content)
    for row in rows:
        print(row)


if __name__ == "__main__":
    main()
