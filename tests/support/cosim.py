"""Where co-simulation tests keep their builds, and activations for synthetic tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actcodec.tables import Tables

# Simulator builds are named by their content; sharing the demo's folder saves minutes.
CACHE = Path(__file__).parents[2] / "build" / "cache"


def random_activations(tables: Tables, seed: int) -> dict[str, NDArray[np.uint8]]:
    """Uniform bytes for every site, (H, W, C)."""
    rng = np.random.default_rng(seed)
    return {
        site.info.name: rng.integers(0, 256, (site.info.height, site.info.width, site.info.channels)).astype(np.uint8)
        for site in tables.sites
    }
