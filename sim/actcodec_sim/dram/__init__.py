"""Command-level DRAM model: device descriptions, controller, energy, and a checker of command logs."""

from actcodec_sim.dram.controller import DramResult, simulate
from actcodec_sim.dram.device import DramDevice, load_device
from actcodec_sim.dram.energy import DramEnergy
from actcodec_sim.dram.requests import Requests, single_phase
from actcodec_sim.dram.trace import TraceFormat, read_trace, write_trace

__all__ = [
    "DramDevice",
    "DramEnergy",
    "DramResult",
    "Requests",
    "TraceFormat",
    "load_device",
    "read_trace",
    "simulate",
    "single_phase",
    "write_trace",
]
