"""What the shell's testbench needs of a job: inputs and what has to come out of them, as files.

Apart from `job`, which makes them, for the simulator that reads them needs no golden model.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

JOB_FILE = "job.json"
JOB_VARIABLE = "ACTCODEC_AXI_JOB"
"""Environment variable that tells the testbench where its job is."""
REGISTERS_VARIABLE = "ACTCODEC_AXI_REGISTERS"
"""Environment variable with the path of the build's registers.json."""

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class SiteCase:
    """A whole frame of a site at the ports, and the images of this site alone."""

    beats: Bytes
    """(N, bytes) activations into the encoder, or accumulators, each in whole bytes."""
    stream: Bytes
    """(words, word_bytes) out of the encoder, into the decoder."""
    decoded: Bytes
    """(N, lanes) out of the decoder."""
    valid: NDArray[np.bool_]
    """(N, lanes) which bytes of a decoded beat are channels."""
    given: NDArray[np.bool_]
    """(N, bytes) which bytes of the encoder's beats hold anything."""
    bank_0: Bytes
    """(words, word_bytes) framed images of the build's directions for bank 0, one packet."""
    bank_1: Bytes


@dataclass(frozen=True)
class WindowCase:
    """A window of a site: the words that a DMA fetches by its descriptor, and what the decoder makes of them."""

    words: Bytes
    decoded: Bytes
    valid: NDArray[np.bool_]


def read_site(directory: Path, number: int) -> SiteCase:
    """The case of a site of the job."""
    return SiteCase(*(np.load(directory / f"site{number}" / f"{member.name}.npy") for member in fields(SiteCase)))


def read_window(directory: Path, number: int) -> WindowCase:
    """The case of a window of the job."""
    return WindowCase(*(np.load(directory / f"window{number}" / f"{m.name}.npy") for m in fields(WindowCase)))
