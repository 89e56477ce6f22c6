"""The divergence that networks are compared and trained by."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from actcodec.learn.divergence import kl_divergence


def _reference(a: np.ndarray, b: np.ndarray, temperature: float) -> np.ndarray:
    p, q = (np.exp(x / temperature) / np.exp(x / temperature).sum(1, keepdims=True) for x in (a, b))
    return np.asarray(temperature**2 * (p * np.log(p / q)).sum(1))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_divergence_is_its_formula(temperature: float) -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 50, 10)) * 3
    measured = kl_divergence(torch.from_numpy(a), torch.from_numpy(b), temperature).numpy()
    np.testing.assert_allclose(measured, _reference(a, b, temperature), rtol=1e-9)


def test_high_temperature_compares_centred_logits() -> None:
    a, b = torch.from_numpy(np.random.default_rng(1).normal(size=(2, 50, 10)))
    centred = (a - a.mean(1, keepdim=True)) - (b - b.mean(1, keepdim=True))
    squares = centred.square().sum(1) / (2 * a.shape[1])
    np.testing.assert_allclose(kl_divergence(a, b, 1e3).numpy(), squares.numpy(), rtol=1e-2)
