"""Where co-simulation tests keep their builds, and activations for synthetic tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from actcodec.golden import Input
from actcodec.tables import Tables
from actcodec.tables.synthetic import synthetic_input

# Simulator builds are named by their content; sharing the demo's folder saves minutes.
CACHE = Path(__file__).parents[2] / "build" / "cache"


def random_activations(tables: Tables, seed: int) -> dict[str, Input]:
    """Random inputs of the encoder for every site: uniform bytes (H, W, C), or accumulators (H, W, K)."""
    rng = np.random.default_rng(seed)
    return {site.info.name: synthetic_input(rng, site) for site in tables.sites}
