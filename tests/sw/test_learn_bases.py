"""The construction of a site's basis is the one that disturbs the whole network least, found the long way round."""

from __future__ import annotations

import pytest
import torch
from tests.support.learning import network, split
from torch import nn

from actcodec.learn.allocation.choice import Choice
from actcodec.learn.allocation.waterfill import site_choices
from actcodec.learn.bases import CANDIDATES, choose_bases
from actcodec.learn.batches import input_batches
from actcodec.learn.build import build_site
from actcodec.learn.calibrate import calibrate
from actcodec.learn.divergence import kl_divergence
from actcodec.learn.draft import StreamSettings
from actcodec.learn.option import projection
from actcodec.learn.quantize8 import choose_ranges
from actcodec.learn.tuning.layer import CodecLayer
from actcodec.networks import sited_network
from actcodec.networks.stages import StagedNetwork
from actcodec.params import CodecParams

SETTINGS = StreamSettings(CodecParams(), "position-major", None, 64)
TARGET, BATCH = 2.0, 16


def coded(choice: Choice) -> nn.Module:
    return CodecLayer(build_site(choice, SETTINGS)).requires_grad_(False)


def test_the_basis_of_every_site_is_the_least_harmful_one() -> None:
    sited = sited_network(network())
    images = split().pool.images[:48]
    ranges = choose_ranges(sited, input_batches(network(), images, 16, "ranges", False), 0)
    batches = input_batches(network(), images, 16, "calibration", False)
    statistics = calibrate(sited, ranges, batches, images=48, block=16, seed=0, positions=1024)
    x = network().inputs(split().selection.images[:24])
    chosen = choose_bases(
        StagedNetwork(sited), statistics, [x[:16], x[16:]], TARGET, BATCH, SETTINGS, coded, progress=False
    )
    found = set()
    with torch.no_grad():
        reference = sited(x)
        for site, option in zip(statistics, chosen, strict=True):
            harm = {}
            for basis in CANDIDATES:
                budget = TARGET * site.site.values / 8
                choices = [
                    c for c in site_choices(projection(site, basis), BATCH, SETTINGS) if c.stream_bytes <= budget
                ]
                layer = coded(min(choices, key=lambda c: c.loss))
                logits = sited(x, lambda i, t, n=site.site.index, layer=layer: layer(t) if i == n else t)
                harm[basis] = float(kl_divergence(reference, logits).sum())
            assert harm[option.name] == pytest.approx(min(harm.values()), rel=1e-4)
            assert len(set(harm.values())) > 1
            found.add(option.name)
    # No one construction is the best everywhere, or measuring would be for nothing.
    assert len(found) > 1
