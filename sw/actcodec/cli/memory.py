"""Verbs of the memory traffic: traffic, report, dram; measuring codecs for them is `actcodec.cli.codecs`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from actcodec.cli.accelerator import (
    AcceleratorOption,
    GraphOption,
    PlanByOption,
    ReloadOption,
    TopologyOption,
    print_report,
    run_on_accelerator,
)
from actcodec.cli.options import DeviceOption, JsonOption, print_json, print_table
from actcodec.errors import ActcodecError

CodecsOption = Annotated[
    Path | None, typer.Option("--codecs", help="Codecs to compare, as `actcodec measure` writes them.")
]
EnergyOption = Annotated[
    str, typer.Option("--energy", help="Energy of the codecs: a name in configs/energy or a TOML file.")
]


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.command(epilog="**Example**: `actcodec traffic --tables build/tables --device LPDDR4-3200`")(traffic)
    app.command(
        epilog="**Example**: `actcodec report --tables build/tables --cosim build/cosim/icarus.json --out build/report`"
    )(report)
    app.command(epilog="**Example**: `actcodec dram --device DDR4_8Gb_x8_2400 --trace requests.trace.gz --json`")(dram)


def traffic(
    tables: Annotated[
        Path | None,
        typer.Option("--tables", help="Directory of tables: raw 8-bit and coded; with --accelerator may be left out."),
    ] = None,
    codecs: CodecsOption = None,
    device: DeviceOption = "DDR4-2400",
    energy: EnergyOption = "45nm",
    csv: Annotated[Path | None, typer.Option("--csv", help="Also write the table, one line a codec, as CSV.")] = None,
    emit_trace: Annotated[
        Path | None,
        typer.Option("--emit-trace", help="Directory for the requests as traces for DRAMsim3 and Ramulator 2."),
    ] = None,
    accelerator: AcceleratorOption = None,
    graph: GraphOption = None,
    topology: TopologyOption = None,
    plan_by: PlanByOption = "codec",
    reload_tables: ReloadOption = False,
    json_output: JsonOption = False,
) -> None:
    """Memory accesses of one frame, raw 8-bit and coded: bytes, cycles, row hits, energy.

    With --tables two codecs; with --codecs all that were measured, and the energy that is left of what they save.
    With --accelerator, for either or both: of its tiles, with weights, and what bounds each layer.
    """
    from actcodec.codecs import load_codecs
    from actcodec.tables import load_tables

    if accelerator is not None:
        for option, value in (("--emit-trace", emit_trace), ("--csv", csv)):
            if value is not None:
                raise ActcodecError("traffic", f"{option} is for a frame without an accelerator")
        found = run_on_accelerator(
            accelerator,
            device,
            None if tables is None else load_tables(tables),
            None if codecs is None else load_codecs(codecs),
            graph,
            topology,
            energy=energy,
            plan_by=plan_by,
            reload_tables=reload_tables,
        )
        if json_output:
            print_json(found.to_json())
        else:
            print_report(found)
        return
    if graph is not None or topology is not None or reload_tables or plan_by != "codec":
        raise ActcodecError("traffic", "--graph, --topology, --plan-by and --reload-tables need --accelerator")
    from actcodec.cli.codecs import side_by_side
    from actcodec_sim.traffic import run_traffic, write_frame_traces

    if (tables is None) == (codecs is None):
        raise ActcodecError("traffic", "needs either --tables or --codecs")
    if codecs is not None:
        if emit_trace is not None:
            raise ActcodecError("traffic", "--emit-trace goes with --tables")
        side_by_side(codecs, device, energy, csv, json_output)
        return
    assert tables is not None, "one of the two is given"
    if csv is not None:
        raise ActcodecError("traffic", "--csv goes with --codecs; `actcodec report` writes the table of the sites")
    loaded = load_tables(tables)
    result = run_traffic(loaded, device)
    if emit_trace is not None:
        write_frame_traces(emit_trace, loaded, device)
    if json_output:
        print_json(result.to_json())
        return
    print_table(
        f"one frame on {result.device.name}, memory at full speed, tables resident",
        "codec|write B|read B|RMW B|table B|bpv_stream|bpv_net 1|bpv_net 16|vs 8 bit|cycles|row hits|energy nJ",
        [
            (
                codec.codec,
                sum(site.write_bytes for site in codec.sites),
                sum(site.read_bytes for site in codec.sites),
                sum(site.modify_bytes for site in codec.sites),
                codec.table_bytes,
                codec.bpv_stream(),
                codec.bpv_net(1),
                codec.bpv_net(16),
                codec.ratio(8, 16),
                codec.memory_limited.resident.cycles,
                f"{codec.memory_limited.resident.row_hit_rate:.1%}",
                codec.memory_limited.resident.energy.total / 1000,
            )
            for codec in result.codecs
        ],
    )


def report(
    tables: Annotated[
        Path | None, typer.Option("--tables", help="Directory of tables; with --codecs those measured there.")
    ] = None,
    codecs: CodecsOption = None,
    out: Annotated[Path, typer.Option("--out", help="Directory of the report.")] = Path("build/report"),
    device: DeviceOption = "DDR4-2400",
    energy: EnergyOption = "45nm",
    accelerator: AcceleratorOption = None,
    graph: GraphOption = None,
    topology: TopologyOption = None,
    plan_by: PlanByOption = "codec",
    reload_tables: ReloadOption = False,
    cosim: Annotated[
        list[Path] | None, typer.Option("--cosim", help="Result of `actcodec cosim` to put in; may be repeated.")
    ] = None,
    sweep: Annotated[
        list[Path] | None,
        typer.Option("--sweep", help="Result of `actcodec sweep` for the rate–accuracy plot; may be repeated."),
    ] = None,
    evaluation: Annotated[
        Path | None, typer.Option("--eval", help="What `actcodec eval --golden --json` printed for these tables.")
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Write traffic.csv, traffic.json and a self-contained index.html with plots, timeline and tables.

    Of --tables, of --codecs with their energy, or of both; with --accelerator also tiles, roofline and bounds.
    """
    from actcodec.codecs import load_codecs
    from actcodec.tables import load_tables
    from actcodec_sim.report import frame_report, load_cosim_rows, load_evaluation, load_sweep, write_report

    if accelerator is None and (graph is not None or topology is not None or reload_tables or plan_by != "codec"):
        raise ActcodecError("report", "--graph, --topology, --plan-by and --reload-tables need --accelerator")
    loaded = None if tables is None else load_tables(tables)
    store = None if codecs is None else load_codecs(codecs)
    traffic = frame_report(loaded, store, device, energy)
    digest = traffic.provenance["tables_digest"]
    if cosim and not digest:
        raise ActcodecError("report", "--cosim needs tables")
    if evaluation and "actcodec" not in (codec.codec for codec in traffic.codecs):
        raise ActcodecError("report", "--eval needs tables, or codecs with actcodec among them")
    network = traffic.provenance["network"]
    tiled = (
        None
        if accelerator is None
        else run_on_accelerator(
            accelerator,
            device,
            loaded,
            store,
            graph,
            topology,
            energy=energy,
            plan_by=plan_by,
            reload_tables=reload_tables,
        )
    )
    files = write_report(
        out,
        traffic,
        [row for path in cosim or () for row in load_cosim_rows(path, digest)],
        evaluation=load_evaluation(evaluation, network, traffic.codec("actcodec").bpv_stream()) if evaluation else None,
        sweep=load_sweep(sweep, network) if sweep else None,
        accelerator=tiled,
    )
    if json_output:
        print_json({"files": [str(path) for path in files]})
    else:
        typer.echo("\n".join(str(path) for path in files))


def dram(
    trace: Annotated[Path, typer.Option("--trace", help="Lines of `0xADDRESS READ|WRITE CYCLE`; .gz is read too.")],
    device: DeviceOption = "DDR4-2400",
    closed_page: Annotated[
        bool, typer.Option("--closed-page", help="Close a row after each column command (auto-precharge).")
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Replay a trace of requests on a DRAM device: cycles, commands, latency, energy."""
    from actcodec_sim.dram import load_device, read_trace, simulate, single_phase

    chosen = load_device(device)
    requests = read_trace(trace, chosen)
    simulate(chosen, single_phase([0], [False]))  # compiled here, so that the rate is the simulation's own
    started = time.perf_counter()
    result = simulate(chosen, requests, closed_page=closed_page, posted_writes=True)
    seconds = time.perf_counter() - started
    summary = {
        "cycles": result.cycles,
        "reads": result.reads,
        "writes": result.writes,
        "row_hits": result.row_hits,
        "activates": result.activates,
        "precharges": result.precharges,
        "refreshes": result.refreshes,
        "avg_read_latency": result.average_read_latency,
        "energy_pj": result.energy.total,
        "requests_per_second": len(requests) / seconds,
    }
    if json_output:
        print_json(summary)
    else:
        print_table(f"{trace.name} on {chosen.name}", "figure|value", list(summary.items()))
