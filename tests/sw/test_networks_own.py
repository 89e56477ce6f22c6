"""A network of one's own: ``package.module:factory`` with a data set and a checkpoint, from training to evaluation."""

import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from typer.testing import CliRunner

from actcodec.cli import app
from actcodec.data import load_dataset
from actcodec.errors import ActcodecError
from actcodec.evaluate import evaluate
from actcodec.export import export_tables
from actcodec.learn import LearnRecipe, TrainingRecipe, learn, train_network
from actcodec.learn.batches import input_batches
from actcodec.learn.calibrate import calibrate
from actcodec.learn.quantize8 import choose_ranges
from actcodec.networks import Network, find_sites, load_network, network_spec, sited_network

torch.set_num_threads(1)
MODULE = """
import torch
from torch import nn


class Gate(nn.Module):
    def forward(self, x):
        return torch.relu(x) if x.sum() != 0.125 else x


class Dense(nn.Module):
    # Two branches, of which the first is finished last; a concatenation; BatchNorm after it.
    actcodec_input = {"mean": (0.13,), "std": (0.31,)}

    def __init__(self, gated=False):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1, stride=2), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.left = nn.Conv2d(8, 8, 3, padding=1)
        self.right = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.norm = nn.BatchNorm2d(16)
        self.mix = nn.Conv2d(16, 8, 1)
        self.gate = Gate() if gated else nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Linear(8, 10)

    def forward(self, x):
        x = self.stem(x)
        left = self.left(x)
        right = torch.relu(self.right(x))
        x = torch.cat([torch.relu_(left), right], 1)
        x = self.pool(self.gate(self.mix(torch.relu(self.norm(x)))))
        return self.head(self.drop(x).mean((2, 3)))


def gated():
    return Dense(gated=True)


def broken():
    raise RuntimeError("no such width")


def number():
    return 3


class Bare(nn.Linear):
    def __init__(self):
        super().__init__(1, 1)


class Short(Bare):
    actcodec_input = {"mean": (0.5, 0.5), "std": (1, 1)}
"""
QUICK = LearnRecipe(method="test", transform="pca", calibration_images=64, selection_images=32, positions=512)
SITES = ["stem.0", "left", "right", "mix"]


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_networks.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "own_networks", raising=False)


def trained(tmp_path: Path, factory: str) -> Path:
    out = tmp_path / "own.safetensors"
    recipe = TrainingRecipe(epochs=1, batch=16)
    train_network(f"own_networks:{factory}", out, recipe=recipe, images=64, progress=False, dataset="mnist")
    return out


def check(network: Network, tmp_path: Path) -> None:
    """Learn, export and evaluate through the golden codec: all stages agree on the sites."""
    train = load_dataset("mnist", "train").head(128)
    plan = learn(network, train, 4.0, recipe=QUICK, progress=False)
    tables = export_tables(plan, tmp_path / "tables", max_mac_share=10)
    images = load_dataset("mnist", "test").head(40)
    golden = evaluate(network, images, "golden", tables=tables, progress=False)
    assert golden.agreement >= 30
    assert golden.divergence < 0.1
    assert evaluate(network, images, "int8", tables=tables, weights="w8", progress=False).agreement >= 30


def test_from_training_to_the_golden_codec(tmp_path: Path) -> None:
    network = load_network("own_networks:Dense", checkpoint=trained(tmp_path, "Dense"), dataset="mnist")
    assert [site.name for site in sited_network(network).sites] == SITES
    assert network.mean == (0.13,)
    check(network, tmp_path)


def test_statistics_go_to_their_own_sites(tmp_path: Path) -> None:
    network = load_network("own_networks:Dense", checkpoint=trained(tmp_path, "Dense"), dataset="mnist")
    sited = sited_network(network)
    images = load_dataset("mnist", "train").images[:32]

    def batches() -> list[torch.Tensor]:
        return list(input_batches(network, images, 16, "", False))

    ranges = choose_ranges(sited, batches(), 0)
    found = calibrate(sited, ranges, batches(), images=32, block=16, seed=0, positions=64)
    means: dict[int, torch.Tensor] = {}

    def look(index: int, tensor: torch.Tensor) -> torch.Tensor:
        means[index] = ranges[index].quantize(tensor).mean((0, 2, 3))
        return tensor

    sited(network.inputs(images), look)
    # ``right`` is finished before ``left``.
    assert list(means) != sorted(means)
    for index, statistics in enumerate(found):
        torch.testing.assert_close(torch.from_numpy(statistics.mean).float(), means[index], atol=1e-3, rtol=1e-4)


def test_a_network_that_cannot_be_traced_goes_by_module_names(tmp_path: Path) -> None:
    path = trained(tmp_path, "gated")
    network = load_network("own_networks:gated", checkpoint=path, dataset="mnist")
    with pytest.raises(ActcodecError, match=r"module gate \(Gate\): cannot be traced"):
        sited_network(network)
    named = load_network("own_networks:gated", checkpoint=path, dataset="mnist", site_modules=("stem", "gate"))
    assert [site.name for site in sited_network(named).sites] == ["stem", "gate"]
    check(named, tmp_path)


def test_the_command_line_learns_and_evaluates_it(tmp_path: Path) -> None:
    path = trained(tmp_path, "gated")
    (tmp_path / "quick.toml").write_text(
        'method = "test"\ntransform = "identity"\ncalibration_images = 32\nselection_images = 16\npositions = 256\n'
    )

    def run(*arguments: object) -> None:
        result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
        assert result.exit_code == 0, result.output

    own = ("--checkpoint", path, "--sites", "stem,gate")
    wanted = ("--model", "own_networks:gated", "--dataset", "mnist")
    run("learn", *wanted, *own, "--recipe", "quick.toml", "--target-bits", 4, "--out", "plan")
    run("export", "--plan", "plan", "--out", "tables", "--max-mac-share", 10)
    # Name and data set are in the tables.
    run("eval", "--golden", "--tables", "tables", *own, "--images", 20, "--json")
    with pytest.raises(ActcodecError, match="cannot be traced"):
        run("eval", "--golden", "--tables", "tables", "--checkpoint", path, "--images", 20)
    with pytest.raises(
        ActcodecError,
        match="give --checkpoint FILE, or run `actcodec train --model own_networks:gated --dataset mnist --out",
    ):
        run("eval", "--golden", "--tables", "tables", "--images", 20)


@pytest.mark.parametrize(
    ("name", "dataset", "problem"),
    [
        ("own_networks:Dense", None, "has no data set; give --dataset, one of: mnist, cifar10"),
        ("own_networks:Dense", "svhn", "has the unknown data set 'svhn'"),
        ("own_networks:Gone", "mnist", "own_networks has no function or class 'Gone'"),
        ("own_network:Dense", "mnist", "own_network cannot be imported: No module named"),
        (":Dense", "mnist", "cannot be imported"),
        ("own_networks:broken", "mnist", "cannot be built: no such width"),
        ("own_networks:number", "mnist", "the factory returned a int, not a Module"),
        ("own_networks:Bare", "mnist", "needs the attribute actcodec_input"),
        ("own_networks:Short", "mnist", "actcodec_input needs 1 means and 1 positive stds"),
        ("mnist-resnet12", "cifar10", "'cifar10' is not mnist-resnet12's, 'mnist'"),
    ],
)
def test_what_cannot_be_used_is_refused(name: str, dataset: str | None, problem: str) -> None:
    with pytest.raises(ActcodecError, match=problem):
        network_spec(name, dataset)


def test_weights_of_another_network_and_pickles_are_refused(tmp_path: Path) -> None:
    save_file({"stem.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ActcodecError, match=r"other\.safetensors: tensor stem\.0\.weight is missing"):
        load_network("own_networks:Dense", checkpoint=tmp_path / "other.safetensors", dataset="mnist")
    torch.save({"a": torch.zeros(1)}, tmp_path / "pickle.pt")
    with pytest.raises(ActcodecError, match=r"pickle\.pt: is not a safetensors file"):
        load_network("own_networks:Dense", checkpoint=tmp_path / "pickle.pt", dataset="mnist")


def test_the_network_of_the_document_works(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "networks.md").read_text()
    (tmp_path / "mynets.py").write_text(text.split("```python\n")[1].split("```")[0])
    spec = network_spec("mynets:Small", "cifar10")
    assert [site.name for site in find_sites(spec.build(), spec.input_shape)] == ["body.0", "body.3"]


def test_networks_of_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    """The core works without torchvision: a stand-in shows what is asked of it, and its absence is named."""
    asked: dict[str, object] = {}

    def get_model(name: str, **arguments: object) -> nn.Module:
        asked.update(arguments, name=name)
        if name != "resnet18":
            raise ValueError(f"Unknown model {name}")
        return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))

    models = ModuleType("torchvision.models")
    models.get_model = get_model  # type: ignore[attr-defined]
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "torchvision", ModuleType("torchvision"))
        patched.setitem(sys.modules, "torchvision.models", models)
        spec = network_spec("torchvision:resnet18", "cifar10")
        assert [site.name for site in find_sites(spec.build(), spec.input_shape)] == ["0"]
        assert asked == {"name": "resnet18", "weights": None, "num_classes": 10}
        with pytest.raises(ActcodecError, match="torchvision:resnet99: cannot be built: Unknown model"):
            network_spec("torchvision:resnet99", "cifar10").build()
        with pytest.raises(ActcodecError, match="has no data set; give --dataset"):
            network_spec("torchvision:resnet18")
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "torchvision.models", None)
        with pytest.raises(ActcodecError, match="needs torchvision, which cannot be imported"):
            network_spec("torchvision:resnet18", "cifar10")


def test_networks_of_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with torchvision; its networks carry their own normalisation, and may bring weights."""
    asked: dict[str, object] = {}

    def create_model(name: str, **arguments: object) -> nn.Module:
        asked.update(arguments, name=name)
        channels = int(str(arguments["in_chans"]))
        net = nn.Sequential(nn.Conv2d(channels, 8, 3), nn.ReLU(), nn.Conv2d(8, 10, 26), nn.Flatten())
        net.pretrained_cfg = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}
        return net

    timm = ModuleType("timm")
    timm.create_model = create_model  # type: ignore[attr-defined]
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "timm", timm)
        spec = network_spec("timm:resnet18", "mnist")
        assert (spec.mean, spec.std) == ((0.5,), (0.25,))
        assert asked == {"name": "resnet18", "pretrained": False, "num_classes": 10, "in_chans": 1}
        with pytest.raises(ActcodecError, match="give --checkpoint FILE"):
            load_network("timm:resnet18", dataset="mnist")
        torch.manual_seed(0)
        network = load_network("timm:resnet18,pretrained=yes", dataset="mnist")
        assert asked["pretrained"] is True and len(network.checkpoint_sha256) == 64
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "timm", None)
        with pytest.raises(ActcodecError, match="needs timm, which cannot be imported"):
            network_spec("timm:resnet18", "cifar10")
