"""Sites learned in front of their activation: which can be, what export makes of them, and what the network says."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from actcodec.activations import FoldedTables, accumulate, load_folded, stored_activations
from actcodec.cli import app
from actcodec.data import load_dataset
from actcodec.errors import ActcodecError
from actcodec.evaluate import evaluate
from actcodec.export import beside, export_folded, integer_tables
from actcodec.golden import SiteCodec
from actcodec.learn import LearnRecipe, Plan, load_plan, save_plan
from actcodec.learn.build import fit_clamped
from actcodec.learn.tuning.layer import CodecLayer
from actcodec.networks import find_sites, fold_batchnorm, foldable_sites, load_network, sited_network
from actcodec.networks.folding import foldable_convolutions
from actcodec.tables import Tables, load_tables
from actcodec.tables.convolutions import CONVOLUTIONS, Convolution
from support.learning import quick_plan

torch.set_num_threads(1)
NETWORK = load_network("mnist-resnet12")
TEST = load_dataset("mnist", "test").head(100)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return quick_plan(3.0, folded=True)


@pytest.fixture(scope="module")
def exported(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tables, FoldedTables]:
    out = tmp_path_factory.mktemp("folded") / "tables"
    export_folded(plan, NETWORK, out)
    return load_tables(out), load_folded(beside(out))


# --- which sites


class _Net(nn.Module):
    """A stem, and one convolution behind it that is built as the test wants it."""

    def __init__(self, conv: nn.Conv2d, activation: nn.Module, *, adds: bool = False) -> None:
        super().__init__()
        self.stem, self.conv, self.activation, self.adds = nn.Conv2d(3, 8, 3, padding=1), conv, activation, adds
        self.norm, self.last = nn.BatchNorm2d(8), nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        y = self.norm(self.conv(x))
        y = self.activation(y + x if self.adds else y)
        return self.last(y).mean((2, 3))


def plain(**options: object) -> nn.Conv2d:
    return nn.Conv2d(8, 8, 3, padding=1, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        (_Net(plain(), nn.ReLU()), ["conv"]),
        (_Net(plain(), nn.ReLU6()), ["conv"]),
        (_Net(plain(dilation=1, bias=False), nn.ReLU(inplace=True)), ["conv"]),
        (_Net(plain(), nn.ReLU(), adds=True), []),
        (_Net(plain(), nn.SiLU()), []),
        (_Net(plain(groups=2), nn.ReLU()), []),
        (_Net(plain(padding_mode="reflect"), nn.ReLU()), []),
    ],
    ids=["relu", "relu6", "in place", "a sum before it", "another activation", "groups", "other padding"],
)
def test_a_plain_convolution_with_its_relu_behind_it_can_be_folded(net: nn.Module, expected: list[str]) -> None:
    model = fold_batchnorm(net)
    found = foldable_convolutions(model, find_sites(model, (3, 8, 8)))
    # The stem reads the image, which is no site.
    assert [conv.module for conv in found] == expected
    assert all((conv.source, conv.site) == (0, 1) for conv in found)


def test_the_first_convolutions_of_the_embedded_networks_blocks_can_be_folded() -> None:
    found = foldable_sites(NETWORK)
    assert found and all(conv.module.endswith("conv1") for conv in found)
    assert {conv.geometry.stride for conv in found} == {(1, 1), (2, 2)}


def test_a_tap_before_the_activation_changes_nothing_by_itself() -> None:
    x = NETWORK.inputs(TEST.images[:4])
    indices = [conv.site for conv in foldable_sites(NETWORK)]
    seen: dict[int, Tensor] = {}

    def keep(index: int, tensor: Tensor) -> Tensor:
        seen[index] = tensor
        return tensor

    logits = sited_network(NETWORK, folded=indices)(x, keep)
    assert torch.equal(logits, sited_network(NETWORK)(x))
    assert all((float(seen[index].min()) < 0) == (index in indices) for index in seen if index not in (0,))


# --- learning


@pytest.mark.parametrize("change", [{"allocation": "greedy"}, {"permute": True}, {"epochs": 1}, {"batchnorm": True}])
def test_what_does_not_go_with_folded_sites_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="folded = true goes with allocation = 'waterfill'"):
        LearnRecipe.model_validate({"folded": True, **change})


def test_a_fit_behind_the_clamp_is_better_there_than_a_plain_one() -> None:
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 16, (4000, 3)).astype(np.float64)
    mixed = codes @ rng.normal(0, 6, (3, 8)) + rng.normal(0, 12, (4000, 8))
    x = mixed - mixed.mean(0) - 10

    def error(R: np.ndarray, bias: np.ndarray) -> float:
        return float(((np.clip(codes @ R.T + bias, 0, 255) - np.clip(x, 0, 255)) ** 2).mean())

    clamped = fit_clamped(codes, x, 0.0, 255.0)
    design = np.concatenate([codes, np.ones((len(codes), 1))], axis=1)
    for target in (x, np.clip(x, 0, 255)):
        solution = np.linalg.lstsq(design, target, rcond=None)[0]
        assert error(*clamped) < error(solution[:3].T, solution[3])


def test_every_site_that_can_be_is_folded_and_the_plan_comes_back_from_disk(plan: Plan, tmp_path) -> None:
    foldable = {conv.site for conv in foldable_sites(NETWORK)}
    assert {n for n, site in enumerate(plan.sites) if site.info.transform == "folded"} == foldable
    assert all(site.arrays.width.all() for n, site in enumerate(plan.sites) if n in foldable)
    assert plan.bpv_stream <= 3.0
    save_plan(plan, tmp_path / "plan")
    assert load_plan(tmp_path / "plan").bpv_net(1) == plan.bpv_net(1)


def test_the_layer_codes_what_the_convolution_computes(plan: Plan) -> None:
    number = foldable_sites(NETWORK)[0].site
    site, rng = plan.sites[number], np.random.default_rng(1)
    info, arrays = site.info, site.arrays
    z = rng.normal(0, 40 * info.scale, (2, info.channels, 3, 3)).astype(np.float32)
    rows = np.moveaxis(z.astype(np.float64), 1, 3) / info.scale
    expected = np.zeros(rows.shape)
    for block in info.blocks:
        c, k = slice(*block.channels), slice(*block.coefficients)
        P, R = arrays.P[k, : c.stop - c.start], arrays.R[c, : k.stop - k.start]
        codes = np.clip(np.floor(rows[..., c] @ P.T + arrays.bias[k] + 0.5), 0, 2.0 ** arrays.width[k] - 1)
        expected[..., c] = np.clip(np.floor(codes @ R.T + arrays.bias_out[c] + 0.5), info.low, info.high)
    found = CodecLayer(site).requires_grad_(False)(torch.from_numpy(z)).numpy()
    # A sum at half a step may round either way in float32.
    assert (np.abs(np.moveaxis(found, 1, 3) / info.scale - expected) < 1e-3).mean() > 0.995


# --- export


def test_a_plan_with_folded_sites_needs_the_network(plan: Plan, tmp_path) -> None:
    with pytest.raises(ActcodecError, match="is folded; its tables need the network's convolution"):
        integer_tables(plan)
    with pytest.raises(ActcodecError, match="0 folded sites"):
        others = tuple(site for site in plan.sites if site.info.transform != "folded")
        export_folded(replace(plan, sites=others), NETWORK, tmp_path / "tables")


def test_both_tables_hold_every_site_once_and_name_one_plan(exported: tuple[Tables, FoldedTables], plan: Plan) -> None:
    tables, folded = exported
    assert folded.tables.params.transforms == ("folded",)
    names = [site.info.name for part in (tables, folded.tables) for site in part.sites]
    assert sorted(names) == sorted(site.info.name for site in plan.sites)
    assert tables.stream_bytes + folded.tables.stream_bytes == plan.stream_bytes
    assert tables.table_bytes + folded.tables.table_bytes == round(
        (plan.bpv_net(1) - plan.bpv_stream) * plan.values / 8
    )
    assert tables.provenance.plan_sha256 == folded.tables.provenance.plan_sha256


def test_a_composed_row_is_p_times_the_convolution(exported: tuple[Tables, FoldedTables], plan: Plan) -> None:
    """In real numbers: code·2^s of the integers is P·(W·x + b) + bias, up to the rounding of the weights."""
    _, folded = exported
    sited, rng = sited_network(NETWORK), np.random.default_rng(2)
    for conv in foldable_sites(NETWORK):
        site, source = plan.sites[conv.site], plan.sites[conv.source].info
        number = [table.info.name for table in folded.tables.sites].index(site.info.name)
        table, composed = folded.tables.sites[number], folded.convolutions[number]
        x = rng.integers(0, 256, (1, source.height, source.width, source.channels)).astype(np.uint8)
        real = (torch.from_numpy(x).permute(0, 3, 1, 2).double() - source.zero) * source.scale
        g = conv.geometry
        z = torch.nn.functional.conv2d(
            real, conv.weight(sited).double(), conv.bias(sited).double(), g.stride, g.padding, g.dilation
        )
        rows = z.permute(0, 2, 3, 1).numpy() / site.info.scale
        expected = np.zeros((*rows.shape[:3], table.coefficients))
        for block in site.info.blocks:
            c, k = slice(*block.channels), slice(*block.coefficients)
            expected[..., k] = rows[..., c] @ site.arrays.P[k, : c.stop - c.start].T + site.arrays.bias[k]
        sums = accumulate(composed, x)
        assert sums.shape[1:] == table.encoder_shape
        found = (sums + table.arrays.bias) / 2.0**table.arrays.shift
        weights = composed.weight.reshape(table.coefficients, -1).shape[1]
        # Every weight is off by half a unit of its row at most, the bias by half of one.
        bound = (0.5 * 255 * weights + 1) / 2.0**table.arrays.shift
        assert (np.abs(found - expected) <= bound).all()
        low, high = table.arrays.acc_range.T
        assert (sums >= low).all() and (sums <= high).all()


def test_the_range_is_the_exact_worst_case() -> None:
    rng = np.random.default_rng(3)
    conv = Convolution(rng.integers(-127, 128, (3, 2, 3, 3)).astype(np.int8), (1, 1), (1, 1), (1, 1), 20)
    for k, (low, high) in enumerate(conv.acc_range(5, 250)):
        most = np.where(conv.weight[k] > 0, 250, 5).astype(np.uint8)
        least = np.where(conv.weight[k] > 0, 5, 250).astype(np.uint8)
        for image, expected in ((most, high), (least, low)):
            # One position without padding: the centre of a 3 × 3 image.
            assert accumulate(conv, np.moveaxis(image, 0, 2)[None])[0, 1, 1, k] == expected


@pytest.mark.parametrize(("stride", "padding", "dilation"), [((1, 1), (1, 1), (1, 1)), ((2, 1), (0, 2), (1, 2))])
@pytest.mark.parametrize("channels", [2, 700])
def test_sums_are_those_of_plain_integers(
    stride: tuple[int, int], padding: tuple[int, int], dilation: tuple[int, int], channels: int
) -> None:
    """Many channels: sums beyond what float32 holds."""
    rng = np.random.default_rng(4)
    weight = rng.choice([-127, 126, 127], (2, channels, 3, 3)).astype(np.int8)
    conv = Convolution(weight, stride, padding, dilation, 7)
    x = rng.integers(0, 256, (1, 6, 7, channels)).astype(np.uint8)
    padded = np.pad(x[0].astype(np.int64) - 7, ((padding[0],) * 2, (padding[1],) * 2, (0, 0)))
    found = accumulate(conv, x)[0]
    for y in range(found.shape[0]):
        for column in range(found.shape[1]):
            rows = y * stride[0] + dilation[0] * np.arange(3)
            columns = column * stride[1] + dilation[1] * np.arange(3)
            patch = np.moveaxis(padded[rows][:, columns], 2, 0)
            assert found[y, column].tolist() == [int((patch * w).sum()) for w in weight.astype(np.int64)]


def test_convolutions_that_were_changed_are_refused(plan: Plan, tmp_path) -> None:
    export_folded(plan, NETWORK, tmp_path / "tables")
    path = beside(tmp_path / "tables") / CONVOLUTIONS
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ActcodecError, match=r"convolutions\.safetensors: does not match its SHA-256"):
        load_folded(beside(tmp_path / "tables"))
    with pytest.raises(ActcodecError, match="has tables without convolutions"):
        load_folded(tmp_path / "tables")


# --- evaluation


def test_the_golden_network_is_near_the_float_one(exported: tuple[Tables, FoldedTables], plan: Plan) -> None:
    tables, folded = exported
    exact = evaluate(NETWORK, TEST, "float", progress=False)
    golden = evaluate(NETWORK, TEST, "golden", tables=tables, folded=folded, progress=False)
    bytes_ = evaluate(NETWORK, TEST, "int8", tables=tables, folded=folded, progress=False)
    assert bytes_.divergence < golden.divergence < 0.5
    assert golden.accuracy >= exact.accuracy - 0.05


def test_the_encoder_gets_the_sums_of_what_was_decoded_before(exported: tuple[Tables, FoldedTables]) -> None:
    tables, folded = exported
    stored = stored_activations(NETWORK, tables, TEST.images[:2], folded)
    tables_of = {site.info.name: site for part in (tables, folded.tables) for site in part.sites}
    names = [site.name for site in sited_network(NETWORK).sites]
    assert list(stored) == names
    for conv in foldable_sites(NETWORK):
        name, source = names[conv.site], names[conv.source]
        number = [table.info.name for table in folded.tables.sites].index(name)
        codec = SiteCodec(tables_of[source])
        read = codec.decode(codec.encode(stored[source]))
        assert np.array_equal(stored[name], accumulate(folded.convolutions[number], read))


def test_tables_of_different_plans_or_without_a_site_are_refused(exported: tuple[Tables, FoldedTables]) -> None:
    tables, folded = exported
    with pytest.raises(ActcodecError, match="sites, mnist-resnet12 has"):
        evaluate(NETWORK, TEST, "golden", tables=tables, progress=False)
    provenance = tables.provenance.model_copy(update={"plan_sha256": "0" * 64})
    other = Tables(tables.params, tables.sites, provenance)
    with pytest.raises(ActcodecError, match="another plan"):
        evaluate(NETWORK, TEST, "golden", tables=other, folded=folded, progress=False)


def test_the_command_line_exports_and_evaluates_both_tables(plan: Plan, tmp_path) -> None:
    save_plan(plan, tmp_path / "plan")
    run, out = CliRunner().invoke, tmp_path / "tables"
    done = run(app, ["export", "--plan", str(tmp_path / "plan"), "--out", str(out), "--json"])
    assert done.exit_code == 0
    summary = json.loads(done.stdout)
    assert summary["folded"]["sites"] == len(foldable_sites(NETWORK)) == len(load_folded(beside(out)).convolutions)
    options = ["eval", "--golden", "--tables", str(out), "--folded", str(beside(out)), "--images", "20", "--json"]
    done = run(app, options)
    assert done.exit_code == 0
    assert json.loads(done.stdout)["bpv_stream"] == pytest.approx(plan.bpv_stream)
