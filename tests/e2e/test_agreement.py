"""Trainer = golden = RTL = traffic, on every site of real networks over real images."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from actcodec.activations import stored_activations
from actcodec.data import load_dataset
from actcodec.errors import ActcodecError
from actcodec.export import export_tables, integer_tables
from actcodec.learn import learn, load_plan, load_recipe, save_plan
from actcodec.networks import load_network
from actcodec.params import load_params
from actcodec.tables import SiteSizes, Tables, digest_of, load_tables
from actcodec.tables.synthetic import synthetic_site, synthetic_tables
from actcodec_sim.agreement import Agreement, check_agreement
from actcodec_sim.cosim import cosimulate
from actcodec_sim.cosim.simulators import SIMULATORS, Simulator
from actcodec_sim.traffic import run_traffic
from e2e.conftest import Cli
from support.cosim import CACHE
from support.learning import quick_plan

CONFIGS = Path(__file__).parents[2] / "benchmarks" / "configs"


def _activations(tables: Tables, image: int) -> dict[str, NDArray[np.uint8]]:
    network = load_network(tables.provenance.network)
    images = load_dataset(network.dataset, "test").images[image : image + 1]
    return {name: x[0] for name, x in stored_activations(network, tables, images).items()}


def _agreement(
    plan_directory: Path, tables: Tables, image: int, simulators: tuple[Simulator, ...], job: Path
) -> Agreement:
    plan = load_plan(plan_directory)
    activations = _activations(tables, image)
    runs = tuple(cosimulate(tables, activations, s, CACHE, job / s, seed=image) for s in simulators)
    assert all(run.agrees for run in runs)
    trainer = {site.info.name: site.sizes(plan.transaction_bytes) for site in plan.sites}
    return check_agreement(tables, trainer, activations, runs, run_traffic(tables, "DDR4-2400"))


def test_embedded_network_agrees_on_every_site_in_both_simulators(
    mnist_plan: Path, mnist_tables: Path, tmp_path: Path
) -> None:
    tables = load_tables(mnist_tables)
    agreement = _agreement(mnist_plan, tables, 3, SIMULATORS, tmp_path)
    assert agreement.problems() == []
    assert agreement.agrees and len(agreement.sites) == 11
    assert {site.info.transform for site in tables.sites} >= {"project"}
    assert len(set(agreement.stream_bytes().values())) == 1


def test_tables_of_a_search_run_unchanged(tmp_path: Path) -> None:
    """P3: partition and search; dropped channels in tables that list them, and groups of 1 bit."""
    searched = {"allocation": "partition", "group_bits": 64.0, "search_epochs": 1, "search_images": 64}
    plan = quick_plan(1.3, **searched)
    save_plan(plan, tmp_path / "plan")
    tables = export_tables(plan, tmp_path / "tables")
    mixed = {
        site.info.name: site.info.transform
        for site in tables.sites
        if {0, 1} <= set(site.arrays.width.tolist()) or (site.info.transform == "project" and 1 in site.arrays.width)
    }
    assert len(mixed) >= 2 and {"identity", "project"} <= set(mixed.values())
    agreement = _agreement(tmp_path / "plan", tables, 5, ("verilator",), tmp_path)
    assert agreement.problems() == [] and agreement.agrees
    activations = _activations(tables, 5)
    assert cosimulate(tables, activations, "icarus", CACHE, tmp_path / "icarus", seed=5, only=list(mixed)[:2]).agrees


def test_sites_in_patches_run_unchanged(tmp_path: Path) -> None:
    """2×2 pixels as one position, beside sites that they do not divide: all stages count the same bytes."""
    plan = quick_plan(2.0, patch=2)
    save_plan(plan, tmp_path / "plan")
    tables = export_tables(plan, tmp_path / "tables", max_mac_share=1.0)
    assert {(site.info.height, site.info.channels > 64) for site in tables.sites} >= {(14, False), (7, True)}
    assert any(site.info.transform == "project" and site.info.height == 14 for site in tables.sites)
    agreement = _agreement(tmp_path / "plan", tables, 6, SIMULATORS, tmp_path)
    assert agreement.problems() == [] and agreement.agrees and len(agreement.sites) == 11


def test_a_byte_that_one_stage_counts_otherwise_is_named(mnist_plan: Path, mnist_tables: Path, tmp_path: Path) -> None:
    tables = load_tables(mnist_tables)
    activations = _activations(tables, 0)
    trainer = {site.info.name: site.sizes(64) for site in tables.sites}
    first = tables.sites[0].info.name
    trainer[first] = trainer[first] + SiteSizes(0, 1, 0)
    agreement = check_agreement(tables, trainer, activations, (), run_traffic(tables, "DDR4-2400"))
    assert not agreement.agrees
    assert all(first in problem for problem in agreement.problems())


def test_export_is_a_function_of_the_plan(mnist_plan: Path, mnist_tables: Path) -> None:
    assert digest_of(integer_tables(load_plan(mnist_plan))) == digest_of(load_tables(mnist_tables))


def test_same_seed_gives_the_same_tables_byte_for_byte(
    cli: Cli, recipe: Path, mnist_plan: Path, tmp_path: Path
) -> None:
    result = cli("learn", "--target-bits", 2, "--recipe", recipe, "--out", tmp_path / "again")
    assert result.returncode == 0, result.stderr
    for name in ("plan.json", "plan.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (mnist_plan / name).read_bytes()


def test_sites_of_the_size_of_imagenet_agree(tmp_path: Path) -> None:
    """Shapes of MobileNetV2 at 224 × 224: a linear bottleneck projected, an expansion block by block, every channel."""
    rng, params = np.random.default_rng(7), load_params("default")
    sites = (
        synthetic_site(rng, params, "bottleneck", (112, 112, 16), keep=0.25),
        synthetic_site(rng, params, "expansion", (14, 14, 192), keep=0.25, order="block-major"),
        synthetic_site(rng, params, "channels", (28, 28, 96), transform="identity"),
    )
    tables = dataclasses.replace(synthetic_tables(7, params), sites=sites)
    # Activations after a ReLU6: half of them are 0, and 6 is often reached.
    shapes = {site.info.name: (site.info.height, site.info.width, site.info.channels) for site in sites}
    activations = {name: np.clip(rng.normal(0, 160, shape), 0, 255).astype(np.uint8) for name, shape in shapes.items()}
    run = cosimulate(tables, activations, "verilator", CACHE, tmp_path / "job", seed=7)
    trainer = {site.info.name: site.sizes(tables.transaction_bytes) for site in sites}
    agreement = check_agreement(tables, trainer, activations, (run,), run_traffic(tables, "DDR4-2400"))
    assert run.agrees and agreement.problems() == [] and agreement.agrees


def test_mobilenetv2_at_224_agrees_on_every_site(tmp_path: Path) -> None:
    """Trainer = golden = traffic on all 52 sites, = RTL on an early wide one, a depthwise one and a late 1×1."""
    try:
        network = load_network("imagenet-mobilenetv2")
        training = load_dataset(network.dataset, "train")
    except ActcodecError as absent:
        pytest.skip(f"no network or images of ImageNet here: {absent}")
    recipe = load_recipe(CONFIGS / "imagenet-recipe.toml")
    params = load_params(CONFIGS / "imagenet.toml")
    plan = learn(network, training, 4.0, recipe=recipe, params=params, progress=False)
    tables = integer_tables(plan, max_mac_share=1.0)
    activations = _activations(tables, 0)
    trainer = {site.info.name: site.sizes(plan.transaction_bytes) for site in plan.sites}
    everywhere = check_agreement(tables, trainer, activations, (), run_traffic(tables, "DDR4-2400"))
    assert everywhere.problems() == [] and everywhere.agrees and len(everywhere.sites) == 52
    wide, depthwise, late = "features.0.0", "features.7.conv.1.0", "features.17.conv.2"
    some = dataclasses.replace(tables, sites=tuple(tables.site(name) for name in (wide, depthwise, late)))
    run = cosimulate(
        some, {site.info.name: activations[site.info.name] for site in some.sites}, "verilator", CACHE, tmp_path
    )
    agreement = check_agreement(some, trainer, activations, (run,), run_traffic(some, "DDR4-2400"))
    assert run.agrees and agreement.problems() == [] and agreement.agrees


def test_resnet20_on_cifar10_agrees_on_every_site(cli: Cli, recipe: Path, tmp_path: Path) -> None:
    try:
        load_network("cifar10-resnet20")
    except ActcodecError as absent:
        pytest.skip(f"no CIFAR-10 data here: {absent}")
    plan, tables = tmp_path / "plan", tmp_path / "tables"
    learned = cli("learn", "--model", "cifar10-resnet20", "--target-bits", 3, "--recipe", recipe, "--out", plan)
    assert learned.returncode == 0, learned.stderr
    assert cli("export", "--plan", plan, "--out", tables, "--max-mac-share", 0.3).returncode == 0
    agreement = _agreement(plan, load_tables(tables), 5, ("verilator",), tmp_path)
    assert agreement.problems() == []
    assert agreement.agrees and len(agreement.sites) == 19
    evaluated = cli("eval", "--golden", "--tables", tables, "--data", "cifar10", "--images", 300, "--json")
    result = json.loads(evaluated.stdout)
    assert result["images"] == 300 and result["accuracy"] > 0.8
