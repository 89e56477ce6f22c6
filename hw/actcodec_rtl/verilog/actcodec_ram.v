// One write port, one read port, read data held while read_en is low. Replace this module by a macro in an ASIC flow.
// Contents are undefined until written: the codec never uses an entry before that.
//
// Infers block RAM, and RAM in LUTs where it is shallow: those few memories hold what is decided by at once, and block
// RAM gives its data late in a cycle. For a device without such RAM set STYLE to "auto".
`default_nettype none
module actcodec_ram #(
    parameter WIDTH = 8,
    parameter DEPTH = 16,
    parameter ADDR  = 4,
    // Used by an attribute only.
    /* verilator lint_off UNUSEDPARAM */
    parameter STYLE = DEPTH <= 128 ? "distributed" : "auto"
    /* verilator lint_on UNUSEDPARAM */
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
    (* no_rw_check, ram_style = STYLE *)
    reg [WIDTH-1:0] mem [0:DEPTH-1];

    always @(posedge clk)
        if (write_en)
            mem[write_addr] <= write_data;

    always @(posedge clk)
        if (read_en)
            read_data <= mem[read_addr];
endmodule
`default_nettype wire
