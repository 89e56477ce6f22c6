"""A frame of three pins around a design with more ports than an iCE40 has pins.

A chain of flip-flops drives the inputs and a shifting XOR of the outputs takes them in, one logic cell a bit. It is
written in iCE40 cells around the finished netlist, so that nothing is optimised across and the design keeps its size;
paths from and to the ports become paths between flip-flops and count for the clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actcodec.errors import ActcodecError

HARNESS = "synth_harness"


def harness(top: str, ports: Mapping[str, Any], clock: str) -> tuple[str, int]:
    """Verilog of the frame around module ``top``, and the logic cells that it adds.

    ``ports`` are Yosys' JSON, with direction and bits. Raises ActcodecError where ``clock`` is no one-bit input, and
    for bidirectional ports.
    """
    if clock not in ports or ports[clock]["direction"] != "input" or len(ports[clock]["bits"]) != 1:
        raise ActcodecError("--clock", f"{clock!r} is no one-bit input of {top}")
    width = {"input": 0, "output": 0}
    connections = [f".\\{clock} (clk)"]
    for name, port in ports.items():
        direction, bits = port["direction"], len(port["bits"])
        if direction not in width:
            raise ActcodecError(top, f"port {name} is {direction}, which the iCE40 frame cannot drive")
        if name != clock:
            low = width[direction]
            connections.append(f".\\{name} ({'in' if direction == 'input' else 'out'}[{low + bits - 1}:{low}])")
            width[direction] += bits
    inputs, outputs = width["input"], width["output"]
    text = f"""module {HARNESS} (input clk, input serial_in, output serial_out);
    wire [{inputs}:0] chain;
    wire [{max(inputs - 1, 0)}:0] in = chain[{inputs}:1];
    wire [{max(outputs - 1, 0)}:0] out, mixed;
    wire [{outputs}:0] signature;
    assign chain[0] = serial_in;
    assign signature[0] = 1'b0;
    assign serial_out = signature[{outputs}];
    genvar i;
    generate
        for (i = 0; i < {inputs}; i = i + 1) begin : stimulus
            SB_DFF ff (.C(clk), .D(chain[i]), .Q(chain[i + 1]));
        end
        for (i = 0; i < {outputs}; i = i + 1) begin : observer
            SB_LUT4 #(.LUT_INIT(16'h6666)) mix (
                .I0(out[i]), .I1(signature[i]), .I2(1'b0), .I3(1'b0), .O(mixed[i])
            );
            SB_DFF ff (.C(clk), .D(mixed[i]), .Q(signature[i + 1]));
        end
    endgenerate
    \\{top} dut ({", ".join(connections)});
endmodule
"""
    return text, inputs + outputs
