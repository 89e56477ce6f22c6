"""The command line: one verb a stage, each a thin layer over the package that does the work."""

from __future__ import annotations

import os
import sys

import typer

from actcodec import __version__
from actcodec.cli import (
    accelerator,
    baseline,
    codecs,
    coding,
    comparing,
    demo,
    density,
    hardware,
    learning,
    memory,
    pim,
    sweep,
)
from actcodec.errors import ActcodecError

app = typer.Typer(
    name="actcodec",
    help="Activation compression for CNN accelerators: learn, export, golden model, RTL, co-simulation, traffic.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"actcodec {__version__}")
        raise typer.Exit


_SHARED = ("learn", "train")
"""Verbs that several processes share; the others would each write the same files."""


@app.callback()
def _options(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Activation compression for CNN accelerators: learn, export, golden model, RTL, co-simulation, traffic."""
    if "WORLD_SIZE" in os.environ and context.invoked_subcommand not in _SHARED:
        from actcodec.learn.distributed import world_size

        if world_size() > 1:
            known = " and ".join(_SHARED)
            raise ActcodecError("torchrun", f"{context.invoked_subcommand} takes one process; several share {known}")


_VERBS = (learning, density, sweep, coding, baseline, codecs, hardware, pim, accelerator, memory, comparing, demo)
for module in _VERBS:
    module.register(app)


def main() -> None:
    """Run the command line; bad input ends it with one line on standard error and status 2."""
    try:
        # A verb that ends by `typer.Exit(status)` gives its status back here, any other its result: none.
        status = app(standalone_mode=False)
    except ActcodecError as error:
        sys.exit(_fail(f"error: {error}", 2))
    except typer.TyperException as error:
        sys.exit(_fail(f"error: {error}", 2))
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(_fail("interrupted; the same command takes up learning where it stopped", 130))
    except BrokenPipeError:
        sys.exit(1)
    sys.exit(status)


def _fail(line: str, status: int) -> int:
    print(line, file=sys.stderr)
    return status
