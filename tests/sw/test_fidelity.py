import math

import pytest
import torch

from actcodec.fidelity import Fidelity, agreement_interval
from actcodec.learn.divergence import kl_divergence


def test_batches_add_up_to_what_the_whole_gives() -> None:
    generator = torch.Generator().manual_seed(0)
    original = torch.randn(40, 7, generator=generator)
    logits = original + 0.5 * torch.randn(40, 7, generator=generator)
    labels = torch.randint(0, 7, (40,), generator=generator)
    found = Fidelity()
    for part in torch.split(torch.arange(40), 16):
        found.add(logits[part], original[part], labels[part])
    assert found.images == 40
    assert found.correct == int((logits.argmax(1) == labels).sum())
    assert 0 < found.agreement == int((logits.argmax(1) == original.argmax(1)).sum()) < 40
    assert found.divergence == pytest.approx(float(kl_divergence(original, logits).mean()))
    ratio = float(original.square().sum() / (original - logits).square().sum())
    assert found.logit_sqnr == pytest.approx(10 * math.log10(ratio))


def test_equal_outputs_have_no_noise_to_compare_with() -> None:
    found = Fidelity()
    found.add(torch.eye(3), torch.eye(3), torch.arange(3))
    assert found.logit_sqnr is None and found.agreement == found.correct == 3


def test_the_interval_is_that_of_published_tables() -> None:
    # Newcombe, Statistics in Medicine 1998, table I, method 3: 81 of 263 and 0 of 20.
    assert agreement_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert agreement_interval(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)
    low, high = agreement_interval(250, 250)
    assert 0.98 < low < high == pytest.approx(1)
