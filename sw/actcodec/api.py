"""The verbs of the command line as functions, for notebooks and programs of one's own.

    from actcodec import api

    network = api.network("mnist-resnet12")
    plan = api.learn(network, target_bits=3)
    tables = api.export(plan, "build/tables")
    print(api.evaluate(tables).accuracy, api.traffic(tables).codec("actcodec").ratio(8, 16))

Networks, plans and tables may be given as objects or as what the command line takes: names and directories. Importing
this module imports neither torch nor a simulator; the first verb that needs one does. Bad input raises
``ActcodecError``, one line that names the object, the field and the value.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from actcodec.errors import ActcodecError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from actcodec.codecs import CodecStore
    from actcodec.data import Dataset
    from actcodec.evaluate import Evaluation
    from actcodec.graph import LayerGraph
    from actcodec.learn import LearnRecipe, Plan, TrainingRecipe
    from actcodec.networks import Network
    from actcodec.params import CodecParams
    from actcodec.tables import Tables
    from actcodec_sim.accelerator import AcceleratorReport
    from actcodec_sim.cosim import CosimResult
    from actcodec_sim.traffic import TrafficReport

__all__ = [
    "ActcodecError",
    "accelerator",
    "cosim",
    "dataset",
    "decode",
    "encode",
    "evaluate",
    "export",
    "graph",
    "learn",
    "network",
    "report",
    "rtl",
    "tables",
    "traffic",
    "train",
]

PathLike = str | Path
Simulator = Literal["verilator", "icarus"]


def network(
    model: str | nn.Module,
    dataset: str | None = None,
    *,
    checkpoint: PathLike | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    name: str | None = None,
    sites: Sequence[str] = (),
    data_root: PathLike | None = None,
) -> Network:
    """Return the trained network ``model``: a name as for ``--model``, or a module of one's own with its weights.

    ``dataset`` is needed for all but the networks of the project. A module's images are normalised by ``mean`` and
    ``std`` of images/255, or its attribute ``actcodec_input``; it goes by ``name``, or the name of its class.
    ``sites`` names the modules whose outputs are stored where the network cannot be traced.
    Raises ActcodecError where name, checkpoint, data set or normalisation do not fit.
    """
    from actcodec.networks import load_network
    from actcodec.networks.own import module_network

    if isinstance(model, str):
        if mean is not None or std is not None or name is not None:
            raise ActcodecError(f"network {model}", "mean, std and name are those of a module, not of a name")
        return load_network(model, _path(data_root), _path(checkpoint), dataset=dataset, site_modules=tuple(sites))
    if checkpoint is not None:
        raise ActcodecError(
            f"network {type(model).__name__}", "a module comes with its weights; checkpoint is for names"
        )
    return module_network(model, dataset, mean=mean, std=std, name=name, site_modules=tuple(sites))


def dataset(name: str, split: Literal["train", "test"], *, data_root: PathLike | None = None) -> Dataset:
    """Return ``split`` of a data set: a name, ``imagefolder:PATH`` or ``hf:NAME``."""
    from actcodec.data import load_dataset

    return load_dataset(name, split, _path(data_root))


def train(
    model: str,
    out: PathLike,
    *,
    dataset: str | None = None,
    recipe: TrainingRecipe | None = None,
    images: int | None = None,
    seed: int = 0,
    data_root: PathLike | None = None,
    progress: bool = False,
) -> float:
    """Train the network ``model`` from scratch, write its checkpoint to ``out``, return its test accuracy, 0…1."""
    from actcodec.learn import train_network

    return train_network(
        model,
        Path(out),
        recipe=recipe,
        seed=seed,
        root=_path(data_root),
        images=images,
        progress=progress,
        dataset=dataset,
    ).accuracy


def learn(
    model: Network | str,
    target_bits: float,
    *,
    recipe: LearnRecipe | str = "waterfill",
    codec: CodecParams | str = "default",
    images: Dataset | None = None,
    seed: int = 0,
    out: PathLike | None = None,
    data_root: PathLike | None = None,
    progress: bool = False,
) -> Plan:
    """Return the plan that stores every site of ``model`` in at most ``target_bits`` stream bits a value.

    ``recipe`` and ``codec`` are names in configs/learn and configs/codec, files, or objects. ``images`` is the training
    split of the network's data set, loaded where it is not given. The plan is saved in ``out`` where that is given.
    """
    from actcodec.learn import learn as run
    from actcodec.learn import load_recipe, save_plan
    from actcodec.params import load_params

    opened = _network(model, data_root)
    plan = run(
        opened,
        images if images is not None else dataset(opened.dataset, "train", data_root=data_root),
        target_bits,
        seed,
        recipe=load_recipe(recipe) if isinstance(recipe, str) else recipe,
        params=load_params(codec) if isinstance(codec, str) else codec,
        progress=progress,
    )
    if out is not None:
        save_plan(plan, Path(out))
    return plan


def export(
    source: Plan | Tables | PathLike,
    out: PathLike | None = None,
    *,
    format: Literal["tables", "c-header", "qonnx"] = "tables",
    max_mac_share: float = 0.15,
    reloaded: bool = False,
) -> Tables:
    """Freeze a plan into integer tables and return them, or write tables in another ``format``.

    ``source`` is a plan or its directory; for ``c-header`` and ``qonnx`` tables or theirs. They are written into
    ``out``; without it a plan's tables are only returned. Folded sites are exported by the command line.
    Raises ActcodecError where the codec takes more than ``max_mac_share`` of the network's multiplications.
    """
    from actcodec.learn import Plan, load_plan
    from actcodec.tables import Tables

    if format == "tables":
        if isinstance(source, Tables):
            raise ActcodecError("export", "takes a plan; these are tables already")
        from actcodec.export import export_tables, integer_tables

        plan = source if isinstance(source, Plan) else load_plan(Path(source))
        options: Any = {"max_mac_share": max_mac_share, "residency": "reloaded" if reloaded else "resident"}
        return integer_tables(plan, **options) if out is None else export_tables(plan, Path(out), **options)
    from actcodec.deploy import FORMATS

    if format not in FORMATS:
        raise ActcodecError("export", f"format {format!r} is unknown; known: tables, {', '.join(FORMATS)}")
    if out is None or isinstance(source, Plan):
        raise ActcodecError("export", f"format {format!r} takes tables and out")
    found = _tables(source)
    FORMATS[format](Path(out), found)
    return found


def tables(directory: PathLike) -> Tables:
    """Return the tables in ``directory``, checked."""
    from actcodec.tables import load_tables

    return load_tables(Path(directory))


def evaluate(
    source: Tables | PathLike | None = None,
    model: Network | str | None = None,
    *,
    mode: Literal["float", "int8", "golden"] = "golden",
    weights: Literal["float", "w8"] = "float",
    images: Dataset | int | None = None,
    data_root: PathLike | None = None,
    progress: bool = False,
) -> Evaluation:
    """Return accuracy and agreement with the uncompressed network on the test set, or on the first ``images`` of it.

    Of ``golden`` every stored tensor goes through the integer codec of the tables, with the real bytes of its stream.
    ``model`` is the network that the tables name where it is not given, with the weights beside the tables if some are.
    """
    from actcodec.evaluate import evaluate as run
    from actcodec.files import WEIGHTS
    from actcodec.networks import load_network

    found = None if source is None else _tables(source)
    if model is None:
        if found is None:
            raise ActcodecError("evaluate", "needs tables or a model")
        trained = None
        if isinstance(source, str | Path) and (Path(source) / WEIGHTS).exists():
            trained = Path(source) / WEIGHTS
        named = found.provenance
        model = load_network(named.network, _path(data_root), trained, dataset=named.dataset)
    opened = _network(model, data_root)
    test = dataset(opened.dataset, "test", data_root=data_root) if images is None or isinstance(images, int) else images
    if isinstance(images, int):
        test = test.head(images)
    return run(opened, test, mode, tables=found, weights=weights, progress=progress)


def encode(source: Tables | PathLike, site: str, activations: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the stream of a site's activations, uint8 H×W×C or N×H×W×C in stored order, by the golden model."""
    from actcodec.golden import SiteCodec

    return SiteCodec(_tables(source).site(site)).encode(activations)


def decode(source: Tables | PathLike, site: str, stream: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the activations that a stream of `encode` holds."""
    from actcodec.golden import SiteCodec

    return SiteCodec(_tables(source).site(site)).decode(stream)


def graph(model: Network | str, dataset: str | None = None) -> LayerGraph:
    """Return the layers of a network: operands, windows, multiplications, what is fused. A name needs no weights."""
    from actcodec.networks import network_spec
    from actcodec.networks.layers import layer_graph

    if isinstance(model, str):
        spec = network_spec(model, dataset)
        return layer_graph(model, spec.build(), spec.input_shape)
    return layer_graph(model.name, model.model, model.input_shape)


def traffic(source: Tables | PathLike, device: str = "DDR4-2400") -> TrafficReport:
    """Return the DRAM traffic of one frame, raw 8-bit and coded, on ``device`` (configs/dram or a file)."""
    from actcodec_sim.traffic import run_traffic

    return run_traffic(_tables(source), device)


def accelerator(
    source: Tables | PathLike,
    name: str,
    *,
    device: str = "DDR4-2400",
    energy: str = "45nm",
    layers: LayerGraph | None = None,
    codecs: CodecStore | None = None,
) -> AcceleratorReport:
    """Return bytes, cycles, energy and bounds of one frame on accelerator ``name`` (configs/accelerator or a file).

    ``layers`` are those of the network that the tables name, where they are not given.
    """
    from actcodec_sim.accelerator import load_accelerator, run_network
    from actcodec_sim.dram import load_device
    from actcodec_sim.traffic import load_energy

    found = _tables(source)
    named = found.provenance
    return run_network(
        graph(named.network, named.dataset) if layers is None else layers,
        load_accelerator(name),
        load_device(device),
        energy=load_energy(energy),
        tables=found,
        store=codecs,
    )


def report(source: Tables | PathLike, out: PathLike, device: str = "DDR4-2400") -> Path:
    """Write traffic.csv, traffic.json and a self-contained HTML page into ``out``; return the page's path."""
    from actcodec_sim.report import write_report

    write_report(Path(out), traffic(source, device), [])
    return Path(out) / "index.html"


def rtl(out: PathLike, codec: CodecParams | str = "default") -> Path:
    """Write the Verilog of codec and AXI shell with ports and registers into ``out``; return the file list's path."""
    from actcodec.params import load_params
    from actcodec_rtl.generate import FILE_LIST, generate

    generate(load_params(codec) if isinstance(codec, str) else codec, Path(out))
    return Path(out) / FILE_LIST


def cosim(
    source: Tables | PathLike,
    activations: dict[str, NDArray[np.uint8]],
    *,
    simulator: Simulator = "verilator",
    out: PathLike | None = None,
    cache: PathLike = "build/cache",
    stall: float = 0.3,
    seed: int = 0,
) -> CosimResult:
    """Run the sites named by ``activations``, uint8 H×W×C each, through the Verilog, against the golden model.

    ``out`` keeps logs and traffic of the simulation, ``cache`` its builds. Every word is compared; the result tells
    cycles, counters and digests.
    """
    from actcodec_sim.cosim import cosimulate

    found = _tables(source)
    with tempfile.TemporaryDirectory() as scratch:
        return cosimulate(
            found,
            activations,
            simulator,
            Path(cache),
            Path(out) if out is not None else Path(scratch),
            seed=seed,
            stall=stall,
            only=tuple(activations),
        )


def _path(path: PathLike | None) -> Path | None:
    return None if path is None else Path(path)


def _network(model: Network | str, data_root: PathLike | None) -> Network:
    return network(model, data_root=data_root) if isinstance(model, str) else model


def _tables(source: Tables | PathLike) -> Tables:
    return tables(source) if isinstance(source, str | Path) else source
