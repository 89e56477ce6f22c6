"""Command-level DRAM model: device descriptions, controller, energy, and a checker of command logs."""

from actcodec_sim.dram.controller import DramResult, simulate
from actcodec_sim.dram.device import DramDevice, load_device
from actcodec_sim.dram.energy import DramEnergy
from actcodec_sim.dram.requests import Requests, single_phase

__all__ = [
    "DramDevice",
    "DramEnergy",
    "DramResult",
    "Requests",
    "load_device",
    "simulate",
    "single_phase",
]
