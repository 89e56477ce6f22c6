"""The work of one simulation of the shell, from the golden model: written by `run`, read by the testbench (`cases`)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actcodec.errors import ActcodecError
from actcodec.golden import Input, SiteCodec, window_beats
from actcodec.params import Direction
from actcodec.tables import SiteTable, Tables
from actcodec.tables.descriptors import Tiling, site_descriptors
from actcodec.tables.image import framed_image, image_of, site_image
from actcodec_sim.axi.cases import JOB_FILE, Bytes, SiteCase, WindowCase
from actcodec_sim.cosim.job import make_frame


def number_in_bank(tables: Tables, number: int) -> int:
    """Number of a site in the images of it alone, which any bank has room for."""
    return number % (tables.params.max_sites // tables.params.banks)


def _as_bytes(beats: NDArray[Any], size: int) -> Bytes:
    """Beats (N, lanes) of integers as (N, lanes · size) bytes, little endian."""
    whole = beats.astype("<i8").view(np.uint8).reshape(*beats.shape, 8)
    return whole[:, :, :size].reshape(len(beats), -1)


def _site_case(tables: Tables, directions: Sequence[Direction], number: int, x: Input) -> SiteCase:
    site = tables.sites[number]
    number = number_in_bank(tables, number)
    frame = make_frame(site, x)
    images = site_image(tables, site.info.name, number)
    packets = [
        np.concatenate([framed_image(name, getattr(images, name), bank) for name in directions]) for bank in range(2)
    ]
    size = site.params.encoder_lane_bytes
    given = frame.given.repeat(size, axis=1)
    return SiteCase(_as_bytes(frame.beats, size), frame.stream, frame.decoded, frame.valid, given, *packets)


def _window_cases(site: SiteTable, number: int, stream: Bytes, tiling: Tiling) -> Iterator[tuple[Any, WindowCase]]:
    """Descriptors of a site whose stream begins at address 0, with what they fetch."""
    codec, word = SiteCodec(site), site.params.word_bytes
    for descriptor in site_descriptors(site, number, tiling, 0):
        places = descriptor.word_addresses(word)[:, None] + np.arange(word)
        words = stream.reshape(-1)[places]
        x = codec.decode_window(words, descriptor.window)
        yield descriptor, WindowCase(words, *window_beats(site, descriptor.plane, x))


def _save(folder: Path, case: SiteCase | WindowCase) -> None:
    folder.mkdir()
    for member in fields(case):
        np.save(folder / f"{member.name}.npy", getattr(case, member.name))


def write_job(
    directory: Path,
    tables: Tables,
    activations: Mapping[str, Input],
    directions: Sequence[Direction],
    seed: int,
    pause: float,
    sites: Sequence[int],
    tiling: Tiling | None,
) -> None:
    """Write the job of one image through the ``directions`` of a build: ``activations`` maps the names of ``sites``
    (numbers) to their input (`SiteCodec.encode`).

    With a tiling all its tiles of these sites are decoded as windows. Raises ActcodecError where activations are
    missing.
    """
    p = tables.params
    whole = {name: image_of(name, p, tables.sites) for name in directions}
    np.save(directory / "tables.npy", np.concatenate([framed_image(name, image) for name, image in whole.items()]))
    listed: list[dict[str, int]] = []
    windows: list[dict[str, Any]] = []
    for number in sites:
        site = tables.sites[number]
        x = activations.get(site.info.name)
        if x is None:
            raise ActcodecError("co-simulation", f"no activations for site {site.info.name!r}")
        case = _site_case(tables, directions, number, x)
        _save(directory / f"site{number}", case)
        sizes = site.sizes(tables.transaction_bytes)
        listed.append(
            {"number": number, "number_in_bank": number_in_bank(tables, number), "payload_bits": sizes.payload_bits}
        )
        for descriptor, window in (
            _window_cases(site, number, case.stream, tiling) if tiling and "decoder" in directions else ()
        ):
            _save(directory / f"window{len(windows)}", window)
            windows.append(asdict(descriptor))
    job = {
        "directions": list(directions),
        "seed": seed,
        "pause": pause,
        "banks": p.banks,
        "max_sites": p.max_sites,
        "sites": listed,
        "windows": windows,
        "image_words": {name: len(image) for name, image in whole.items()},
    }
    (directory / JOB_FILE).write_text(json.dumps(job, indent=1))
