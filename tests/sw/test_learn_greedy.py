"""Greedy dimension reduction: the walk, its log, and taking it up again."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from actcodec.errors import ActcodecError
from actcodec.export import integer_tables
from actcodec.learn import Plan, learn, load_recipe, plan_sha256
from actcodec.learn.allocation.greedy import Step
from actcodec.params import CodecParams
from support.learning import QUICK, network, quick_plan, training

PURE = {"allocation": "greedy", "widths": "eight"}
MIXED = {"allocation": "greedy", "widths": "site"}


def test_the_log_tells_every_step() -> None:
    steps: list[Step] = []
    plan = quick_plan(6.5, **PURE, report=steps.append)
    assert plan.bpv_stream <= 6.5
    assert steps[-1].bits_per_value == pytest.approx(plan.bpv_stream)
    assert {step.width for step in steps} == {8}
    assert all(step.bits_saved > 0 and step.measurements > 0 for step in steps)
    # A loss after a step is the one before and the step's own change.
    for before, after in pairwise(steps):
        assert after.loss == pytest.approx(before.loss + after.loss_change, abs=1e-6)
        assert after.bits_per_value < before.bits_per_value
    assert {site.info.transform for site in plan.sites} == {"project"}
    for site in plan.sites:
        assert set(site.arrays.width.tolist()) == {8}


def test_mixed_widths_are_one_a_site() -> None:
    plan = quick_plan(3.5, **MIXED)
    assert plan.bpv_stream <= 3.5
    widths = [set(site.arrays.width[site.arrays.width > 0].tolist()) for site in plan.sites]
    assert all(len(found) == 1 for found in widths)
    assert len(set.union(*widths)) > 1
    projected = quick_plan(3.5, **MIXED, unprojected=False)
    assert {site.info.transform for site in projected.sites} == {"project"}


def test_a_lower_target_goes_on_with_the_walk(tmp_path: Path) -> None:
    log = tmp_path / "greedy.json"
    high = quick_plan(6.8, **PURE, greedy_log=log)
    steps = len(json.loads(log.read_text())["steps"])
    low = quick_plan(6.2, **PURE, greedy_log=log)
    assert len(json.loads(log.read_text())["steps"]) > steps
    assert plan_sha256(low) == plan_sha256(quick_plan(6.2, **PURE))
    assert plan_sha256(high) == plan_sha256(quick_plan(6.8, **PURE))


def test_an_interrupted_walk_ends_in_the_same_plan(tmp_path: Path) -> None:
    log = tmp_path / "greedy.json"

    def stop(step: Step) -> None:
        if step.bits_per_value < 6.8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quick_plan(6.2, **PURE, greedy_log=log, report=stop)
    assert plan_sha256(quick_plan(6.2, **PURE, greedy_log=log)) == plan_sha256(quick_plan(6.2, **PURE))


def test_a_target_that_was_passed_gives_what_it_gave_on_the_way(tmp_path: Path) -> None:
    log = tmp_path / "greedy.json"
    ways = {bits: plan_sha256(quick_plan(bits, **PURE)) for bits in (7.7, 7.2)}
    for bits in (7.2, 7.7, 7.2):
        assert plan_sha256(quick_plan(bits, **PURE, greedy_log=log)) == ways[bits]


def test_the_log_of_another_walk_is_refused(tmp_path: Path) -> None:
    log = tmp_path / "greedy.json"
    quick_plan(7.5, **PURE, greedy_log=log)
    with pytest.raises(ActcodecError, match=r"greedy\.json: is the log of another greedy run"):
        quick_plan(7.5, **MIXED, greedy_log=log)


def test_a_target_below_the_smallest_streams_is_refused() -> None:
    with pytest.raises(ActcodecError, match=r"target_bits: cannot be reached; the smallest streams take"):
        quick_plan(0.05, **PURE, greedy_images=4)


def test_rounds_take_turns_with_training() -> None:
    plan = quick_plan(3.0, **MIXED, rounds=2, epochs=1, rate=1e-3)
    assert plan.bpv_stream <= 3.0
    assert plan_sha256(plan) == plan_sha256(quick_plan(3.0, **MIXED, rounds=2, epochs=1, rate=1e-3))
    assert plan_sha256(plan) != plan_sha256(quick_plan(3.0, **MIXED, epochs=1, rate=1e-3))


def test_the_best_measured_construction_is_taken() -> None:
    plan = quick_plan(3.0, transform="best")
    assert plan.bpv_stream <= 3.0
    assert plan_sha256(plan) == plan_sha256(quick_plan(3.0, transform="best"))


def test_uniform_and_equal_variance_and_fixed_width() -> None:
    uniform = quick_plan(4.0, allocation="uniform")
    assert uniform.bpv_stream == pytest.approx(4.0, abs=0.05)
    for site in uniform.sites:
        for block in site.info.blocks:
            (c0, c1), (k0, k1) = block.channels, block.coefficients
            assert 2 * (k1 - k0) == c1 - c0
    variance = quick_plan(4.0, allocation="equal-variance")
    assert variance.bpv_stream <= 4.0
    kept = [len(site.arrays.width) / site.info.channels for site in variance.sites]
    assert max(kept) > min(kept)
    fixed = quick_plan(3.0, allocation="fixed-width", transform="identity")
    assert all((site.arrays.width == 3).all() for site in fixed.sites)
    raw = quick_plan(8.0, allocation="raw")
    assert {site.info.transform for site in raw.sites} == {"bypass"}
    with pytest.raises(ActcodecError, match="leave a block of site conv1 no coefficient"):
        quick_plan(0.3, allocation="uniform")


def test_channels_in_an_order_of_their_own() -> None:
    plan = quick_plan(3.0, permute=True)
    assert plan.orders
    for index, order in plan.orders.items():
        site = plan.sites[index]
        assert site.info.channels > 16
        np.testing.assert_array_equal(np.sort(order), np.arange(site.info.channels))
    assert plan.provenance.checkpoint_sha256 == network().checkpoint_sha256


def test_a_block_may_hold_all_channels() -> None:
    recipe = QUICK.model_copy(update={"allocation": "uniform"})
    dense = learn(network(), training(), 3.0, recipe=recipe, params=CodecParams(block=64, acc_bits=28), progress=False)
    assert all(len(site.info.blocks) == 1 for site in dense.sites)
    share = {block: _share(plan) for block, plan in ((64, dense), (16, quick_plan(3.0, allocation="uniform")))}
    assert share[64] > share[16] > 0


def _share(plan: Plan) -> float:
    return integer_tables(plan, max_mac_share=9).provenance.codec_mac_share


def test_methods_without_tables_are_not_learned() -> None:
    with pytest.raises(ActcodecError, match="allocation = 'cat' makes no tables; measure it by `actcodec sweep`"):
        learn(network(), training(), 3.0, recipe=load_recipe("cat+tuned"), progress=False)
