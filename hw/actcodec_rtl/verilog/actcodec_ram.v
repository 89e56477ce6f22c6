// One write port, one read port, read data held while read_en is low. Infers block RAM; replace this module
// by a macro in an ASIC flow. Contents are undefined until written: the codec never uses an entry before that.
`default_nettype none
module actcodec_ram #(
    parameter WIDTH = 8,
    parameter DEPTH = 16,
    parameter ADDR  = 4
) (
    input  wire             clk,
    input  wire             write_en,
    input  wire [ADDR-1:0]  write_addr,
    input  wire [WIDTH-1:0] write_data,
    input  wire             read_en,
    input  wire [ADDR-1:0]  read_addr,
    output reg  [WIDTH-1:0] read_data
);
    // No entry is read in the cycle that it is written in: Yosys need not make up for block RAMs that would differ.
    (* no_rw_check *)
    reg [WIDTH-1:0] mem [0:DEPTH-1];

    always @(posedge clk)
        if (write_en)
            mem[write_addr] <= write_data;

    always @(posedge clk)
        if (read_en)
            read_data <= mem[read_addr];
endmodule
`default_nettype wire
