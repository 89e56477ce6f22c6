"""Search for widths: the loops against plain torch, the width models, the budget, the steering, and whole runs."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from actcodec.errors import ActcodecError
from actcodec.learn import LearnRecipe, Plan, plan_sha256
from actcodec.learn.allocation.choice import Choice
from actcodec.learn.allocation.partition import GroupPrices, partition
from actcodec.learn.build import build_site
from actcodec.learn.draft import StreamSettings
from actcodec.learn.option import projection
from actcodec.learn.search.budget import whole_widths
from actcodec.learn.search.layer import SearchLayer
from actcodec.learn.search.plot import draw_trajectory
from actcodec.learn.search.steering import BitSearch
from actcodec.learn.search.widths import MODELS, FractionalWidths, GroupWidths, WidthModel, WindowWidths
from actcodec.learn.tuning import trainer
from actcodec.learn.tuning.layer import CodecLayer
from actcodec.params import CodecParams
from support.learning import quick_plan
from support.statistics import rectified_site

torch.set_num_threads(1)
SETTINGS = StreamSettings(CodecParams())
SEARCH: dict[str, Any] = {
    "allocation": "partition",
    "group_bits": 64.0,
    "search_epochs": 2,
    "search_images": 64,
    "rate": 2e-3,
    "weights": True,
    "weight_rate": 1e-3,
}
KINDS: list[WidthModel] = ["window", "fractional", "inferred"]


def choice_of(target: float = 2.0, seed: int = 0, identity: bool = False) -> Choice:
    site = rectified_site(channels=20, side=6, seed=seed)
    option = projection(site, "identity" if identity else "fisher")
    (choice,) = partition([(option,)], target, 16, GroupPrices(group_bits=30.0), SETTINGS)
    return choice


def layer_of(kind: WidthModel, target: float = 2.0, seed: int = 0, identity: bool = False) -> SearchLayer:
    return SearchLayer(choice_of(target, seed, identity), SETTINGS, MODELS[kind], dynamic=True)


def activation(seed: int = 1) -> Tensor:
    sample = rectified_site(channels=20, side=6).sample[:108].astype(np.float32)
    rng = np.random.default_rng(seed)
    x = (sample + rng.normal(0, 4, sample.shape) - 3) * 0.1
    return torch.from_numpy(x.astype(np.float32)).reshape(3, 6, 6, 20).permute(0, 3, 1, 2)


@pytest.mark.parametrize("identity", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_loops_compute_the_mixture_and_its_gradients(kind: WidthModel, identity: bool) -> None:
    layer = layer_of(kind, identity=identity)
    layer.widths.lower(0.3)
    x = activation().requires_grad_()
    upstream = torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
    out = layer(x)
    (out * upstream).sum().backward()
    ours = {name: p.grad.clone() for name, p in layer.named_parameters() if p.grad is not None}
    layer.zero_grad()
    # In double precision plain torch operations compute it.
    exact_x = x.detach().double().requires_grad_()
    exact = layer(exact_x)
    (exact * upstream.double()).sum().backward()
    same = (out.double() - exact).abs() < 1e-4
    assert same.double().mean() > 0.98
    assert x.grad is not None and exact_x.grad is not None
    assert (x.grad.double() - exact_x.grad)[same].abs().median() < 1e-4
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None, name
        size = parameter.grad.abs().max().clamp_min(1e-3)
        assert ((ours[name] - parameter.grad).abs() / size).max() < 0.05, name


def test_the_gradient_of_a_range_comes_from_what_it_cuts_off() -> None:
    layer = layer_of("inferred", target=1.5)
    with torch.no_grad():
        layer.widths.real -= 1.0
    out = layer(activation())
    ((out - activation()) ** 2).sum().backward()
    grad = layer.widths.real.grad
    assert grad is not None and torch.isfinite(grad).all()
    # More levels at the same step would err less.
    assert float((grad * layer.sizes()).sum()) < 0


@pytest.mark.parametrize("identity", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_start_that_nothing_was_learned_from_is_the_allocation(kind: WidthModel, identity: bool) -> None:
    choice = choice_of(identity=identity)
    layer = SearchLayer(choice, SETTINGS, MODELS[kind], dynamic=True)
    plan, built = layer.to_plan(choice.widths), build_site(choice, SETTINGS)
    assert plan.info == built.info
    for name in ("width", "group", "channel_order"):
        np.testing.assert_array_equal(getattr(plan.arrays, name), getattr(built.arrays, name))
    same = CodecLayer(plan)(activation()) == CodecLayer(built)(activation())
    assert same.double().mean() > 0.99
    assert layer.stream_bytes(choice.widths) == choice.stream_bytes


@pytest.mark.parametrize("kind", KINDS)
def test_lowering_gives_the_bits_that_were_announced(kind: WidthModel) -> None:
    for by in (0.4, -0.7, 2.0, 20.0):
        widths = MODELS[kind](np.array([0, 1, 3, 8]), dynamic=True)
        announced = widths.bits(by).detach()
        widths.lower(by)
        assert torch.allclose(widths.bits(), announced, atol=1e-5)
        assert (announced >= 0).all() and (announced <= 8).all()
    assert (widths.kept() <= 1).all() and float(widths.kept()[0].detach()) < 0.05


def test_windows_slide_to_both_ends_and_stay_there() -> None:
    widths = WindowWidths(np.array([2, 2]), dynamic=True)
    for _ in range(9):
        with torch.no_grad():
            widths.logits.copy_(torch.tensor([[5.0, 0.0, -5.0], [-5.0, 0.0, 5.0]]))
        before = widths.bits().detach()
        widths.move()
        moved = widths.bits().detach() - before
        # The one that comes takes the place of the least likely: nothing jumps.
        assert (moved.abs() < 0.1).all()
    assert widths.lowest.tolist() == [0, 6]
    fixed = WindowWidths(np.array([2]), dynamic=False)
    with torch.no_grad():
        fixed.logits.copy_(torch.tensor([[5.0, 0.0, 0.0]]))
    fixed.move()
    assert fixed.lowest.tolist() == [1]


@pytest.mark.parametrize("kind", ["fractional", "inferred"])
def test_without_dynamic_search_widths_stay_near_their_start(kind: WidthModel) -> None:
    widths = MODELS[kind](np.array([3]), dynamic=False)
    widths.lower(2.5)
    assert float(widths.bits().detach()) == 2.0


def budget_of(layers: list[SearchLayer], bits: float) -> int:
    return int(bits * sum(20 * layer.positions for layer in layers) / 8)


@pytest.mark.parametrize("bits", [0.9, 1.3, 2.0, 3.7])
def test_whole_widths_fit_the_budget_and_use_it(bits: float) -> None:
    layers = [layer_of("fractional", 2.0, seed) for seed in range(3)]
    with torch.no_grad():
        for seed, layer in enumerate(layers):
            assert isinstance(layer.widths, FractionalWidths)
            layer.widths.real += torch.randn(len(layer.widths.real), generator=torch.Generator().manual_seed(seed))
    budget = budget_of(layers, bits)
    widths = whole_widths(layers, budget)
    used = sum(layer.stream_bytes(w) for layer, w in zip(layers, widths, strict=True))
    # A row of 6 positions in words of 64 bits is coarse.
    assert 0.8 * budget <= used <= budget
    for layer, w in zip(layers, widths, strict=True):
        assert w.any()
        for group in range(len(layer.sizes())):
            assert len(np.unique(w[layer.choice.group == group])) <= 1
    with pytest.raises(ActcodecError, match="cannot be reached"):
        whole_widths(layers, 5)


@pytest.mark.parametrize("kind", KINDS)
def test_steering_keeps_to_its_schedule_and_takes_the_common_part_of_the_gradient_out(kind: WidthModel) -> None:
    layers = [layer_of(kind, 3.0, seed) for seed in range(2)]
    values = sum(20 * layer.positions for layer in layers)
    steering = BitSearch(layers, [0.0, 0.0], 0, values, 2.0, rate=0.05, steps=10, reach=0.5, slide_every=2, coldest=0.5)
    start = steering.trajectory[0]["bits"]
    for step in range(1, 11):
        for layer in layers:
            # The same for every bit: nothing is left of it.
            bits = (layer.positions * layer.sizes() * layer.widths.bits()).sum() / values
            for p in layer.widths.parameters():
                p.grad = None
            (-7 * bits).backward()
        before = [p.grad.clone() for layer in layers for p in layer.widths.parameters() if p.grad is not None]
        steering.correct_gradients()
        after = [p.grad for layer in layers for p in layer.widths.parameters()]
        if step == 1:
            for left, given in zip(after, before, strict=True):
                assert left is not None and float(left.norm()) < 1e-4 * float(given.norm())
        steering.after_step()
        wanted = start + (2.0 - start) * min(step / 5, 1)
        assert steering.trajectory[-1]["bits"] == pytest.approx(wanted, abs=0.02)
    assert steering.trajectory[-1]["price"] > 0
    assert len(steering.trajectory) == 11


def test_what_kept_coefficients_cost_pushes_thin_groups_down() -> None:
    layer = layer_of("fractional", 3.0)
    with torch.no_grad():
        layer.widths.real.copy_(torch.linspace(0.2, 5.0, len(layer.widths.real)))
    values = 20 * layer.positions
    steering = BitSearch([layer], [1e3], 0, values, 2.0, rate=0.05, steps=10, reach=0.5, slide_every=2, coldest=0.5)
    (-(layer.positions * layer.sizes() * layer.widths.bits()).sum() / values).backward()
    steering.correct_gradients()
    gradient = layer.widths.real.grad
    assert gradient is not None
    # What is below a bit saves its tables and cycles as it falls; the others rise for it.
    assert float(gradient[0]) > 0 and float(gradient[1:].max()) < 0


@cache
def found(kind: WidthModel) -> tuple[Plan, str]:
    """A searched plan and the log of its search."""
    with TemporaryDirectory() as folder:
        log = Path(folder) / "search.json"
        return quick_plan(1.6, **SEARCH, search=kind, search_log=log), log.read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_a_search_meets_its_target_and_lowers_the_divergence(kind: WidthModel) -> None:
    plan, log = found(kind)
    assert 1.58 <= plan.bpv_stream <= 1.6
    assert plan.provenance.search_images == 64 and plan.weights is not None
    content = json.loads(log)
    assert content["divergence"]["whole"] < content["divergence"]["before"]
    first, last = content["trajectory"][0], content["trajectory"][-1]
    # A window starts as a mixture, with bits of its own.
    assert first["bits"] == pytest.approx(1.6, abs=0.1) and last["bits"] == pytest.approx(1.6, abs=0.01)
    assert [len(w) for w in first["widths"]] == [len(n) for n in content["sizes"]]
    assert len(content["sites"]) == len(content["sizes"]) and first["widths"] != last["widths"]
    widths = np.concatenate([site.arrays.width for site in plan.sites])
    assert len(np.unique(widths)) >= 3
    for site in plan.sites:
        for group in np.unique(site.arrays.group):
            assert len(np.unique(site.arrays.width[site.arrays.group == group])) == 1


def test_the_trajectory_is_drawn(tmp_path: Path) -> None:
    (tmp_path / "search.json").write_text(found("window")[1])
    pictures = []
    for name in ("a.svg", "b.svg"):
        draw_trajectory(tmp_path / "search.json", tmp_path / name)
        pictures.append((tmp_path / name).read_bytes())
    assert pictures[0] == pictures[1] and b"layer1.0.conv1" in pictures[0]


def test_what_is_frozen_stays_frozen() -> None:
    layer = layer_of("fractional")
    layer.freeze_transform()
    layer(activation()).square().sum().backward()
    moved = {name for name, p in layer.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    assert moved == {"doffset", "dstep", "widths.real"}
    plan = quick_plan(1.6, **SEARCH | {"search_projections": False, "weights": False})
    assert plan.weights is None and plan_sha256(plan) != plan_sha256(found("fractional")[0])


@pytest.mark.parametrize("kind", ["window", "inferred"])
def test_a_killed_search_ends_in_the_same_bytes(
    kind: WidthModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = SEARCH | {"search": kind}
    whole, log = found(kind)
    epoch = trainer._Run.epoch

    def stop(self: Any, index: int, progress: bool) -> float:
        if index == 1:
            raise KeyboardInterrupt
        return epoch(self, index, progress)

    state = tmp_path / "plan.resume"
    with monkeypatch.context() as patched:
        patched.setattr(trainer._Run, "epoch", stop)
        with pytest.raises(KeyboardInterrupt):
            quick_plan(1.6, **recipe, state=state)
    resumed = quick_plan(1.6, **recipe, state=state, search_log=tmp_path / "resumed.json")
    assert plan_sha256(resumed) == plan_sha256(whole)
    assert (tmp_path / "resumed.json").read_text() == log


def test_recipes_that_cannot_be_searched_are_refused() -> None:
    with pytest.raises(ValueError, match="search_epochs needs"):
        LearnRecipe(allocation="greedy", search_epochs=1)
    # Water-filling makes no groups whose width could be searched.
    with pytest.raises(ValueError, match="search_epochs needs"):
        LearnRecipe(allocation="waterfill", search_epochs=1)
    with pytest.raises(ValueError, match="nothing to minimise"):
        LearnRecipe(allocation="partition", search_epochs=1, distillation=0)


def test_every_model_is_a_group_widths() -> None:
    assert set(MODELS) == set(KINDS)
    for kind in KINDS:
        assert isinstance(layer_of(kind).widths, GroupWidths)
