import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import actcodec
from actcodec.data import load_dataset
from actcodec.errors import ActcodecError
from actcodec.networks import load_network, network_spec
from support.data import needs

torch.set_num_threads(1)
EMBEDDED = Path(actcodec.__file__).parent / "checkpoints" / "mnist-resnet12.safetensors"


def test_the_embedded_network_is_small_and_accurate() -> None:
    network = load_network("mnist-resnet12")
    assert EMBEDDED.stat().st_size < 1_000_000
    assert network.checkpoint_sha256 == hashlib.sha256(EMBEDDED.read_bytes()).hexdigest()
    test = load_dataset(network.dataset, "test")
    with torch.no_grad():
        predicted = network.model(network.inputs(test.images)).argmax(1).numpy()
    assert np.mean(predicted == test.labels) >= 0.985


@needs("pretrained/cifar10_resnet20.safetensors")
def test_resnet20_reaches_its_published_accuracy_on_a_prefix() -> None:
    network = load_network("cifar10-resnet20")
    test = load_dataset("cifar10", "test").head(500)
    with torch.no_grad():
        predicted = network.model(network.inputs(test.images)).argmax(1).numpy()
    assert np.mean(predicted == test.labels) >= 0.88


def test_inputs_are_normalised_and_checked() -> None:
    network = load_network("mnist-resnet12")
    x = network.inputs(np.full((2, 28, 28, 1), 255, np.uint8))
    assert x.shape == (2, 1, 28, 28)
    torch.testing.assert_close(x[0, 0, 0, 0], torch.tensor((1 - 0.1307) / 0.3081))
    with pytest.raises(ActcodecError, match=r"takes images \(28, 28, 1\)"):
        network.inputs(np.zeros((2, 32, 32, 3), np.uint8))


def test_unknown_networks_and_bad_checkpoints_are_named(tmp_path: Path) -> None:
    with pytest.raises(ActcodecError, match="'alexnet' is unknown; known: mnist-resnet12"):
        network_spec("alexnet")
    path = tmp_path / "bad.safetensors"
    with pytest.raises(ActcodecError, match=r"bad\.safetensors: cannot be read"):
        load_network("mnist-resnet12", checkpoint=path)
    path.write_bytes(b"nonsense")
    with pytest.raises(ActcodecError, match=r"bad\.safetensors: is not a safetensors file"):
        load_network("mnist-resnet12", checkpoint=path)
    state = load_file(EMBEDDED)
    save_file({name: value for name, value in state.items() if name != "linear.bias"}, path)
    with pytest.raises(ActcodecError, match=r"tensor linear\.bias is missing"):
        load_network("mnist-resnet12", checkpoint=path)
    save_file({**state, "linear.bias": torch.zeros(3)}, path)
    with pytest.raises(ActcodecError, match=r"tensor linear\.bias has shape \(3,\), expected \(10,\)"):
        load_network("mnist-resnet12", checkpoint=path)
    save_file({**state, "extra": torch.zeros(3)}, path)
    with pytest.raises(ActcodecError, match="tensor extra is unknown"):
        load_network("mnist-resnet12", checkpoint=path)
