"""The activation codec as Amaranth components, and its Verilog."""
