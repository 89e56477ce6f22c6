"""Verb of activation-density training: density."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from actcodec.cli.learning import ModelOption
from actcodec.cli.options import (
    DataRootOption,
    DatasetOption,
    JsonOption,
    SeedOption,
    ThreadsOption,
    print_json,
    print_table,
    use_threads,
)


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(epilog="**Example**: `actcodec density --model mnist-resnet12 --recipe quantize --out build/density`")(
        density
    )


def density(
    out: Annotated[Path, typer.Option("--out", help="Folder of the result: weights, result.json, codec.toml, log.")],
    model: ModelOption = "mnist-resnet12",
    recipe: Annotated[
        str, typer.Option(help="What shrinks and when: a name in configs/density or a TOML file.")
    ] = "quantize",
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the images; default the recipe's.")] = None,
    images: Annotated[int | None, typer.Option(min=1, help="Train on the first so many images only.")] = None,
    seed: SeedOption = 0,
    dataset: DatasetOption = None,
    threads: ThreadsOption = 1,
    data_root: DataRootOption = None,
    json_output: JsonOption = False,
) -> None:
    """Train a network whose widths and channels follow its activation densities; interrupted, it goes on."""
    from actcodec.density.recipe import load_density_recipe
    from actcodec.density.train import train_density

    use_threads(threads)
    chosen = load_density_recipe(recipe)
    if epochs is not None:
        chosen = chosen.model_copy(update={"epochs": epochs})
    result = train_density(model, out, recipe=chosen, seed=seed, root=data_root, images=images, dataset=dataset)
    summary = result.summary
    if json_output:
        print_json(summary)
        return
    print_table(
        f"{model}, {chosen.method}, in {out}",
        "layer|bits|PIM bits|channels|MACs|analytic µJ|PIM µJ",
        [tuple(layer.values()) for layer in summary["layers"]],
    )
    energy, complexity = summary["energy_uJ"], summary["training_complexity"]
    typer.echo(
        f"test accuracy {result.accuracy:.2%}; {summary['mac_reduction']:.2f}× fewer bit-weighted MACs than 16 bits, "
        f"training complexity {complexity['relative']:.2f} of {complexity['epochs']} epochs"
    )
    typer.echo(
        f"energy an image against 16 bits: analytic {energy['analytic']:.3f} µJ, {energy['analytic_ratio']:.2f}× less; "
        f"PIM {energy['pim']:.3f} µJ, {energy['pim_ratio']:.2f}× less"
    )
