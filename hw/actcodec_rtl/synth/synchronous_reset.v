// Asynchronous resets as synchronous ones, for counting gates: the reset becomes a gate in front of the flip-flop
// whichever kind a design uses. The reset comes before the enable in both.
(* techmap_celltype = "$adff" *)
module counted_adff (CLK, ARST, D, Q);
    parameter WIDTH = 1;
    parameter CLK_POLARITY = 1;
    parameter ARST_POLARITY = 1;
    parameter [WIDTH-1:0] ARST_VALUE = 0;
    input CLK, ARST;
    input [WIDTH-1:0] D;
    output [WIDTH-1:0] Q;
    \$sdff #(
        .WIDTH(WIDTH), .CLK_POLARITY(CLK_POLARITY), .SRST_POLARITY(ARST_POLARITY), .SRST_VALUE(ARST_VALUE)
    ) _TECHMAP_REPLACE_ (.CLK(CLK), .SRST(ARST), .D(D), .Q(Q));
endmodule

(* techmap_celltype = "$adffe" *)
module counted_adffe (CLK, ARST, EN, D, Q);
    parameter WIDTH = 1;
    parameter CLK_POLARITY = 1;
    parameter EN_POLARITY = 1;
    parameter ARST_POLARITY = 1;
    parameter [WIDTH-1:0] ARST_VALUE = 0;
    input CLK, ARST, EN;
    input [WIDTH-1:0] D;
    output [WIDTH-1:0] Q;
    \$sdffe #(
        .WIDTH(WIDTH), .CLK_POLARITY(CLK_POLARITY), .EN_POLARITY(EN_POLARITY),
        .SRST_POLARITY(ARST_POLARITY), .SRST_VALUE(ARST_VALUE)
    ) _TECHMAP_REPLACE_ (.CLK(CLK), .SRST(ARST), .EN(EN), .D(D), .Q(Q));
endmodule
