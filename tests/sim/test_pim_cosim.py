"""The exported macro in Verilator and Icarus: all narrow pairs, random wide and mixed ones, a layer of a network."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from actcodec.data import load_dataset
from actcodec.errors import ActcodecError
from actcodec.networks import Network, load_network
from actcodec.pim import PimMode, PimParams, load_pim_params
from actcodec.pim import model as golden
from actcodec.pim.network import quantized_convolution
from actcodec_sim.cosim.simulators import SIMULATORS, Simulator
from actcodec_sim.pim.batch import Batch, layer_batches, layer_outputs
from actcodec_sim.pim.cosim import cosimulate_pim
from support.cosim import CACHE
from support.pim import MODES, TINY, all_pairs, random_block


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_every_mode_is_the_golden_model(simulator: Simulator, tmp_path: Path) -> None:
    """All pairs of 2 × 2 and of 4 × 4 bits, all signs; random operands in all other modes."""
    rng = np.random.default_rng(0)
    narrow = [mode for mode in MODES if mode.weight_bits == mode.input_bits <= 4]
    batches: list[Batch] = [all_pairs(TINY, mode, rows=4) for mode in narrow]
    batches += [random_block(rng, TINY, mode, 2) for mode in MODES if mode not in narrow]
    for batch in batches[: len(narrow)]:
        products = (zip(vector, batch.weights, strict=True) for vector in batch.vectors)
        seen = {(int(x), int(w)) for rows in products for x, row in rows for w in row}
        assert len(seen) == 4**batch.mode.weight_bits
    result = cosimulate_pim(TINY, batches, simulator, CACHE, tmp_path / "job", stall=0.3, output_stall=0.4)
    assert len(result.batches) == len(MODES)
    assert all(batch.cycles == batch.cycles_formula for batch in result.batches)


def a_network() -> tuple[Network, str]:
    """ResNet-20 of CIFAR-10 where its data are at hand, else the embedded network; and a convolution of it."""
    try:
        return load_network("cifar10-resnet20"), "layer1.0.conv2"
    except ActcodecError:
        return load_network("mnist-resnet12"), "layer1.0.conv2"


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_a_layer_of_a_network_is_the_integer_convolution(simulator: Simulator, tmp_path: Path) -> None:
    network, name = a_network()
    images = load_dataset(network.dataset, "test").images[:1]
    layer, params = quantized_convolution(network, name, images, 4, 4), load_pim_params("default")
    sums = layer.integer_convolution()
    assert np.array_equal(layer.outputs(params), sums)
    wanted, vectors, matrix = sums[0].reshape(len(layer.weights), -1).T, layer.vectors(), layer.matrix()
    chosen = np.linspace(0, len(wanted) - 1, 12).astype(int)
    batches = layer_batches(params, layer.mode, vectors[chosen], matrix)
    assert len(batches) == 3
    result = cosimulate_pim(params, batches, simulator, CACHE, tmp_path / "job")
    taken = [batch.taken for batch in result.batches]
    assert np.array_equal(layer_outputs(params, layer.mode, matrix.shape, taken), wanted[chosen])


def test_a_wrong_sign_slice_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = golden.shift_add
    monkeypatch.setattr(golden, "shift_add", lambda mode, columns: right(PimMode(mode.weight_bits, 2, False), columns))
    batch = random_block(np.random.default_rng(1), TINY, PimMode(4, 4, True, True), 2)
    with pytest.raises(ActcodecError, match="s4xs4, result 0: got 0x"):
        cosimulate_pim(TINY, [batch], "icarus", CACHE, tmp_path / "job")


class _HalfWritten(Batch):
    """A batch that leaves half of the cells undefined."""

    def rows(self, params: PimParams) -> list[int]:
        return super().rows(params)[: params.rows // 2]


def test_an_undefined_cell_is_found(tmp_path: Path) -> None:
    block = random_block(np.random.default_rng(2), TINY, PimMode(4, 4), 2)
    with pytest.raises(ActcodecError, match="co-simulation failed"):
        cosimulate_pim(
            TINY, [_HalfWritten(block.mode, block.weights, block.vectors)], "icarus", CACHE, tmp_path / "job"
        )
    assert "non-0/1 values" in (tmp_path / "job" / "simulation.log").read_text()


@pytest.mark.parametrize(("weight_bits", "input_bits"), list(product((2, 8), (2, 8))))
def test_codes_of_a_layer_use_their_range(weight_bits: int, input_bits: int) -> None:
    network = load_network("mnist-resnet12")
    images = load_dataset("mnist", "test").images[:1]
    layer = quantized_convolution(network, "layer1.0.conv2", images, weight_bits, input_bits)
    assert layer.x.min() == 0 and layer.x.max() == (1 << input_bits) - 1
    assert layer.weights.min() < 0 < layer.weights.max() <= (1 << (weight_bits - 1)) - 1
    assert 0 < layer.bit_density < layer.density < 1
    assert np.array_equal(layer.outputs(TINY), layer.integer_convolution())


@pytest.mark.parametrize(
    ("layer", "problem"), [("layer1", "'layer1' is none of its convolutions conv1, layer1.0.conv1"), ("conv1", "ReLU")]
)
def test_what_is_no_convolution_behind_a_relu_is_refused(layer: str, problem: str) -> None:
    network, images = load_network("mnist-resnet12"), load_dataset("mnist", "test").images[:1]
    with pytest.raises(ActcodecError, match=problem):
        quantized_convolution(network, layer, images, 4, 4)
