"""Options that several verbs share, and how their results are printed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from actcodec.networks import Network

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
TablesOption = Annotated[Path, typer.Option("--tables", help="Directory of tables, as `actcodec export` writes it.")]
FoldedOption = Annotated[
    Path | None,
    typer.Option("--folded", help="Directory of the folded sites' tables, those that --tables lacks (OUT-folded)."),
]
SiteOption = Annotated[str, typer.Option("--site", help="Name of the site.")]
DataRootOption = Annotated[
    Path | None,
    typer.Option("--data-root", help="Folder with cifar10/ and pretrained/; default $ACTCODEC_DATA."),
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Same seed, same bytes (one thread, one machine).")]
ThreadsOption = Annotated[int, typer.Option("--threads", min=1, help="Threads of torch; 1 keeps results repeatable.")]
CodecOption = Annotated[str, typer.Option("--codec", help="Codec parameters: a name in configs/codec or a TOML file.")]
CheckpointOption = Annotated[
    Path | None, typer.Option("--checkpoint", help="Weights (safetensors); default those at hand for the network.")
]
DatasetOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        "--dataset",
        help="Data set of a network from outside: mnist, cifar10, imagenet-sample, imagefolder:PATH or hf:NAME.",
    ),
]
SitesOption = Annotated[
    str | None, typer.Option("--sites", help="Modules whose outputs are stored, a,b,c; default found by tracing.")
]
JobsOption = Annotated[int, typer.Option("--jobs", min=1, help="Processes, of one thread each.")]
SchedulerOption = Annotated[
    str | None,
    typer.Option(
        "--scheduler", metavar="ADDRESS", help="Dask scheduler whose workers run it instead: tcp://HOST:PORT."
    ),
]
DeviceOption = Annotated[str, typer.Option("--device", help="DRAM: a name in configs/dram or a TOML file.")]


class SimulatorName(StrEnum):
    """Simulators that the RTL is run in."""

    VERILATOR = "verilator"
    ICARUS = "icarus"


def use_threads(count: int) -> None:
    """Limit torch to ``count`` threads."""
    import torch

    torch.set_num_threads(count)


def open_network(
    name: str,
    data_root: Path | None,
    checkpoint: Path | None,
    dataset: str | None,
    sites: str | None,
    tables: Path | None = None,
) -> Network:
    """Load the network that the options name; ActcodecError as `load_network`.

    Without ``checkpoint`` the weights are those beside ``tables``, where some were trained with them.
    """
    from actcodec.files import WEIGHTS
    from actcodec.networks import load_network

    if checkpoint is None and tables is not None and (tables / WEIGHTS).exists():
        checkpoint = tables / WEIGHTS
    modules = tuple(part.strip() for part in sites.split(",")) if sites else ()
    return load_network(name, data_root, checkpoint, dataset=dataset, site_modules=modules)


def print_json(content: Any) -> None:
    """The result on standard output, nothing else."""
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False))


def note(text: str) -> None:
    """A line about progress, on standard error."""
    Console(stderr=True, highlight=False).print(text)


def print_table(title: str, columns: str, rows: Iterable[Sequence[object]]) -> None:
    """A table on standard output; ``columns`` are separated by ``|``, all but the first right-aligned."""
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns.split("|")):
        table.add_column(column, justify="left" if number == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(f"{v:.3f}" if isinstance(v, float) else str(v) for v in row))
    console = Console()
    # Into a file or a pipe, rows are never cut to some terminal's width.
    Console(width=max(console.width, 140) if not console.is_terminal else None).print(table)
