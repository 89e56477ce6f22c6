"""Energy of a MAC in the array by its widths: as published, and as measured on the gates of this project's macro."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any, Literal, get_args

from actcodec.configs import find_config
from actcodec.errors import ActcodecError
from actcodec.files import read_bytes
from actcodec.pim.params import WIDTHS

Source = Literal["published", "rtl", "rtl-array"]
"""Where a figure is from: ``published``, without peripherals; ``rtl``, the whole macro of this project; ``rtl-array``,
its cells, counters, shift accumulators and shift-add tree only."""
SOURCES: tuple[Source, ...] = get_args(Source)


def energy_per_mac_fj(bits: int, source: Source = "published") -> float:
    """Energy in fJ of a multiplication of a weight and an input of ``bits`` each, its addition included.

    Raises ActcodecError for other widths than the array has, and for an unknown source.
    """
    table = per_mac(source)
    if bits not in WIDTHS:
        raise ActcodecError("PIM energy", f"{bits} bits are none of {', '.join(map(str, WIDTHS))}")
    return float(table[str(bits)])


def per_mac(source: Source) -> Mapping[str, Any]:
    """The figures of ``source`` by bits, with ``node`` and ``source``, what they hold for and are from."""
    path = find_config("pim-energy", "per-mac")
    try:
        tables = tomllib.loads(read_bytes(path).decode())
    except (ValueError, RecursionError) as error:
        raise ActcodecError(path, f"is not TOML: {error}") from error
    found = tables.get(source)
    if not isinstance(found, dict):
        raise ActcodecError(path, f"has no figures {source!r}; known: {', '.join(tables)}")
    for key in ("node", "source", *map(str, WIDTHS)):
        if key not in found:
            raise ActcodecError(path, f"{source} lacks {key!r}")
    return found
