"""A frame of a site as files for ``$readmemh``: what a testbench of one's own feeds, and what it has to get back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actcodec.errors import ActcodecError
from actcodec.files import atomic_directory
from actcodec.params import Direction
from actcodec.tables import Tables
from actcodec.tables.image import image_of, to_hex
from actcodec_sim.cosim.job import make_frame

HEADER_FILE = "vectors.svh"


def write_vectors(
    directory: Path, tables: Tables, name: str, x: NDArray[np.uint8], directions: Sequence[Direction]
) -> list[Path]:
    """Write the frame of site ``name`` with activations x (H, W, C); all or nothing. Returns the files.

    For each direction D: ``D_load.hex``, words of the table port; ``D_i.hex`` and ``D_o.hex``, payloads of the input
    and output port, ``last`` included; ``D_o_mask.hex``, the bits of each output payload that have a meaning.
    ``vectors.svh`` has the number of the site, the bits of a word, and for each direction the number of table words,
    inputs and outputs as localparams. Raises ActcodecError for an unknown site and for activations of another shape.
    """
    site = tables.site(name)
    shape = (site.info.height, site.info.width, site.info.channels)
    if x.shape != shape or x.dtype != np.uint8:
        raise ActcodecError(f"site {name}", f"takes activations uint8 {shape}, not {x.dtype} {x.shape}")
    frame = make_frame(site, x)
    words = _payloads(frame.stream)
    beats = {
        "given": _payloads(frame.beats),
        "decoded": _payloads(frame.decoded),
        "mask": _payloads(np.where(frame.valid, 255, 0).astype(np.uint8), every_last=True),
    }
    all_bits = _payloads(np.full_like(frame.stream, 255), every_last=True)
    ports: dict[Direction, dict[str, list[str]]] = {
        "encoder": {"i": beats["given"], "o": words, "o_mask": all_bits},
        "decoder": {"i": words, "o": beats["decoded"], "o_mask": beats["mask"]},
    }
    constants = {"SITE": tables.sites.index(site), "WORD_BITS": tables.params.word_bits}
    with atomic_directory(directory) as folder:
        for direction in directions:
            image = image_of(direction, tables.params, tables.sites)
            (folder / f"{direction}_load.hex").write_text(to_hex(image))
            for port, lines in ports[direction].items():
                (folder / f"{direction}_{port}.hex").write_text("".join(f"{line}\n" for line in lines))
            counts = {"loads": len(image), "inputs": len(ports[direction]["i"]), "outputs": len(ports[direction]["o"])}
            constants |= {f"{direction}_{name}".upper(): count for name, count in counts.items()}
        header = [f"localparam {name} = {value};" for name, value in constants.items()]
        (folder / HEADER_FILE).write_text("\n".join([f"// Site {name}, generated.", *header, ""]))
    return sorted(directory.iterdir())


def _payloads(rows: NDArray[np.uint8], every_last: bool = False) -> list[str]:
    """Rows of bytes as hexadecimal payloads, ``last`` above them: set in the last one, or in all."""
    return [
        f"{int(every_last or number == len(rows) - 1)}{row[::-1].tobytes().hex()}" for number, row in enumerate(rows)
    ]
