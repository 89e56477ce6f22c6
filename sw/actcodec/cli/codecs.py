"""Verb of the comparison of codecs: measure; and what `actcodec traffic --codecs` prints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from actcodec.cli.options import (
    CheckpointOption,
    CodecOption,
    DataRootOption,
    DatasetOption,
    JsonOption,
    ThreadsOption,
    note,
    open_network,
    print_json,
    print_table,
    use_threads,
)


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        epilog="**Example**: `actcodec measure --tables build/tables --images 64 --out build/codecs.json`, then "
        "`actcodec traffic --codecs build/codecs.json`"
    )(measure)


def measure(
    out: Annotated[Path, typer.Option("--out", help="JSON file to write: sizes of every codec, site by site.")],
    tables: Annotated[
        Path | None, typer.Option("--tables", help="Directory of tables, to be one of the codecs.")
    ] = None,
    name: Annotated[
        str, typer.Option("--name", help="What the codec of --tables is called, beside others of its kind.")
    ] = "actcodec",
    model: Annotated[str | None, typer.Option("--model", help="Network; default the tables' own.")] = None,
    images: Annotated[int, typer.Option(min=1, help="Test images that every codec is run on.")] = 64,
    codecs: Annotated[str | None, typer.Option("--codecs", help="Codecs, a,b,c; default all.")] = None,
    target_bits: Annotated[
        float | None, typer.Option("--target-bits", help="Of transform coding; default that of the tables, or 4.")
    ] = None,
    add: Annotated[
        bool, typer.Option("--add", help="Keep the codecs that --out already holds, of the same images.")
    ] = False,
    calibration_images: Annotated[
        int | None, typer.Option("--calibration-images", min=1, help="Default as the recipes say.")
    ] = None,
    codec: CodecOption = "default",
    checkpoint: CheckpointOption = None,
    dataset: DatasetOption = None,
    threads: ThreadsOption = 1,
    data_root: DataRootOption = None,
    json_output: JsonOption = False,
) -> None:
    """Run a network through every codec on the same images; keep the exact sizes of the streams.

    Rivals are calibrated on the network as it was before weights were trained with the tables.
    """
    from actcodec.codecs import load_codecs, save_codecs
    from actcodec.codecs.measure import Ours, measure_codecs
    from actcodec.data import load_dataset
    from actcodec.errors import ActcodecError
    from actcodec.params import load_params
    from actcodec.tables import load_tables

    use_threads(threads)
    loaded = load_tables(tables) if tables else None
    wanted = model or (loaded.provenance.network if loaded else None)
    if wanted is None:
        raise ActcodecError("measure", "needs --tables or --model")
    if loaded and wanted == loaded.provenance.network:
        dataset = dataset or loaded.provenance.dataset
    network = open_network(wanted, data_root, checkpoint, dataset, None)
    own = open_network(wanted, data_root, checkpoint, dataset, None, tables)
    ours = Ours(loaded, own, name) if loaded else None
    train, test = (load_dataset(network.dataset, split, data_root) for split in ("train", "test"))
    store = measure_codecs(
        network,
        train,
        test.head(images),
        params=loaded.params if loaded else load_params(codec),
        ours=ours,
        target_bits=target_bits,
        names=[part.strip() for part in codecs.split(",")] if codecs else None,
        calibration_images=calibration_images,
        report=note,
    )
    if add and out.exists():
        store = load_codecs(out).joined(store)
    save_codecs(store, out)
    rows = [
        (
            found.name,
            8 * sum(size.stream_bytes for size in found.sites) / store.values,
            8 * sum(size.stream_bytes_range[0] for size in found.sites) / store.values,
            8 * sum(size.stream_bytes_range[1] for size in found.sites) / store.values,
            sum(size.table_bytes for size in found.sites),
            "" if found.correct is None else found.correct,
        )
        for found in store.codecs
    ]
    if json_output:
        columns = ("codec", "bpv_stream", "bpv_stream_min", "bpv_stream_max", "table_bytes", "correct")
        print_json({"codecs": str(out), "rows": [dict(zip(columns, row, strict=True)) for row in rows]})
        return
    print_table(
        f"{store.network}, {store.images} images, {store.correct} right without a codec",
        "codec|bpv_stream|smallest|largest|table B|right",
        rows,
    )


def side_by_side(codecs: Path, device: str, energy: str, csv: Path | None, json_output: bool) -> None:
    """Print the traffic and the energy of measured codecs; write the table to ``csv`` where it is given."""
    from actcodec.codecs import load_codecs
    from actcodec.files import write_text
    from actcodec_sim.report.codec_table import codec_rows, codecs_csv
    from actcodec_sim.traffic import run_codecs

    store = load_codecs(codecs)
    result = run_codecs(store, device, energy=energy)
    if csv is not None:
        write_text(csv, codecs_csv(result, store))
    if json_output:
        print_json(result.to_json())
        return
    rows = codec_rows(result, store)
    where = f"{store.network}, mean of {store.images} images, one frame on {result.device.name}"
    print_table(
        f"{where}: bytes; batch 1 but for the last column",
        "codec|payload|padding|header|rounding|RMW|tables|writes|reads|moved|vs 8 bit|batch 16",
        [_bytes(row) for row in rows],
    )
    print_table(
        f"{where}: time and energy (nJ), memory at full speed; net = memory energy saved − codec",
        "codec|cycles|paced|row hits|memory|encode|decode|codec|net|net, batch 16|right",
        [_costs(row) for row in rows],
    )
    assert result.energy is not None, "run_codecs gives it"
    typer.echo(f"the network's own multiplications: {result.energy.network_pj / 1000:.0f} nJ")


def _bytes(row: dict[str, Any]) -> tuple[object, ...]:
    parts = ("payload", "padding", "header", "rounding", "modify", "table", "write", "read")
    counted = [round(row[f"{part}_bytes"]) for part in parts]
    return (row["codec"], *counted, round(row["moved_bytes_1"]), row["ratio_8_bit_1"], row["ratio_8_bit_16"])


def _costs(row: dict[str, Any]) -> tuple[object, ...]:
    energies = ("memory_pj_1", "encode_pj", "decode_pj", "codec_pj_1", "net_pj_1", "net_pj_16")
    return (
        row["codec"],
        round(row["cycles_1"]),
        round(row["paced_cycles_1"]),
        f"{row['row_hits'] / max(row['requests'], 1):.1%}",
        *(round(row[name] / 1000) for name in energies),
        "" if row["correct"] is None else row["correct"],
    )
