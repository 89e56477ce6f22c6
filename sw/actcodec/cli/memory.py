"""Verbs of the memory traffic: traffic, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from actcodec.cli.options import DeviceOption, JsonOption, TablesOption, print_json, print_table


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.command(epilog="**Example**: `actcodec traffic --tables build/tables --device LPDDR4-3200`")(traffic)
    app.command(
        epilog="**Example**: `actcodec report --tables build/tables --cosim build/cosim/icarus.json --out build/report`"
    )(report)


def traffic(tables: TablesOption, device: DeviceOption = "DDR4-2400", json_output: JsonOption = False) -> None:
    """Memory accesses of one frame, raw 8-bit and coded: bytes, cycles, row hits, energy."""
    from actcodec.tables import load_tables
    from actcodec_sim.traffic import run_traffic

    result = run_traffic(load_tables(tables), device)
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
    tables: TablesOption,
    out: Annotated[Path, typer.Option("--out", help="Directory of the report.")] = Path("build/report"),
    device: DeviceOption = "DDR4-2400",
    cosim: Annotated[
        list[Path] | None, typer.Option("--cosim", help="Result of `actcodec cosim` to put in; may be repeated.")
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Write traffic.csv, traffic.json and a self-contained index.html with plots."""
    from actcodec.tables import digest_of, load_tables
    from actcodec_sim.report import load_cosim_rows, write_report
    from actcodec_sim.traffic import run_traffic

    loaded = load_tables(tables)
    rows = [row for path in cosim or () for row in load_cosim_rows(path, digest_of(loaded))]
    files = write_report(out, run_traffic(loaded, device), rows)
    if json_output:
        print_json({"files": [str(path) for path in files]})
    else:
        typer.echo("\n".join(str(path) for path in files))
