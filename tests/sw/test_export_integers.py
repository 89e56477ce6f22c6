from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from actcodec.data import load_dataset
from actcodec.errors import ActcodecError
from actcodec.export import export_tables, integer_tables
from actcodec.golden import SiteCodec
from actcodec.learn import LearnRecipe, Plan, SitePlan, learn, plan_sha256
from actcodec.networks import load_network
from actcodec.params import CodecParams
from actcodec.tables import digest_of, load_tables

torch.set_num_threads(1)
QUICK = LearnRecipe(calibration_images=48, positions=1024, selection_images=48, transform="fisher")


@pytest.fixture(scope="module")
def plan() -> Plan:
    return learn(load_network("mnist-resnet12"), load_dataset("mnist", "train"), 3.0, recipe=QUICK, progress=False)


def reference(site: SitePlan, x: np.ndarray) -> np.ndarray:
    """The plan's arithmetic in real numbers."""
    info, out = site.info, np.zeros(x.shape)
    for block in info.blocks:
        c, k = slice(*block.channels), slice(*block.coefficients)
        P, R = site.arrays.P[k, : c.stop - c.start], site.arrays.R[c, : k.stop - k.start]
        top = (1 << site.arrays.width[k].astype(int)) - 1
        codes = np.clip(np.floor((x[..., c] - info.zero) @ P.T + site.arrays.bias[k] + 0.5), 0, top)
        out[..., c] = np.floor(codes @ R.T + site.arrays.bias_out[c] + 0.5) + info.zero
    return np.clip(out, info.low, info.high)


def test_integers_follow_the_plan_closely(plan: Plan) -> None:
    tables = integer_tables(plan)
    rng = np.random.default_rng(0)
    for site, table in zip(plan.sites, tables.sites, strict=True):
        info = table.info
        # Rectified, smooth and sparse, as the sites' activations are.
        x = np.clip(rng.normal(20, 40, (info.height, info.width, info.channels)), 0, 255).astype(np.uint8)
        codec = SiteCodec(table)
        error = codec.decode(codec.encode(x)).astype(float) - reference(site, x)
        step = np.abs(site.arrays.R).max()
        assert np.sqrt((error**2).mean()) < 0.2 * step + 1


def test_bytes_and_provenance_are_the_plans(plan: Plan) -> None:
    tables = integer_tables(plan)
    assert tables.bpv_stream == plan.bpv_stream
    assert tables.bpv_net(16) == plan.bpv_net(16)
    for site, table in zip(plan.sites, tables.sites, strict=True):
        assert table.sizes(64) == site.sizes(64)
    assert tables.provenance.plan_sha256 == plan_sha256(plan)
    assert 0 < tables.provenance.codec_mac_share < 0.15


def test_tables_are_written_and_read_back(plan: Plan, tmp_path: Path) -> None:
    tables = export_tables(plan, tmp_path / "tables")
    assert digest_of(load_tables(tmp_path / "tables")) == digest_of(tables)


def test_too_many_multiplications_are_refused_unless_allowed(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(ActcodecError, match=r"max_mac_share: the codec takes .*%"):
        export_tables(plan, tmp_path / "tables", max_mac_share=0.001)
    assert not (tmp_path / "tables").exists()
    integer_tables(plan, max_mac_share=1.0)


def test_narrow_accumulators_lower_the_shifts(plan: Plan) -> None:
    wide = integer_tables(plan)
    narrow = integer_tables(replace(plan, params=CodecParams(acc_bits=17)))
    for one, two in zip(wide.sites, narrow.sites, strict=True):
        assert two.info.output_shift <= one.info.output_shift
    assert any((two.arrays.shift < one.arrays.shift).any() for one, two in zip(wide.sites, narrow.sites, strict=True))


def test_numbers_that_fit_no_integer_are_named(plan: Plan) -> None:
    site = plan.sites[2]
    huge = replace(site, arrays=replace(site.arrays, R=site.arrays.R * 1e9))
    with pytest.raises(ActcodecError, match=f"site {site.info.name}: R reaches"):
        integer_tables(replace(plan, sites=(*plan.sites[:2], huge, *plan.sites[3:])))
    infinite = np.where(np.arange(len(site.arrays.bias)) == 0, np.nan, site.arrays.bias)
    with pytest.raises(ActcodecError, match="bias holds values that are not finite"):
        replace(site, arrays=replace(site.arrays, bias=infinite))


def test_bypass_is_exact() -> None:
    network, train = load_network("mnist-resnet12"), load_dataset("mnist", "train")
    tables = integer_tables(learn(network, train, 8.0, recipe=QUICK, progress=False))
    bypassed = [table for table in tables.sites if table.info.transform == "bypass"]
    assert bypassed
    info = bypassed[0].info
    x = np.random.default_rng(0).integers(0, 256, (info.height, info.width, info.channels)).astype(np.uint8)
    codec = SiteCodec(bypassed[0])
    np.testing.assert_array_equal(codec.decode(codec.encode(x)), x)
