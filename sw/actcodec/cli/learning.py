"""Verbs of learning: train, learn, export, eval."""

from __future__ import annotations

import contextlib
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actcodec.cli.options import (
    CheckpointOption,
    CodecOption,
    DataRootOption,
    DatasetOption,
    FoldedOption,
    JsonOption,
    SeedOption,
    SitesOption,
    ThreadsOption,
    note,
    open_network,
    print_json,
    print_table,
    use_threads,
)
from actcodec.errors import ActcodecError

if TYPE_CHECKING:
    from actcodec.learn.allocation.greedy import Step

ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        help="Network: mnist-resnet12, cifar10-resnet20 … resnet56, imagenet-mobilenetv2, "
        "{cifar10,cifar100}-{resnet18,mobilenetv2,vgg16,vgg19,vgg19-fc1}[-w0.5], onnx:FILE, tflite:FILE, "
        "torchvision:NAME, timm:NAME, or package.module:factory.",
    ),
]


class WeightsName(StrEnum):
    """Weights that a network is evaluated with."""

    FLOAT = "float"
    W8 = "w8"


class ExportFormat(StrEnum):
    """What is written: the tables themselves, or the tables in the form that other tools take."""

    TABLES = "tables"
    C_HEADER = "c-header"
    QONNX = "qonnx"


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.command(epilog="**Example**: `actcodec train --model mnist-resnet12 --out build/mnist-resnet12.safetensors`")(
        train
    )
    app.command(epilog="**Example**: `actcodec learn --model cifar10-resnet20 --target-bits 3 --out build/plan`")(learn)
    app.command(
        epilog="**Example**: `actcodec export --plan build/plan --out build/tables`, then "
        "`actcodec export --tables build/tables --format c-header --out build/c`"
    )(export)
    app.command("eval", epilog="**Example**: `actcodec eval --golden --tables build/tables --data cifar10 --json`")(
        evaluate
    )


def train(
    out: Annotated[Path, typer.Option("--out", help="Checkpoint to write (safetensors).")],
    model: ModelOption = "mnist-resnet12",
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training images.")] = 30,
    images: Annotated[int | None, typer.Option(min=1, help="Train on the first so many images only.")] = None,
    seed: SeedOption = 0,
    dataset: DatasetOption = None,
    threads: ThreadsOption = 1,
    data_root: DataRootOption = None,
    json_output: JsonOption = False,
) -> None:
    """Train a network from scratch; interrupted, the same command goes on where it stopped.

    Under torchrun all processes share every batch.
    """
    from actcodec.learn import TrainingRecipe, train_network
    from actcodec.learn.distributed import joined

    use_threads(threads)
    recipe = TrainingRecipe(epochs=epochs)
    with joined() as world:
        result = train_network(
            model, out, recipe=recipe, seed=seed, root=data_root, images=images, dataset=dataset, world=world
        )
    if not world.is_first:
        return
    if json_output:
        print_json({"model": model, "checkpoint": str(result.checkpoint), "accuracy": result.accuracy})
    else:
        typer.echo(f"{result.checkpoint}: test accuracy {result.accuracy:.2%}")


def learn(
    out: Annotated[Path, typer.Option("--out", help="Directory of the plan to write.")],
    target_bits: Annotated[float, typer.Option("--target-bits", help="Stream bits a value over all sites, at most.")],
    model: ModelOption = "mnist-resnet12",
    recipe: Annotated[str, typer.Option(help="How to learn: a name in configs/learn or a TOML file.")] = "waterfill",
    codec: CodecOption = "default",
    checkpoint: CheckpointOption = None,
    dataset: DatasetOption = None,
    sites: SitesOption = None,
    seed: SeedOption = 0,
    threads: ThreadsOption = 1,
    data_root: DataRootOption = None,
    json_output: JsonOption = False,
) -> None:
    """Learn a plan: projection, widths and quantizers of every stored activation of a network.

    Under torchrun all processes share every batch of search and end-to-end training.
    """
    from actcodec.data import load_dataset
    from actcodec.learn import learn as run
    from actcodec.learn import load_recipe, save_plan
    from actcodec.learn.distributed import joined
    from actcodec.params import load_params

    use_threads(threads)
    params, chosen = load_params(codec), load_recipe(recipe)
    network = open_network(model, data_root, checkpoint, dataset, sites)
    data = load_dataset(network.dataset, "train", data_root)
    state = out.with_name(f"{out.name}.resume")
    search_log = out.with_name(f"{out.name}.search.json")
    with joined() as world:
        if world.is_first:
            search_log.unlink(missing_ok=True)
        plan = run(
            network,
            data,
            target_bits,
            seed,
            recipe=chosen,
            params=params,
            state=state,
            greedy_log=out.with_name(f"{out.name}.greedy.json"),
            search_log=search_log,
            report=_report_step,
            world=world,
        )
    if not world.is_first:
        return
    digest = save_plan(plan, out)
    if search_log.exists():
        from actcodec.learn.search.plot import draw_trajectory

        draw_trajectory(search_log, search_log.with_suffix(".svg"))
    for leftover in out.parent.glob(f"{out.name}*.resume"):
        leftover.unlink()
    summary: dict[str, Any] = {
        "plan": str(out),
        "sha256": digest,
        "network": network.name,
        "method": plan.provenance.method,
        "target_bits": target_bits,
        "bpv_stream": plan.bpv_stream,
        "bpv_net": {str(batch): plan.bpv_net(batch) for batch in (1, 16)},
        "stream_bytes": plan.stream_bytes,
    }
    if json_output:
        print_json(summary)
        return
    print_table(
        f"plan of {network.name} in {out}",
        "site|transform|C|kept|bits/value|stream bytes",
        [
            (
                site.info.name,
                site.info.transform,
                site.info.channels,
                int((site.arrays.width > 0).sum()),
                int(site.arrays.width.sum()) / site.info.channels,
                site.sizes(plan.transaction_bytes).stream_bytes,
            )
            for site in plan.sites
        ],
    )
    typer.echo(
        f"bpv_stream {plan.bpv_stream:.3f}, bpv_net {plan.bpv_net(1):.3f} (batch 1), {plan.bpv_net(16):.3f} (16)"
    )


def _report_step(step: Step) -> None:
    note(
        f"{step.site}: {step.basis} {step.kept}×{step.width} bit, ΔL {step.loss_change:+.5f}, "
        f"ΔB {step.bits_saved:.0f}; L {step.loss:.4f}, {step.bits_per_value:.3f} bits a value"
    )


def export(
    out: Annotated[Path, typer.Option("--out", help="Directory of the tables, or of another format's files.")],
    plan: Annotated[
        Path | None, typer.Option("--plan", help="Directory of the plan, as `actcodec learn` writes it.")
    ] = None,
    tables: Annotated[Path | None, typer.Option("--tables", help="Directory of tables, for the other formats.")] = None,
    format: Annotated[
        ExportFormat, typer.Option("--format", help="Of a plan: tables. Of tables: c-header, qonnx.")
    ] = ExportFormat.TABLES,
    max_mac_share: Annotated[
        float, typer.Option(min=0, help="Most multiplications of the codec, as a share of the network's.")
    ] = 0.15,
    reloaded: Annotated[bool, typer.Option(help="Tables are loaded every frame instead of staying resident.")] = False,
    checkpoint: CheckpointOption = None,
    data_root: DataRootOption = None,
    json_output: JsonOption = False,
) -> None:
    """Freeze a plan into the integer tables of format v1; folded sites into tables of their own, OUT-folded.

    With --format c-header or qonnx, and --tables: a C header, or an ONNX model of every site's encoder and decoder.
    """
    if format is not ExportFormat.TABLES:
        if tables is None or plan is not None:
            raise ActcodecError("export", f"--format {format.value} takes --tables")
        _deploy(format, tables, out, json_output)
        return
    if plan is None or tables is not None:
        raise ActcodecError("export", "--format tables takes --plan")
    _freeze(plan, out, max_mac_share, reloaded, checkpoint, data_root, json_output)


def _deploy(format: ExportFormat, tables: Path, out: Path, json_output: bool) -> None:
    from actcodec.deploy import FORMATS
    from actcodec.tables import digest_of, load_tables

    loaded = load_tables(tables)
    files = FORMATS[format.value](out, loaded)
    if json_output:
        print_json({"digest": digest_of(loaded), "files": [str(path) for path in files]})
    else:
        typer.echo("\n".join(str(path) for path in files))


def _freeze(
    plan: Path,
    out: Path,
    max_mac_share: float,
    reloaded: bool,
    checkpoint: Path | None,
    data_root: Path | None,
    json_output: bool,
) -> None:
    from actcodec.export import export_folded, export_tables
    from actcodec.learn import load_plan
    from actcodec.tables import digest_of

    loaded, folded = load_plan(plan), None
    options: Any = {"max_mac_share": max_mac_share, "residency": "reloaded" if reloaded else "resident"}
    if any(site.info.transform == "folded" for site in loaded.sites):
        source = loaded.provenance
        network = open_network(source.network, data_root, checkpoint, source.dataset, None)
        tables, folded = export_folded(loaded, network, out, **options)
    else:
        tables = export_tables(loaded, out, **options)
    summary: dict[str, Any] = {
        "tables": str(out),
        "digest": digest_of(tables),
        "sites": len(tables.sites),
        "bpv_stream": tables.bpv_stream,
        "bpv_relu": tables.bpv_relu,
        "bpv_net": {str(batch): tables.bpv_net(batch) for batch in (1, 16)},
        "table_bytes": tables.table_bytes,
        "codec_mac_share": tables.provenance.codec_mac_share,
    }
    if folded is not None:
        summary["folded"] = {
            "digest": digest_of(folded),
            "sites": len(folded.sites),
            "bpv_stream": folded.bpv_stream,
            "table_bytes": folded.table_bytes,
        }
    if json_output:
        print_json(summary)
        return
    for part in (tables, folded) if folded is not None else (tables,):
        typer.echo(
            f"{out}{'-folded' if part is folded else ''}: {len(part.sites)} sites, {part.table_bytes} table bytes, "
            f"bpv_stream {part.bpv_stream:.3f}, codec {part.provenance.codec_mac_share:.1%} of the network's "
            "multiplications"
        )


def evaluate(
    tables: Annotated[Path | None, typer.Option("--tables", help="Directory of tables.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Network; default the tables' own.")] = None,
    data: Annotated[
        str | None, typer.Option("--data", "--dataset", help="Data set; default the network's or the tables' own.")
    ] = None,
    checkpoint: CheckpointOption = None,
    sites: SitesOption = None,
    folded: FoldedOption = None,
    golden: Annotated[bool, typer.Option("--golden", help="Every site through the integer golden codec.")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Every site rounded to its 8-bit reference.")] = False,
    weights: Annotated[WeightsName, typer.Option(help="Float weights or int8 ones.")] = WeightsName.FLOAT,
    images: Annotated[int | None, typer.Option(min=1, help="Only the first so many test images.")] = None,
    threads: ThreadsOption = 1,
    data_root: DataRootOption = None,
    json_output: JsonOption = False,
) -> None:
    """Accuracy on the test set, uncompressed or through the golden codec at every site."""
    from actcodec.activations import load_folded
    from actcodec.data import load_dataset
    from actcodec.evaluate import evaluate as run
    from actcodec.evaluate import float_logits
    from actcodec.files import WEIGHTS
    from actcodec.tables import load_tables
    from actcodec.tables.model import SiteTotals

    if golden and int8:
        raise ActcodecError("eval", "--golden and --int8 exclude each other")
    use_threads(threads)
    loaded = load_tables(tables) if tables else None
    name = model or (loaded.provenance.network if loaded else None)
    if name is None:
        raise ActcodecError("eval", "needs --tables or --model")
    if loaded and name == loaded.provenance.network:
        data = data or loaded.provenance.dataset
    own = tables if loaded and name == loaded.provenance.network else None
    network = open_network(name, data_root, checkpoint, data, sites, own)
    dataset = load_dataset(network.dataset, "test", data_root)
    if images:
        dataset = dataset.head(images)
    mode: Any = "golden" if golden else "int8" if int8 else "float"
    expected = None
    if own is not None and checkpoint is None and (own / WEIGHTS).exists():
        # Weights that were trained with the tables are compared with the network as it was before, where it is at hand.
        with contextlib.suppress(ActcodecError):
            expected = float_logits(open_network(name, data_root, None, data, sites), dataset)
    other = load_folded(folded) if folded else None
    result = run(network, dataset, mode, tables=loaded, folded=other, weights=weights.value, expected=expected)
    summary: dict[str, Any] = {
        "network": network.name,
        "dataset": dataset.name,
        "mode": mode,
        "weights": weights.value,
        "images": result.images,
        "accuracy": result.accuracy,
        f"accuracy_{mode}": result.accuracy,
        "agreement": result.agreement / result.images,
        "divergence": result.divergence,
        "logit_sqnr": result.logit_sqnr,
    }
    parts = [part for part in (loaded, other.tables if other else None) if part is not None]
    bits = SiteTotals(tuple(site for part in parts for site in part.sites))
    if loaded:
        summary |= {"bits_per_value": bits.bpv_stream, "codec_mac_share": loaded.provenance.codec_mac_share}
        summary |= {"bpv_stream": bits.bpv_stream, "bpv_relu": bits.bpv_relu}
        summary |= {"bpv_net": {str(b): bits.bpv_net(b) for b in (1, 16)}}
    if json_output:
        print_json(summary)
    else:
        typer.echo(
            f"{network.name}, {mode}, {weights.value} weights: {result.accuracy:.2%} of {result.images} images, "
            f"{result.agreement / result.images:.2%} classified as by the float network"
        )
    if loaded and mode != "float" and not json_output:
        typer.echo(
            f"{bits.bpv_stream:.3f} bits a value (batch 1 with tables {bits.bpv_net(1):.3f}), codec "
            f"{loaded.provenance.codec_mac_share:.1%} of the network's multiplications"
        )
    if loaded and mode == "float":
        note("the tables were not used; --golden evaluates through them")
