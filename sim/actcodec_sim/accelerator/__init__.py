"""A network on an accelerator: tilings, traffic, overlap of array, memory and codec, and what bounds each layer."""

from actcodec_sim.accelerator.config import Accelerator, load_accelerator
from actcodec_sim.accelerator.energy import AcceleratorBalance, AcceleratorEnergy, SiteWork, accelerator_energy
from actcodec_sim.accelerator.layout import Layout, RowLayout, ShareLayout
from actcodec_sim.accelerator.model import simulate_accelerator
from actcodec_sim.accelerator.result import AcceleratorReport, AcceleratorRun, UnitBytes, UnitResult
from actcodec_sim.accelerator.run import run_network

__all__ = [
    "Accelerator",
    "AcceleratorBalance",
    "AcceleratorEnergy",
    "AcceleratorReport",
    "AcceleratorRun",
    "Layout",
    "RowLayout",
    "ShareLayout",
    "SiteWork",
    "UnitBytes",
    "UnitResult",
    "accelerator_energy",
    "load_accelerator",
    "run_network",
    "simulate_accelerator",
]
