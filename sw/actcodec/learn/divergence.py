"""Kullback–Leibler divergence between the outputs of two networks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def kl_divergence(reference: Tensor, logits: Tensor) -> Tensor:
    """Return Σ_y p_y·(log p_y − log q_y) of every row, in nats: p from ``reference``, q from ``logits``, N×classes."""
    log_p, log_q = functional.log_softmax(reference, 1), functional.log_softmax(logits, 1)
    return torch.sum(log_p.exp() * (log_p - log_q), 1)
