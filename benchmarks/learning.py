"""Accuracy through the integer golden model against bits a value, for several bases with and without fine-tuning.

    python benchmarks/learning.py      runs what is missing, writes benchmarks/results/learning.json after every case

The test set is evaluated once per case, whole. Plans and tables stay in build/benchmarks/learning.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from actcodec.data import load_dataset
from actcodec.evaluate import evaluate
from actcodec.export import integer_tables
from actcodec.files import write_json
from actcodec.learn import LearnRecipe, learn, save_plan
from actcodec.networks import load_network
from actcodec.params import load_params
from actcodec.tables import save_tables

RESULT = Path(__file__).parent / "results" / "learning.json"
BUILD = Path("build") / "benchmarks" / "learning"
COMMAND = "python benchmarks/learning.py"


@dataclass(frozen=True)
class Case:
    """One plan: ``epochs`` of 0 is post-training."""

    network: str
    target_bits: float
    transform: str
    epochs: int
    images: int
    seed: int = 0

    @property
    def name(self) -> str:
        """Name of the case's folder."""
        return "-".join(str(v) for v in asdict(self).values())

    def recipe(self) -> LearnRecipe:
        """The recipe that the case runs."""
        content: dict[str, Any] = {
            "method": "waterfill+finetune" if self.epochs else "waterfill",
            "transform": self.transform,
            "epochs": self.epochs,
        }
        return LearnRecipe.model_validate({**content, **({"images": self.images} if self.epochs else {})})


_MNIST, _CIFAR = "mnist-resnet12", "cifar10-resnet20"
CASES = (
    *(Case(_MNIST, bits, "auto", 0, 0) for bits in (3.0, 2.0)),
    *(Case(_MNIST, bits, basis, 3, 3000) for bits in (2.0, 1.6) for basis in ("identity", "pca", "fisher")),
    Case(_CIFAR, 3.0, "auto", 0, 0),
    Case(_CIFAR, 3.0, "fisher", 5, 8000),
    Case(_CIFAR, 3.0, "identity", 5, 8000),
    Case(_CIFAR, 2.5, "fisher", 5, 8000),
    Case(_CIFAR, 2.5, "identity", 5, 8000),
)


def run(case: Case) -> dict[str, Any]:
    """Learn, export and evaluate one case."""
    begin = time.monotonic()
    network = load_network(case.network)
    train, test = (load_dataset(network.dataset, split) for split in ("train", "test"))
    folder = BUILD / case.name
    plan = learn(
        network,
        train,
        case.target_bits,
        case.seed,
        recipe=case.recipe(),
        params=load_params("default"),
        state=folder / "learn.resume",
    )
    learned = time.monotonic() - begin
    save_plan(plan, folder / "plan")
    # The share of multiplications is reported here, not enforced.
    tables = integer_tables(plan, max_mac_share=1.0)
    digest = save_tables(tables, folder / "tables")
    results = {
        "float": evaluate(network, test, "float"),
        "int8": evaluate(network, test, "int8", tables=tables),
        "golden": evaluate(network, test, "golden", tables=tables),
        "golden_w8": evaluate(network, test, "golden", tables=tables, weights="w8"),
    }
    return {
        **asdict(case),
        "test_images": len(test),
        "accuracy": {name: result.accuracy for name, result in results.items()},
        "divergence": {name: result.divergence for name, result in results.items()},
        "bpv_stream": tables.bpv_stream,
        "bpv_net": {str(batch): tables.bpv_net(batch) for batch in (1, 16)},
        "codec_mac_share": tables.provenance.codec_mac_share,
        "projected_sites": sum(site.info.transform == "project" for site in tables.sites),
        "sites": len(tables.sites),
        "tables_digest": digest,
        "learn_seconds": round(learned, 1),
    }


def main() -> None:
    """Run every case that the result file does not have yet."""
    torch.set_num_threads(1)
    done: list[dict[str, Any]] = json.loads(RESULT.read_text())["cases"] if RESULT.exists() else []
    for case in CASES:
        key = asdict(case)
        if any(all(entry[name] == value for name, value in key.items()) for entry in done):
            continue
        done.append(run(case))
        write_json(RESULT, {"command": COMMAND, "cases": done})
        last = done[-1]
        print(case.name, last["accuracy"], last["divergence"]["golden"], last["bpv_stream"], flush=True)


if __name__ == "__main__":
    main()
