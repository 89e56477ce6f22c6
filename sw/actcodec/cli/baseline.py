"""Verb of the lossless baselines: baseline."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from actcodec.cli.options import JsonOption, print_json


class BaselineName(StrEnum):
    """Lossless coders of 8-bit activations."""

    ZVC = "zvc"
    RLE = "rle"
    EBPC = "ebpc"


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(epilog="**Example**: `actcodec baseline ebpc in.npy --json`")(baseline)


def baseline(
    name: Annotated[BaselineName, typer.Argument(metavar="NAME", help="zvc, rle or ebpc.")],
    source: Annotated[Path, typer.Argument(metavar="IN.npy", help="Activations uint8, coded in C order (C×H×W).")],
    json_output: JsonOption = False,
) -> None:
    """Exact size of activations in a lossless coder: bits of its streams, padding excluded."""
    from actcodec.baselines import CODERS, flat_values
    from actcodec.files import read_array

    coded = CODERS[name].encode(flat_values(read_array(source), source))
    if json_output:
        print_json(
            {
                "coder": name.value,
                "bits": coded.bits,
                "values": coded.values,
                "bits_per_value": coded.bits_per_value,
                "streams": {stream.name: stream.bits for stream in coded.streams},
                "uncounted_bits": coded.uncounted_bits,
            }
        )
    else:
        typer.echo(f"{source}: {name.value} {coded.bits} bits, {coded.bits_per_value:.3f} bits a value")
