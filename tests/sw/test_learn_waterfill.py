import numpy as np
import pytest
from numpy.typing import NDArray

from actcodec.errors import ActcodecError
from actcodec.learn.allocation.waterfill import allocate, site_choices
from actcodec.learn.build import build_site
from actcodec.learn.calibrate import SiteStatistics
from actcodec.learn.draft import StreamSettings
from actcodec.learn.option import SiteOption, plain_options, projection
from actcodec.learn.pca import block_transforms
from actcodec.params import CodecParams
from support.statistics import rectified_site

SETTINGS = StreamSettings(CodecParams())


def all_options(site: SiteStatistics) -> tuple[SiteOption, ...]:
    return (projection(site, "fisher"), *plain_options(site))


def test_transforms_invert_and_decorrelate() -> None:
    stats = rectified_site()
    for S, fisher in zip(block_transforms(stats, "pca"), block_transforms(stats, "fisher"), strict=True):
        for transform in (S, fisher):
            np.testing.assert_allclose(transform.P @ transform.R, np.eye(len(transform.P)), atol=1e-8)
    for transform, covariance in zip(block_transforms(stats, "fisher"), stats.covariance, strict=True):
        spectrum = transform.P @ covariance @ transform.P.T
        np.testing.assert_allclose(spectrum, np.diag(np.diag(spectrum)), atol=1e-6 * spectrum.max())
        assert (np.diff(np.diag(spectrum)) <= 1e-6).all()
        # Under the weighted norm every coefficient costs the same.
        np.testing.assert_allclose(transform.sensitivity, 1, rtol=1e-6)


@pytest.mark.parametrize("target", [0.7, 2.0, 3.3, 8.0])
def test_the_streams_meet_the_target_closely(target: float) -> None:
    sites = [all_options(rectified_site(seed=seed)) for seed in range(3)]
    chosen = allocate(sites, target, 16, SETTINGS)
    values = sum(options[0].statistics.site.values for options in sites)
    spent = 8 * sum(build_site(c, SETTINGS).sizes(64).stream_bytes for c in chosen) / values
    assert spent <= target
    # One step of a row's pitch is a bus word: 64 bits in 16·20 values of one of three sites.
    assert spent >= target - 64 / (16 * 20) / 3 or all(c.loss == 0 for c in chosen)
    assert spent == 8 * sum(c.stream_bytes for c in chosen) / values


def test_more_bits_lose_less() -> None:
    sites = [all_options(rectified_site())]
    losses = [sum(c.loss for c in allocate(sites, t, 16, SETTINGS)) for t in (0.5, 1, 2, 4, 8)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] == 0


def test_correlated_channels_are_projected_and_small_sites_are_not() -> None:
    wide, small = rectified_site(side=64), rectified_site(side=4)
    first, second = allocate([all_options(wide), all_options(small)], 1.5, 1, SETTINGS)
    assert first.option.transform == "project"
    # Sixteen positions cannot pay for the tables of a projection.
    assert second.option.transform != "project"


@pytest.mark.parametrize("target", [0.0, -1.0, 8.5, float("nan"), 1e-3])
def test_impossible_targets_are_refused(target: float) -> None:
    with pytest.raises(ActcodecError, match="target_bits"):
        allocate([all_options(rectified_site())], target, 16, SETTINGS)


def test_a_constant_site_still_has_a_stream() -> None:
    stats = rectified_site()
    flat = SiteStatistics(
        stats.site,
        stats.range,
        stats.blocks,
        mean=np.full(20, 9.0),
        covariance=tuple(np.zeros_like(S) for S in stats.covariance),
        fisher=stats.fisher,
        sample=np.full_like(stats.sample, 9),
    )
    assert all(choice.stream_bytes > 0 for option in all_options(flat) for choice in site_choices(option, 16, SETTINGS))


def decoded(option: SiteOption, target: float, x: NDArray[np.uint8]) -> NDArray[np.float64]:
    (choice,) = allocate([(option,)], target, 16, SETTINGS)
    site = build_site(choice, SETTINGS)
    out = np.zeros(x.shape)
    for block in site.info.blocks:
        c, k = slice(*block.channels), slice(*block.coefficients)
        P, R = site.arrays.P[k, : c.stop - c.start], site.arrays.R[c, : k.stop - k.start]
        top = (1 << site.arrays.width[k].astype(int)) - 1
        codes = np.clip(np.floor((x[:, c] - 3.0) @ P.T + site.arrays.bias[k] + 0.5), 0, top)
        out[:, c] = codes @ R.T + site.arrays.bias_out[c] + 3
    return out


def test_a_built_site_reconstructs_its_sample() -> None:
    stats = rectified_site()
    x = stats.sample
    for option in (projection(stats, "pca"), plain_options(stats)[0]):
        error = ((decoded(option, 4.0, x) - x) ** 2).mean() / x.var()
        assert error < 0.02
