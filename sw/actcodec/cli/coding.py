"""Verbs of the tables and the golden model: inspect, encode, decode."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from actcodec.cli.options import JsonOption, SiteOption, TablesOption, print_json, print_table
from actcodec.errors import ActcodecError


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.command(epilog="**Example**: `actcodec inspect build/tables`")(inspect)
    app.command(epilog="**Example**: `actcodec encode --tables build/tables --site conv1 in.npy out.acf`")(encode)
    app.command(epilog="**Example**: `actcodec decode --tables build/tables in.acf out.npy`")(decode)


def inspect(
    directory: Annotated[Path, typer.Argument(metavar="TABLES", help="Directory of tables.")],
    json_output: JsonOption = False,
) -> None:
    """Check tables and print them readably: codec, provenance, and every site with sizes and cycles."""
    from actcodec.tables import digest_of, load_tables, manifest_of
    from actcodec.tables.cycles import decode_cycles, encode_cycles
    from actcodec.tables.image import decoder_image, encoder_image

    tables = load_tables(directory)
    images = {
        "encoder": encoder_image(tables.params, tables.sites).size,
        "decoder": decoder_image(tables.params, tables.sites).size,
    }
    if json_output:
        manifest = manifest_of(tables)
        for entry, site in zip(manifest["sites"], tables.sites, strict=True):
            entry |= {"encode_cycles": encode_cycles(site), "decode_cycles": decode_cycles(site)}
        print_json({**manifest, "image_bytes": images, "bpv_stream": tables.bpv_stream, "bpv_relu": tables.bpv_relu})
        return
    p, source = tables.params, tables.provenance
    typer.echo(f"digest      {digest_of(tables)}")
    typer.echo(f"network     {source.network} on {source.dataset}, method {source.method}, seed {source.seed}")
    typer.echo(
        f"codec       {p.lanes} lanes × {p.rows} rows, {p.word_bits}-bit word, block {p.block}, "
        f"{p.acc_bits}-bit accumulators"
    )
    typer.echo(
        f"sizes       bpv_stream {tables.bpv_stream:.3f}, bpv_net {tables.bpv_net(1):.3f} (batch 1) "
        f"{tables.bpv_net(16):.3f} (batch 16); tables {tables.table_bytes} bytes, {tables.residency}; "
        f"images {images['encoder']} + {images['decoder']} bytes"
    )
    typer.echo(f"codec MACs  {source.codec_mac_share:.1%} of the network's {source.network_macs}")
    rows = []
    for site in tables.sites:
        info, sizes = site.info, site.sizes(tables.transaction_bytes)
        rows.append(
            (
                info.name,
                f"{info.channels}×{info.height}×{info.width}",
                info.transform,
                info.order,
                int((site.arrays.width > 0).sum()),
                8 * sizes.stream_bytes / info.values,
                sizes.payload_bits,
                sizes.stream_bytes,
                sizes.transaction_bytes,
                site.table_bytes,
                info.readers,
                encode_cycles(site),
                decode_cycles(site),
            )
        )
    columns = (
        "site|C×H×W|transform|order|kept|bits/value|payload bits|stream B|transaction B|table B|readers|encode|decode"
    )
    print_table(f"{len(rows)} sites", columns, rows)


def encode(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN.npy", help="Activations uint8 (H, W, C); of a folded site accumulators int32 (H, W, K)."
        ),
    ],
    target: Annotated[Path, typer.Argument(metavar="OUT.acf", help="Container to write.")],
    tables: TablesOption,
    site: SiteOption,
    json_output: JsonOption = False,
) -> None:
    """Encode the activations of a site, or the accumulators of a folded one, with the golden model."""
    from actcodec.files import read_array
    from actcodec.golden import SiteCodec, write_container
    from actcodec.tables import load_tables

    loaded = load_tables(tables)
    x = read_array(source)
    if x.ndim != 3:
        raise ActcodecError(source, f"has shape {x.shape}, expected (H, W, C)")
    found = loaded.site(site)
    stream, payload_bits = SiteCodec(found).encode_counted(x)
    file_bytes = write_container(target, loaded, site, stream)
    summary = {
        "site": site,
        "payload_bits": payload_bits,
        "stream_bytes": int(stream.size),
        "file_bytes": file_bytes,
        "bits_per_value": 8 * stream.size / found.info.values,
    }
    if json_output:
        print_json(summary)
    else:
        typer.echo(f"{target}: {stream.size} stream bytes, {8 * stream.size / found.info.values:.3f} bits a value")


def decode(
    source: Annotated[Path, typer.Argument(metavar="IN.acf", help="Container to read.")],
    target: Annotated[Path, typer.Argument(metavar="OUT.npy", help="Activations uint8 (H, W, C) to write.")],
    tables: TablesOption,
    site: Annotated[str | None, typer.Option("--site", help="Site that the container must be of.")] = None,
    json_output: JsonOption = False,
) -> None:
    """Decode a container with the golden model."""
    from actcodec.files import atomic_path
    from actcodec.golden import SiteCodec, read_container
    from actcodec.tables import load_tables

    loaded = load_tables(tables)
    container = read_container(source, loaded)
    found = loaded.sites[container.site]
    if site is not None and found is not loaded.site(site):
        raise ActcodecError(source, f"holds site {found.info.name!r}, not {site!r}")
    x = SiteCodec(found).decode(container.stream)
    with atomic_path(target) as temporary, temporary.open("wb") as file:
        np.save(file, x)
    if json_output:
        print_json({"site": found.info.name, "shape": list(x.shape)})
    else:
        typer.echo(f"{target}: site {found.info.name}, {x.shape[0]}×{x.shape[1]}×{x.shape[2]} (H, W, C)")
