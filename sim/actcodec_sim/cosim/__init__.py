"""Co-simulation: the exported Verilog against the golden model, word for word, in Verilator and Icarus."""

from actcodec_sim.cosim.result import CosimResult, DirectionResult, SiteResult
from actcodec_sim.cosim.run import cosimulate, withstand

__all__ = ["CosimResult", "DirectionResult", "SiteResult", "cosimulate", "withstand"]
