"""The AXI shell against the golden model in Verilator and Icarus, driven by cocotbext-axi: see `run.simulate_axi`."""
