"""Verb of layer graphs: graph; and the traffic of a network on an accelerator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from actcodec.cli.options import DatasetOption, JsonOption, print_json, print_table
from actcodec.errors import ActcodecError
from actcodec.sources import image_shape

if TYPE_CHECKING:
    from actcodec.codecs import CodecStore
    from actcodec.graph import LayerGraph
    from actcodec.tables import Tables
    from actcodec_sim.accelerator import AcceleratorReport

AcceleratorOption = Annotated[
    str | None,
    typer.Option("--accelerator", help="Run on this accelerator: a name in configs/accelerator or a TOML file."),
]
GraphOption = Annotated[
    Path | None,
    typer.Option(
        "--graph", help="Layers, as `actcodec graph` writes them; default: those of the network of tables or codecs."
    ),
]
TopologyOption = Annotated[
    Path | None, typer.Option("--topology", help="Layers as a SCALE-Sim topology CSV, instead of a network.")
]
PlanByOption = Annotated[
    Literal["codec", "raw8"],
    typer.Option("--plan-by", help="Whose bytes choose the tilings: each codec's own, or raw8's for all."),
]
ReloadOption = Annotated[
    bool, typer.Option("--reload-tables", help="On an accelerator: load the codec's tables for every layer.")
]
_UNIT_TABLES = 3
"""Codecs up to which every one's layers are printed; of more, those of raw8 and actcodec."""


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(epilog="**Example**: `actcodec graph --model cifar10-mobilenetv2-w0.5 --out build/mobilenetv2.json`")(
        graph
    )


def graph(
    out: Annotated[Path, typer.Option("--out", help="JSON file of the layers.")],
    model: Annotated[str | None, typer.Option("--model", help="Network, by name or package.module:factory.")] = None,
    topology: TopologyOption = None,
    dataset: DatasetOption = None,
    input_shape: Annotated[
        str | None, typer.Option("--input", help="Shape of an image, CxHxW; default: the data set's.")
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Write a network's layers: operands, shortcuts, windows, MACs, weights, what is fused. No weights are needed."""
    from actcodec.graph import read_topology, write_graph

    if (model is None) == (topology is None):
        raise ActcodecError("graph", "give either --model or --topology")
    if topology is not None:
        found = read_topology(topology)
    else:
        assert model is not None
        found = _traced(model, dataset, _shape(input_shape))
    write_graph(out, found)
    if json_output:
        print_json({"file": str(out), "layers": len(found.layers), "macs": found.macs, "weights": found.weight_bytes})
        return
    print_table(
        f"{found.network}: {len(found.layers)} layers, {found.macs} MACs, {found.weight_bytes} weights",
        "layer|kind|reads|C×H×W|kernel|stride|MACs|weights|fused",
        [
            (
                layer.name,
                layer.kind,
                " ".join(("+" if read.role == "shortcut" else "") + read.tensor for read in layer.reads),
                "×".join(str(side) for side in (tensor.channels, tensor.height, tensor.width)),
                "×".join(map(str, layer.kernel)),
                "×".join(map(str, layer.stride)),
                layer.macs,
                layer.weight_bytes,
                " ".join(layer.fused),
            )
            for layer in found.layers
            for tensor in [found.by_name[layer.output]]
        ],
    )


def run_on_accelerator(
    accelerator: str,
    device: str,
    tables: Tables | None,
    store: CodecStore | None,
    graph_file: Path | None,
    topology: Path | None,
    *,
    energy: str,
    plan_by: Literal["codec", "raw8"],
    reload_tables: bool,
) -> AcceleratorReport:
    """The report of raw bytes, and of tables and measured codecs where some are given, on an accelerator.

    Raises ActcodecError where there are no layers, or something does not fit.
    """
    from actcodec_sim.accelerator import load_accelerator, run_network
    from actcodec_sim.dram import load_device
    from actcodec_sim.traffic import load_energy

    chosen, memory, constants = load_accelerator(accelerator), load_device(device), load_energy(energy)
    return run_network(
        _layers(tables, store, graph_file, topology),
        chosen,
        memory,
        energy=constants,
        tables=tables,
        store=store,
        plan_by=plan_by,
        load_tables=reload_tables,
    )


def print_report(report: AcceleratorReport) -> None:
    """Codecs' units and sums as tables; of many codecs, the units of two."""
    accelerator, device = report.accelerator, report.device
    shown = [run for run in report.runs if len(report.runs) <= _UNIT_TABLES or run.codec in ("raw8", "actcodec")]
    for run in shown:
        print_table(
            f"{run.codec}: {report.network} on {accelerator.name}, {device.name}; bytes; ridge {report.ridge:.1f}",
            "unit|bound|cycles|use %|read|write|other|weights|tables|reread|MACs/B|tile|staging",
            [
                (
                    unit.label,
                    unit.bound,
                    unit.cycles,
                    f"{100 * unit.utilization:.1f}",
                    unit.bytes.activations_read + unit.bytes.modify,
                    unit.bytes.activations_write,
                    unit.bytes.others,
                    unit.bytes.weights,
                    unit.bytes.tables,
                    unit.reread_bytes,
                    f"{unit.intensity:.1f}",
                    unit.tiling.label,
                    unit.staging_bytes,
                )
                for unit in run.units
            ],
        )
    print_table(
        "one frame, bytes and time; shares of the time by what bounds the units",
        "codec|ms|cycles|use %|sites|other|weights|tables|staging|compute %|memory %|decoder %|encoder %",
        [
            (
                run.codec,
                run.nanoseconds / 1e6,
                run.cycles,
                f"{100 * run.utilization:.1f}",
                run.bytes.activations,
                run.bytes.others,
                run.bytes.weights,
                run.bytes.tables,
                run.staging_bytes,
                *(f"{100 * share:.0f}" for share in run.bounds().values()),
            )
            for run in report.runs
        ],
    )
    if report.energy is None:
        return
    print_table(
        "energy of the frame, nJ; net = memory energy saved − codec",
        "codec|memory|of it weights|of it waiting|encode|decode|loading|codec|net",
        [
            (
                balance.codec,
                *(
                    round(energy / 1000)
                    for energy in (
                        *(balance.memory_pj, balance.weights_pj, report.run(balance.codec).idle_energy_pj),
                        *(balance.encode.total, balance.decode.total, balance.loading),
                        *(balance.codec_pj, balance.net_pj),
                    )
                ),
            )
            for balance in report.energy.codecs
        ],
    )
    typer.echo(f"the network's own multiplications: {report.energy.network_pj / 1000:.0f} nJ")


def _layers(
    tables: Tables | None, store: CodecStore | None, graph_file: Path | None, topology: Path | None
) -> LayerGraph:
    """The layers that were asked for, or those of the network of tables or codecs."""
    from actcodec.graph import read_graph, read_topology

    if graph_file is not None and topology is not None:
        raise ActcodecError("accelerator", "give either --graph or --topology")
    if graph_file is not None:
        return read_graph(graph_file)
    if topology is not None:
        return read_topology(topology)
    if tables is not None:
        return _traced(tables.provenance.network, tables.provenance.dataset, None)
    if store is not None:
        return _traced(store.network, store.dataset, None)
    raise ActcodecError("accelerator", "give --tables, --codecs, --graph or --topology")


def _traced(model: str, dataset: str | None, shape: tuple[int, int, int] | None) -> LayerGraph:
    from actcodec.networks import network_spec
    from actcodec.networks.layers import layer_graph

    spec = network_spec(model, dataset)
    return layer_graph(model, spec.build(), shape or spec.input_shape)


def _shape(text: str | None) -> tuple[int, int, int] | None:
    return None if text is None else image_shape(text, "graph: --input")
