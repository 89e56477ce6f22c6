"""The AXI shell against the golden model in Verilator and Icarus, driven by cocotbext-axi."""

from actcodec_sim.axi.run import simulate_axi

__all__ = ["simulate_axi"]
