"""A network on an accelerator: tilings, traffic, overlap of array, memory and codec, and what bounds each layer."""

from actcodec_sim.accelerator.config import Accelerator, load_accelerator
from actcodec_sim.accelerator.layout import Layout, RowLayout, ShareLayout
from actcodec_sim.accelerator.model import simulate_accelerator
from actcodec_sim.accelerator.result import AcceleratorReport, AcceleratorRun, UnitBytes, UnitResult

__all__ = [
    "Accelerator",
    "AcceleratorReport",
    "AcceleratorRun",
    "Layout",
    "RowLayout",
    "ShareLayout",
    "UnitBytes",
    "UnitResult",
    "load_accelerator",
    "simulate_accelerator",
]
