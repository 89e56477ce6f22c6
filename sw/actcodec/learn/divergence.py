"""Kullback–Leibler divergence between the outputs of two networks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def kl_divergence(reference: Tensor, logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Return T²·Σ_y p_y·(log p_y − log q_y) of every row of N×classes, in nats.

    p and q are the softmax of ``reference``/T and ``logits``/T, T = ``temperature``; T² keeps gradients at the size
    that they have at T = 1 (Hinton et al., arXiv 1503.02531).
    """
    log_p, log_q = (functional.log_softmax(logit / temperature, 1) for logit in (reference, logits))
    return temperature**2 * torch.sum(log_p.exp() * (log_p - log_q), 1)
