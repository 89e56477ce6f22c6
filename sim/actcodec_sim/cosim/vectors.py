"""A frame of a site as files for ``$readmemh``: what a testbench of one's own feeds, and what it has to get back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.lib import data
from numpy.typing import NDArray

from actcodec.errors import ActcodecError
from actcodec.files import atomic_directory
from actcodec.golden import Input, beat_integers, last_lanes
from actcodec.params import Direction
from actcodec.tables import Tables
from actcodec.tables.image import image_of, to_hex
from actcodec_rtl.layouts import beat_layout, encoder_beat_layout, word_layout
from actcodec_sim.cosim.job import make_frame

HEADER_FILE = "vectors.svh"


def write_vectors(directory: Path, tables: Tables, name: str, x: Input, directions: Sequence[Direction]) -> list[Path]:
    """Write the frame of site ``name`` with the input x (`SiteCodec.encode`); all or nothing. Returns the files.

    For each direction D: ``D_load.hex``, words of the table image; ``D_i.hex`` and ``D_o.hex``, payloads of the input
    and output port, ``last`` included; ``D_o_mask.hex``, the bits of each output payload that have a meaning.
    ``vectors.svh`` has the number of the site, the bits of a word, and for each direction the number of table words,
    inputs and outputs as localparams. Raises ActcodecError for an unknown site and for an input of another shape.
    """
    site = tables.site(name)
    if x.ndim != len(site.encoder_shape):
        raise ActcodecError(f"site {name}", f"takes one image {site.encoder_shape}, not {x.shape}")
    frame = make_frame(site, x)
    p = tables.params
    beat, word = beat_layout(p), word_layout(p)
    words = _payloads(word, frame.stream, 8)
    given = _payloads(encoder_beat_layout(p), frame.beats, p.encoder_lane_bits, frame.given)
    decoded = _payloads(beat, frame.decoded, 8, frame.valid)
    ports: dict[Direction, dict[str, list[str]]] = {
        "encoder": {"i": given, "o": words, "o_mask": _masks(word, np.ones_like(frame.stream, dtype=np.bool_))},
        "decoder": {"i": words, "o": decoded, "o_mask": _masks(beat, frame.valid)},
    }
    constants = {"SITE": tables.sites.index(site), "WORD_BITS": p.word_bits}
    with atomic_directory(directory) as folder:
        for direction in directions:
            image = image_of(direction, p, tables.sites)
            (folder / f"{direction}_load.hex").write_text(to_hex(image))
            for port, lines in ports[direction].items():
                (folder / f"{direction}_{port}.hex").write_text("".join(f"{line}\n" for line in lines))
            counts = {"loads": len(image), "inputs": len(ports[direction]["i"]), "outputs": len(ports[direction]["o"])}
            constants |= {f"{direction}_{name}".upper(): count for name, count in counts.items()}
        header = [f"localparam {name} = {value};" for name, value in constants.items()]
        (folder / HEADER_FILE).write_text("\n".join([f"// Site {name}, generated.", *header, ""]))
    return sorted(directory.iterdir())


def _payloads(
    layout: data.StructLayout, rows: NDArray[Any], bits: int, valid: NDArray[np.bool_] | None = None
) -> list[str]:
    """Rows of numbers of ``bits`` bits as hexadecimal payloads, ``last`` in the last one.

    Where ``valid`` says which lanes of a beat hold anything, with ``last_lane``.
    """
    payloads = beat_integers(rows, bits)
    if valid is not None:
        offset = layout["last_lane"].offset
        payloads = [payload | int(lane) << offset for payload, lane in zip(payloads, last_lanes(valid), strict=True)]
    if payloads:
        payloads[-1] |= 1 << layout["last"].offset
    return _hex(layout, payloads)


def _masks(layout: data.StructLayout, valid: NDArray[np.bool_]) -> list[str]:
    """All bits of a payload but the bytes of ``data`` (N, bytes) that are not ``valid``."""
    every = (1 << layout.size) - 1
    filling = np.where(valid, 0, 255).astype(np.uint8)
    return _hex(layout, [every ^ int.from_bytes(row.tobytes(), "little") for row in filling])


def _hex(layout: data.StructLayout, payloads: Sequence[int]) -> list[str]:
    digits = -(-layout.size // 4)
    return [f"{payload:0{digits}x}" for payload in payloads]
