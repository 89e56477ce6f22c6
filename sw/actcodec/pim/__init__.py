"""Process-in-memory macro: parameters, golden model, cycles, energy. NumPy only."""

from actcodec.pim.layer import convolution, linear, patches, tiles
from actcodec.pim.model import multiply
from actcodec.pim.params import WIDTHS, PimMode, PimParams, Width, load_pim_params

__all__ = [
    "WIDTHS",
    "PimMode",
    "PimParams",
    "Width",
    "convolution",
    "linear",
    "load_pim_params",
    "multiply",
    "patches",
    "tiles",
]
