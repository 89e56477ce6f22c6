"""Size and speed of Verilog: gate equivalents in all and by block, FPGA resources and clock. Needs the extra ``synth``.

Works on anybody's (System)Verilog: nothing here knows the codec.
"""
