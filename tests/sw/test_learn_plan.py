from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from actcodec.data import load_dataset
from actcodec.errors import ActcodecError
from actcodec.learn import LearnRecipe, Plan, learn, load_plan, load_recipe, plan_sha256, save_plan
from actcodec.learn.batches import input_batches
from actcodec.learn.calibrate import calibrate
from actcodec.learn.quantize8 import choose_ranges
from actcodec.learn.tuning.layer import CodecLayer
from actcodec.networks import SitedNetwork, find_sites, fold_batchnorm, load_network

torch.set_num_threads(1)
NETWORK = load_network("mnist-resnet12")
TRAIN = load_dataset("mnist", "train")
QUICK = LearnRecipe(calibration_images=48, positions=1024, selection_images=48, images=64, batch=16, transform="pca")


def quick_plan(target: float = 3.0, recipe: LearnRecipe = QUICK) -> Plan:
    return learn(NETWORK, TRAIN, target, 0, recipe=recipe, progress=False)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return quick_plan()


@pytest.fixture(scope="module")
def sited() -> SitedNetwork:
    folded = fold_batchnorm(NETWORK.model)
    return SitedNetwork(folded, find_sites(folded, NETWORK.input_shape))


def test_a_plan_is_deterministic_and_meets_its_target(plan: Plan) -> None:
    assert plan_sha256(quick_plan()) == plan_sha256(plan)
    assert 2.9 < plan.bpv_stream <= 3.0
    assert plan.bpv_net(1) > plan.bpv_net(16) > plan.bpv_stream
    assert len(plan.sites) == 11


def test_what_an_error_counts_as_moves_bits_and_keeps_the_target(plan: Plan) -> None:
    plain = quick_plan(recipe=QUICK.model_copy(update={"sensitivity": "variance"}))
    assert 2.9 < plain.bpv_stream <= 3.0
    assert any(not np.array_equal(a.arrays.width, b.arrays.width) for a, b in zip(plain.sites, plan.sites, strict=True))


def test_learning_refuses_bad_input() -> None:
    with pytest.raises(ActcodecError, match=r"target_bits: 9\.0 is outside"):
        quick_plan(9.0)
    other = replace(TRAIN, name="cifar10")
    with pytest.raises(ActcodecError, match="'cifar10' is not mnist-resnet12's"):
        learn(NETWORK, other, 3.0, recipe=QUICK, progress=False)


def test_a_plan_survives_its_directory(plan: Plan, tmp_path: Path) -> None:
    digest = save_plan(plan, tmp_path / "plan")
    again = load_plan(tmp_path / "plan")
    assert plan_sha256(again) == digest == plan_sha256(plan)
    np.testing.assert_array_equal(again.sites[3].arrays.P, plan.sites[3].arrays.P)


def test_damaged_plans_are_named(plan: Plan, tmp_path: Path) -> None:
    save_plan(plan, tmp_path / "plan")
    manifest, arrays = tmp_path / "plan" / "plan.json", tmp_path / "plan" / "plan.safetensors"
    text, raw = manifest.read_text(), arrays.read_bytes()
    stream = plan.sites[0].sizes(64).stream_bytes
    manifest.write_text(text.replace(f'"stream_bytes": {stream}', f'"stream_bytes": {stream + 8}', 1))
    with pytest.raises(ActcodecError, match=r"plan\.json: site conv1: stream_bytes"):
        load_plan(tmp_path / "plan")
    manifest.write_text(text.replace('"version": 1', '"version": 7', 1))
    with pytest.raises(ActcodecError, match="version = 7"):
        load_plan(tmp_path / "plan")
    manifest.write_text(text)
    arrays.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    with pytest.raises(ActcodecError, match=r"plan\.safetensors: does not match"):
        load_plan(tmp_path / "plan")
    arrays.unlink()
    with pytest.raises(ActcodecError, match=r"plan\.safetensors: cannot be read"):
        load_plan(tmp_path / "plan")


def test_recipes_are_read_and_checked(tmp_path: Path) -> None:
    assert load_recipe("waterfill").epochs == 0
    both = load_recipe("p1q+block+tuned")
    assert (both.method, both.allocation, both.weights) == ("p1q+block+tuned", "greedy", True)
    assert both.block_epochs > 0 and both.epochs > 0
    path = tmp_path / "mine.toml"
    path.write_text("epochs = -1\n")
    with pytest.raises(ActcodecError, match=r"mine\.toml: epochs = -1"):
        load_recipe(path)
    path.write_text("epoch = 1\n")
    with pytest.raises(ActcodecError, match=r"mine\.toml: epoch = 1"):
        load_recipe(path)


def test_ranges_of_rectified_sites_start_at_zero(sited: SitedNetwork) -> None:
    ranges = choose_ranges(sited, input_batches(NETWORK, TRAIN.images[:32], 16, "", False), seed=0)
    assert {(r.zero, r.low, r.high) for r in ranges} == {(0, 0, 255)}
    values = torch.tensor([0.0, ranges[0].scale * 100.2, 1e9])
    assert ranges[0].quantize(values).tolist() == [0, 100, 255]


def test_calibration_adds_up(sited: SitedNetwork) -> None:
    images = TRAIN.images[:32]

    def run(batch: int) -> list[np.ndarray]:
        ranges = choose_ranges(sited, input_batches(NETWORK, images, 32, "", False), seed=0)
        batches = input_batches(NETWORK, images, batch, "", False)
        stats = calibrate(sited, ranges, batches, images=32, block=16, seed=0, positions=512)
        assert all(len(s.sample) == 512 for s in stats)
        for s in stats:
            for G in s.fisher:
                assert np.linalg.eigvalsh(G).min() >= -1e-6 * np.trace(G)
        return [s.covariance[0] for s in stats]

    for one, two in zip(run(32), run(8), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-3)


def test_the_layer_computes_the_plan(plan: Plan) -> None:
    for site in plan.sites[::3]:
        layer = CodecLayer(site)
        info = site.info
        x = np.random.default_rng(0).integers(0, 256, (2, info.height, info.width, info.channels))
        out = layer(torch.from_numpy((x * info.scale).astype(np.float32)).permute(0, 3, 1, 2))
        expected = np.zeros(x.shape)
        for block in info.blocks:
            c, k = slice(*block.channels), slice(*block.coefficients)
            P, R = site.arrays.P[k, : c.stop - c.start], site.arrays.R[c, : k.stop - k.start]
            top = (1 << site.arrays.width[k].astype(int)) - 1
            codes = np.clip(np.floor(x[..., c] @ P.T + site.arrays.bias[k] + 0.5), 0, top)
            expected[..., c] = np.clip(np.floor(codes @ R.T + site.arrays.bias_out[c] + 0.5), 0, 255)
        got = out.permute(0, 2, 3, 1).detach().numpy() / info.scale
        # Single precision may fall on the other side of a rounding boundary now and then.
        assert np.mean(np.abs(got - expected) > 0.5) < 1e-3
        kept = layer.to_plan().arrays
        np.testing.assert_allclose(kept.P, site.arrays.P, atol=1e-5)
        np.testing.assert_allclose(kept.R, site.arrays.R, atol=1e-4)
