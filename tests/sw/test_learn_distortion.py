import numpy as np

from actcodec.learn.distortion import measure_quantizers


def test_losses_fall_with_width_and_match_their_quantizers() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(4000, 3)) * [1, 10, 0.1] + [0, 50, 0]
    found = measure_quantizers(z)
    assert (np.diff(found.distortion, axis=0) <= 0).all()
    np.testing.assert_allclose(found.distortion[0], z.var(0), rtol=1e-3)
    for width in (1, 3, 5):
        offset, step = found.offset[width], found.step[width]
        q = np.clip(np.floor((z - offset) / step + 0.5), 0, 2**width - 1)
        np.testing.assert_allclose(((z - offset - step * q) ** 2).mean(0), found.distortion[width], rtol=2e-2)


def test_the_normal_distribution_gets_its_known_optimal_uniform_quantizers() -> None:
    # Max, "Quantizing for minimum distortion", 1960, table II: mean squared errors of uniform quantizers.
    z = np.random.default_rng(1).normal(size=(200_000, 1))
    found = measure_quantizers(z).distortion[:, 0]
    np.testing.assert_allclose(found[1:6], [0.3634, 0.1188, 0.03744, 0.01154, 0.003495], rtol=0.05)


def test_a_rectified_coefficient_keeps_its_zero() -> None:
    z = np.maximum(np.random.default_rng(2).normal(size=(4000, 1)), 0)
    found = measure_quantizers(z)
    assert abs(found.offset[4, 0]) < found.step[4, 0] / 2


def test_a_constant_coefficient_loses_nothing() -> None:
    found = measure_quantizers(np.full((500, 1), 7.0))
    np.testing.assert_allclose(found.distortion, 0, atol=1e-9)
    np.testing.assert_allclose(found.offset[0], 7)
