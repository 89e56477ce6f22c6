"""The work of one simulator run as files: written by `run`, read by the testbench inside the simulator."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actcodec.errors import ActcodecError
from actcodec.golden import Input, SiteCodec, to_beats, to_encoder_beats
from actcodec.params import Direction
from actcodec.tables import SiteTable, Tables
from actcodec.tables.cycles import decode_cycles, encode_cycles
from actcodec.tables.image import image_of

JOB_FILE = "job.json"
RESULT_FILE = "result.json"
JOB_VARIABLE = "ACTCODEC_COSIM_JOB"
"""Environment variable that tells the testbench where its job is."""


@dataclass(frozen=True)
class Stalls:
    """Probability of a stall a cycle, in the second pass: of start and input ports, and of output ports."""

    input: float
    output: float


@dataclass(frozen=True)
class Frame:
    """What goes in and has to come out for one image of one site."""

    beats: NDArray[Any]
    """(N, lanes) activations, or accumulators, into the encoder."""
    stream: NDArray[np.uint8]
    """(words, word_bytes) golden stream: out of the encoder, into the decoder."""
    decoded: NDArray[np.uint8]
    """(N, lanes) golden activations out of the decoder."""
    valid: NDArray[np.bool_]
    """(N, lanes) which bytes of a decoded beat are channels."""
    given: NDArray[np.bool_]
    """(N, lanes) which lanes of the encoder's beats hold anything."""


FRAME_ARRAYS = tuple(field.name for field in fields(Frame))


def make_frame(site: SiteTable, x: Input) -> Frame:
    """Golden stream and tensor of one input x of a site (`SiteCodec.encode`), cut into beats and words."""
    codec = SiteCodec(site)
    stream = codec.encode(x)
    beats, given = to_encoder_beats(site, x)
    decoded, valid = to_beats(site, codec.decode(stream))
    return Frame(beats, stream.reshape(-1, site.params.word_bytes), decoded, valid, given)


def write_job(
    directory: Path,
    tables: Tables,
    activations: Mapping[str, Input],
    directions: Sequence[Direction],
    seed: int,
    stalls: Stalls,
    only: Sequence[str] = (),
) -> None:
    """Write the job of one image: ``activations`` maps a site's name to its input (`SiteCodec.encode`).

    All sites of the tables are loaded; all are run, or those that ``only`` names.

    A decoder without an encoder gets the golden model's stream like any other. Raises ActcodecError where a site's
    activations are missing or of the wrong shape, and for a name that is no site's.
    """
    chosen = {site.info.name: (number, site) for number, site in enumerate(tables.sites)}
    for name in only:
        if name not in chosen:
            raise ActcodecError("co-simulation", f"{name!r} is none of the sites {', '.join(chosen)}")
    directory.mkdir(parents=True, exist_ok=True)
    sites: list[dict[str, Any]] = []
    for place, (number, site) in enumerate(chosen[name] for name in only or chosen):
        x = activations.get(site.info.name)
        if x is None:
            raise ActcodecError("co-simulation", f"no activations for site {site.info.name!r}")
        frame = make_frame(site, x)
        for name in FRAME_ARRAYS:
            np.save(directory / f"{place}.{name}.npy", getattr(frame, name))
        sites.append(
            {
                "name": site.info.name,
                "number": number,
                "encode_cycles": encode_cycles(site),
                "decode_cycles": decode_cycles(site),
                "stream_digest": hashlib.sha256(frame.stream.tobytes()).hexdigest(),
                "tensor_digest": hashlib.sha256(frame.decoded[frame.valid].tobytes()).hexdigest(),
            }
        )
    for direction in directions:
        np.save(directory / f"{direction}.load.npy", image_of(direction, tables.params, tables.sites))
    job = {"seed": seed, "stalls": asdict(stalls), "directions": list(directions), "sites": sites}
    (directory / JOB_FILE).write_text(json.dumps(job, indent=1))


def read_frames(directory: Path, count: int) -> Sequence[Frame]:
    """The frames of a job, in the order of its sites."""
    return [Frame(*(np.load(directory / f"{number}.{name}.npy") for name in FRAME_ARRAYS)) for number in range(count)]
