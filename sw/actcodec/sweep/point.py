"""One point of a sweep: a method at a target, learned, exported and measured on the whole test set."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from actcodec.activations import network_of_tables
from actcodec.data import Dataset, load_dataset, split_training
from actcodec.errors import ActcodecError
from actcodec.evaluate import Evaluation, evaluate, float_logits
from actcodec.export import export_tables
from actcodec.learn import LearnRecipe, learn, load_recipe, save_plan
from actcodec.learn.tuning.trainer import TrainingData, train
from actcodec.networks import Network, SitedNetwork, load_network, network_macs, sited_network
from actcodec.networks.registry import network_with
from actcodec.params import CodecParams
from actcodec.rivals import transform_coding
from actcodec.rivals.cat import CatNetwork, cat_layers
from actcodec.rivals.huffman_site import HuffmanSite, count_symbols
from actcodec.rivals.lossless import LosslessOnCodes
from actcodec.rivals.measure import Measurement, SiteCoder, measure

BATCHES = (1, 16)
REFERENCE_BITS = (8, 16, 32)


@dataclass(frozen=True)
class Point:
    """What is measured: ``method`` is a recipe or a sum of recipes, ``target_bits`` its stream bits a value."""

    network: str
    method: str
    target_bits: float
    seed: int = 0

    @property
    def name(self) -> str:
        """Name of the point's folder."""
        method = "+".join(Path(part).stem for part in self.method.split("+"))
        return f"{method}-{self.target_bits:g}-s{self.seed}"


@dataclass(frozen=True)
class Setting:
    """What all points of a sweep share."""

    params: CodecParams
    data_root: Path | None = None
    checkpoint: Path | None = None
    test_images: int | None = None
    """None: the whole test set."""
    expected: NDArray[np.float32] | None = None
    """Logits of the uncompressed network on the test images, (N, classes)."""
    dataset: str | None = None
    """Of a network from outside."""


def run_point(point: Point, setting: Setting, folder: Path, recipe: LearnRecipe | None = None) -> dict[str, Any]:
    """Measure ``point`` and return its result; plan and tables are left in ``folder``.

    ``recipe`` is that of the point's method, where it has been read already.

    A greedy allocation's log lies in ``folder``'s parent and is shared by all points that cut the same way.
    Raises ActcodecError as `learn` does.
    """
    recipe = recipe or load_recipe(point.method)
    network = load_network(point.network, setting.data_root, setting.checkpoint, dataset=setting.dataset)
    training, test = (load_dataset(network.dataset, split, setting.data_root) for split in ("train", "test"))
    if setting.test_images is not None:
        test = test.head(setting.test_images)
    expected = float_logits(network, test) if setting.expected is None else torch.from_numpy(setting.expected)
    if recipe.coder == "huffman":
        measured = _huffman(point, recipe, network, training, test, expected, folder)
    else:
        measured = _coded(point, recipe, network, training, test, expected, setting, folder)
    return {
        **asdict(point),
        "panel": recipe.panel,
        "test_images": len(test),
        "epochs": recipe.epochs,
        "train_images": recipe.images if recipe.epochs else 0,
        "search_epochs": recipe.search_epochs,
        "search_images": recipe.search_images if recipe.search_epochs else 0,
        "block_epochs": recipe.block_epochs,
        "block_images": recipe.block_images if recipe.block_epochs else 0,
        "weights": "trained" if recipe.trains_weights else "frozen",
        "coder": recipe.coder,
        **measured,
        "ratio": {str(bits): bits / measured["bpv_stream"] for bits in REFERENCE_BITS},
    }


def _coded(
    point: Point,
    recipe: LearnRecipe,
    network: Network,
    training: Dataset,
    test: Dataset,
    expected: Tensor,
    setting: Setting,
    folder: Path,
) -> dict[str, Any]:
    walk = hashlib.sha256(json.dumps(recipe.walk, sort_keys=True).encode()).hexdigest()[:8]
    plan = learn(
        network,
        training,
        point.target_bits,
        point.seed,
        recipe=recipe,
        params=setting.params,
        state=folder / "training.resume",
        greedy_log=folder.parent / f"greedy-{walk}-s{point.seed}.json",
        search_log=folder / "search.json",
        progress=False,
    )
    save_plan(plan, folder / "plan")
    # The share of multiplications is reported here, not enforced.
    tables = export_tables(plan, folder / "tables", max_mac_share=1.0)
    for state in folder.glob("*.resume"):
        state.unlink(missing_ok=True)
    tuned = network if plan.weights is None else network_with(network, plan.weights)
    projected = sum(site.info.transform == "project" for site in tables.sites)
    common = {
        "moment_images": plan.provenance.calibration_images if recipe.batchnorm else 0,
        "projected_sites": projected,
        "sites": len(tables.sites),
        "table_bytes": tables.table_bytes,
        "codec_mac_share": tables.provenance.codec_mac_share,
    }
    if recipe.coder == "codec":
        result = evaluate(tuned, test, "golden", tables=tables, progress=False, expected=expected)
        return {
            **_fidelity(result),
            "bpv_stream": tables.bpv_stream,
            "bpv_relu": tables.bpv_relu,
            "bpv_net": {str(batch): tables.bpv_net(batch) for batch in BATCHES},
            **common,
        }
    coders = [LosslessOnCodes(site, recipe.coder) for site in tables.sites]
    return {
        **_variable(network, expected, network_of_tables(tuned, tables), coders, test, 8 * tables.table_bytes),
        **common,
    }


def _fidelity(result: Evaluation | Measurement) -> dict[str, Any]:
    return {
        "accuracy": result.accuracy,
        "divergence": result.divergence,
        "agreement": result.agreement / result.images,
        "logit_sqnr": result.logit_sqnr,
    }


def _variable(
    network: Network,
    expected: Tensor,
    sited: SitedNetwork,
    coders: list[Any],
    test: Dataset,
    table_bits: int,
) -> dict[str, Any]:
    typed: list[SiteCoder] = coders
    result = measure(network, expected, sited, typed, test, progress=False)
    values = [site.values * result.images for site in sited.sites]
    relu = [number for number, site in enumerate(sited.sites) if site.activation != "none"]
    stream = sum(result.bits) / sum(values)
    return {
        **_fidelity(result),
        "bpv_stream": stream,
        "bpv_relu": sum(result.bits[i] for i in relu) / sum(values[i] for i in relu) if relu else None,
        "bpv_net": {str(n): stream + table_bits * result.images / (n * sum(values)) for n in BATCHES},
    }


def _huffman(
    point: Point,
    recipe: LearnRecipe,
    network: Network,
    training: Dataset,
    test: Dataset,
    expected: Tensor,
    folder: Path,
) -> dict[str, Any]:
    """Transform coding or CAT: the quantizers, then a Huffman code for their symbols on the calibration images."""
    split = split_training(training)
    calibration = split.pool.images[: recipe.calibration_images]
    teacher = sited_network(network)
    sited = teacher
    quantizers: Sequence[Any]
    # Of a position: C multiplications a value and as many for every reader, or none.
    multiplications = 0
    if recipe.allocation == "transform-coding":
        sensitivity = transform_coding.fisher_sensitivity(network, teacher, calibration, point.seed)
        quantizers, counts = transform_coding.fit(
            network, teacher, sensitivity, calibration, point.target_bits, progress=False
        )
        multiplications = sum(transform_coding.multiplications(site) * (1 + site.readers) for site in teacher.sites)
        dense = sum(map(transform_coding.transform_bits, teacher.sites))
    else:
        if not recipe.epochs:
            raise ActcodecError(point.method, "CAT is a way of training; add a training stage (cat+tuned)")
        sited = sited_network(network)
        layers = cat_layers(network, teacher, calibration, recipe.cat_bits, progress=False)
        # A Huffman code costs a little more than the entropy.
        compressed = CatNetwork(sited, layers, 0.96 * point.target_bits, recipe.entropy)
        data = TrainingData(network, split.pool.head(recipe.images), split.selection.images[: recipe.selection_images])
        state = folder / "training.resume"
        identity = {"network": network.name, "target": point.target_bits}
        train(compressed, teacher, data, recipe, point.seed, identity, state, progress=False)
        state.unlink(missing_ok=True)
        quantizers, dense = layers, 0
        counts = count_symbols(network, sited, layers, calibration, progress=False)
    coders = [HuffmanSite(quantizers[i], count) for i, count in enumerate(counts)]
    table_bits = dense + sum(coder.table_bits for coder in coders)
    return {
        **_variable(network, expected, sited, coders, test, table_bits),
        "table_bytes": -(-table_bits // 8),
        "codec_mac_share": multiplications / network_macs(network.model, network.input_shape),
    }
