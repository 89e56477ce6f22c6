"""P4 as an allocation: widths by density, and widths that training found."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from actcodec.density.recipe import DensityRecipe
from actcodec.density.train import train_density
from actcodec.errors import ActcodecError
from actcodec.evaluate import evaluate
from actcodec.export import export_tables
from actcodec.learn import LearnRecipe, Plan, learn, load_recipe
from actcodec.learn.allocation.density import by_density, site_density
from actcodec.learn.calibrate import SiteStatistics, calibrate
from actcodec.learn.draft import StreamSettings
from actcodec.learn.option import projection
from actcodec.learn.quantize8 import choose_ranges
from actcodec.networks import load_network, sited_network
from actcodec.networks.channels import channel_metadata
from actcodec.params import CodecParams
from support.learning import QUICK, network, quick_plan, split, training

PLAIN = {"allocation": "density", "transform": "identity"}
SETTINGS = StreamSettings(CodecParams())


@pytest.fixture(scope="module")
def statistics() -> tuple[SiteStatistics, ...]:
    sited = sited_network(network())
    inputs = [network().inputs(split().pool.images[:48])]
    ranges = choose_ranges(sited, inputs, 0)
    return calibrate(sited, ranges, inputs, images=48, block=16, seed=0, positions=1024)


def widths(plan: Plan) -> dict[str, int]:
    """One width a site, every channel at it."""
    assert {site.info.transform for site in plan.sites} == {"identity"}
    for site in plan.sites:
        assert len(set(site.arrays.width.tolist())) == 1
    return {site.info.name: int(site.arrays.width[0]) for site in plan.sites}


def test_density_is_the_share_of_bytes_that_are_not_zero(statistics: tuple[SiteStatistics, ...]) -> None:
    for site in statistics:
        assert site_density(site) == np.count_nonzero(site.sample != site.range.zero) / site.sample.size
        assert 0.05 < site_density(site) < 0.95


def test_widths_are_the_update_applied_as_often_as_the_target_needs(statistics: tuple[SiteStatistics, ...]) -> None:
    options = [projection(site, "identity") for site in statistics]
    densities = [site_density(site) for site in statistics]
    values = sum(site.site.values for site in statistics)
    before = 8.1
    for target in (8.0, 5.0, 3.0, 2.0):
        choices = by_density(options, target, SETTINGS, {})
        bits = 8 * sum(choice.stream_bytes for choice in choices) / values
        assert bits <= target and bits < before
        before = bits
        chosen = [int(choice.widths[0]) for choice in choices]
        assert chosen == [max(1, min(8, width)) for width in chosen]
        # A denser site never gets less.
        assert [chosen[i] for i in np.argsort(densities)] == sorted(chosen)
    once = [max(1, math.floor(8 * density + 0.5)) for density in densities]
    published = 8 * sum(c.stream_bytes for c in by_density(options, 8.0, SETTINGS, {})) / values
    assert published == pytest.approx(8.0, abs=0.2)
    rows = by_density(options, 8 * sum(_bytes(options, once)) / values, SETTINGS, {})
    assert [int(choice.widths[0]) for choice in rows] == once


def _bytes(options: list[object], chosen: list[int]) -> list[int]:
    from actcodec.learn.allocation.choice import make_choice

    return [
        make_choice(option, np.full(option.statistics.site.channels, width, np.uint8), SETTINGS).stream_bytes  # type: ignore[attr-defined,arg-type]
        for option, width in zip(options, chosen, strict=True)
    ]


def test_an_impossible_target_is_refused() -> None:
    with pytest.raises(ActcodecError, match=r"target_bits: 0\.5 bits a value cannot be reached"):
        quick_plan(0.5, **PLAIN)
    assert load_recipe("density").allocation == "density"
    assert load_recipe("density").panel == "post-training"


def test_trained_widths_are_taken_as_they_are() -> None:
    names = [site.info.name for site in quick_plan(8.0, **PLAIN).sites]
    given = {name: 3 + number % 3 for number, name in enumerate(names)}
    assert widths(quick_plan(8.0, **PLAIN, density_widths=given)) == given
    with pytest.raises(ActcodecError, match=r"target_bits: 3\.5 bits a value cannot be reached"):
        quick_plan(3.5, **PLAIN, density_widths=given)
    with pytest.raises(ActcodecError, match="density_widths: gone is no site of this network"):
        quick_plan(8.0, **PLAIN, density_widths=given | {"gone": 3})
    with pytest.raises(ActcodecError, match=f"density_widths: {names[0]} has no width"):
        quick_plan(8.0, **PLAIN, density_widths={k: v for k, v in given.items() if k != names[0]})
    with pytest.raises(ValueError, match="density_widths need allocation = 'density'"):
        LearnRecipe(density_widths=given)
    with pytest.raises(ValueError, match="less than or equal to 8"):
        LearnRecipe(allocation="density", density_widths={"conv1": 9})


def test_from_training_to_tables(tmp_path: Path) -> None:
    """The folder that training writes is all that the codec's learning needs."""
    torch.set_num_threads(1)
    recipe = DensityRecipe(
        prune=True, bits=8, epochs=4, batch=16, rate=5e-3, first=1, longest=2, settle=1, accuracy_drop=1.0
    )
    train_density("mnist-resnet12", tmp_path, recipe=recipe, images=160, progress=False)
    own = load_network("mnist-resnet12", checkpoint=tmp_path / "weights.safetensors")
    assert own.channels is not None and own.channels["layer1.0.conv1"] < 16
    assert dict(own.model.named_modules())["layer1.0.bn1"].num_features == own.channels["layer1.0.conv1"]
    found = load_recipe(tmp_path / "codec.toml")
    plan = learn(own, training(), 8.0, recipe=found.model_copy(update=QUICK_SIZES), progress=False)
    assert widths(plan) == found.density_widths
    assert 2 <= min(found.density_widths.values()) < 8
    assert plan.sites[1].info.channels == own.channels["layer1.0.conv1"]
    tables = export_tables(plan, tmp_path / "tables", max_mac_share=1)
    test = training().head(100)
    golden = evaluate(own, test, "golden", tables=tables, progress=False)
    assert golden.accuracy == pytest.approx(evaluate(own, test, "float", progress=False).accuracy, abs=0.15)


QUICK_SIZES = {
    name: getattr(QUICK, name) for name in ("calibration_images", "positions", "selection_images", "greedy_images")
}


def test_a_pruned_checkpoint_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    state = {name: value.contiguous() for name, value in network().model.state_dict().items()}
    channels = {name: len(value) for name, value in state.items() if value.ndim > 1}
    whole = {name.removesuffix(".weight"): count for name, count in channels.items()}
    path.write_bytes(save(state, metadata=channel_metadata(whole)))
    assert load_network("mnist-resnet12", checkpoint=path).channels == whole
    for wrong, problem in ((17, "17 channels, the network at most 16"), (0, "0 channels")):
        path.write_bytes(save(state, metadata=channel_metadata(whole | {"layer1.0.conv1": wrong})))
        with pytest.raises(ActcodecError, match=rf"weights\.safetensors: layer layer1\.0\.conv1 has {problem}"):
            load_network("mnist-resnet12", checkpoint=path)
    path.write_bytes(save(state, metadata=channel_metadata(whole | {"layer1.0.conv1": 9})))
    with pytest.raises(ActcodecError, match=r"tensor layer1\.0\.conv1\.weight has shape"):
        load_network("mnist-resnet12", checkpoint=path)
    for bad in ("[16]", "16 of conv1", '{"conv1": "16"}'):
        path.write_bytes(save(state, metadata={"actcodec.channels": bad}))
        with pytest.raises(ActcodecError, match="no counts by layer"):
            load_network("mnist-resnet12", checkpoint=path)
    path.write_bytes(save(state, metadata=channel_metadata({})))
    with pytest.raises(ActcodecError, match=r"does not say how many channels layer1\.0\.conv1 has"):
        load_network("mnist-resnet12", checkpoint=path)
