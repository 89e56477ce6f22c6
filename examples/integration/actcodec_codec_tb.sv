// The exported codec in a testbench of one's own: loads the tables, starts a job, streams a frame through every
// direction of the build under back-pressure, compares every payload and prints PASS.
//
//   iverilog -g2012 -I RTL -I VECTORS -o tb.vvp -c RTL/files.f ... (docs/integration.md has the commands)
//
// RTL is the folder that `actcodec rtl` wrote, VECTORS that of `actcodec vectors`, in which the simulation runs.
`timescale 1ns / 1ps
`default_nettype none

module actcodec_codec_tb #(
    parameter LIMIT_CYCLES = 1000000
);
    `include "vectors.svh"

    logic clk = 0;
    logic rst = 1;
    always #5 clk = ~clk;

    // Declares a signal for every port and instantiates the codec on them.
    `include "actcodec_codec_inst.svh"

    wire [1:0] done, failed;

`ifdef ACTCODEC_HAS_ENCODER
    assign encoder_clear = 1'b0;
    actcodec_direction_bench #(
        .NAME("encoder"), .SITE(SITE), .WORD_BITS(WORD_BITS),
        .LOAD_BITS(ENCODER_LOAD_PAYLOAD_BITS), .START_BITS(ENCODER_START_PAYLOAD_BITS),
        .LOAD_DATA_LSB(ENCODER_LOAD_PAYLOAD_DATA_LSB), .LOAD_LAST_LSB(ENCODER_LOAD_PAYLOAD_LAST_LSB),
        .SITE_LSB(ENCODER_START_PAYLOAD_SITE_LSB), .SITE_BITS(ENCODER_START_PAYLOAD_SITE_BITS),
        .IN_BITS(ENCODER_I_PAYLOAD_BITS), .OUT_BITS(ENCODER_O_PAYLOAD_BITS), .ERROR_BITS(ENCODER_ERRORS_BITS),
        .LOADS(ENCODER_LOADS), .INPUTS(ENCODER_INPUTS), .OUTPUTS(ENCODER_OUTPUTS)
    ) encoder_bench (
        .clk(clk), .rst(rst),
        .load_payload(encoder_load_payload), .load_valid(encoder_load_valid), .load_ready(encoder_load_ready),
        .start_payload(encoder_start_payload), .start_valid(encoder_start_valid), .start_ready(encoder_start_ready),
        .i_payload(encoder_i_payload), .i_valid(encoder_i_valid), .i_ready(encoder_i_ready),
        .o_payload(encoder_o_payload), .o_valid(encoder_o_valid), .o_ready(encoder_o_ready),
        .errors(encoder_errors), .frame_done(encoder_done),
        .done(done[0]), .failed(failed[0])
    );
`else
    assign done[0] = 1'b1, failed[0] = 1'b0;
`endif

`ifdef ACTCODEC_HAS_DECODER
    assign decoder_clear = 1'b0;
    actcodec_direction_bench #(
        .NAME("decoder"), .SITE(SITE), .WORD_BITS(WORD_BITS),
        .LOAD_BITS(DECODER_LOAD_PAYLOAD_BITS), .START_BITS(DECODER_START_PAYLOAD_BITS),
        .LOAD_DATA_LSB(DECODER_LOAD_PAYLOAD_DATA_LSB), .LOAD_LAST_LSB(DECODER_LOAD_PAYLOAD_LAST_LSB),
        .SITE_LSB(DECODER_START_PAYLOAD_SITE_LSB), .SITE_BITS(DECODER_START_PAYLOAD_SITE_BITS),
        .IN_BITS(DECODER_I_PAYLOAD_BITS), .OUT_BITS(DECODER_O_PAYLOAD_BITS), .ERROR_BITS(DECODER_ERRORS_BITS),
        .LOADS(DECODER_LOADS), .INPUTS(DECODER_INPUTS), .OUTPUTS(DECODER_OUTPUTS)
    ) decoder_bench (
        .clk(clk), .rst(rst),
        .load_payload(decoder_load_payload), .load_valid(decoder_load_valid), .load_ready(decoder_load_ready),
        .start_payload(decoder_start_payload), .start_valid(decoder_start_valid), .start_ready(decoder_start_ready),
        .i_payload(decoder_i_payload), .i_valid(decoder_i_valid), .i_ready(decoder_i_ready),
        .o_payload(decoder_o_payload), .o_valid(decoder_o_valid), .o_ready(decoder_o_ready),
        .errors(decoder_errors), .frame_done(decoder_done),
        .done(done[1]), .failed(failed[1])
    );
`else
    assign done[1] = 1'b1, failed[1] = 1'b0;
`endif

    integer cycles;

    initial begin
        // Synchronous reset: a few edges of it.
        repeat (4) @(posedge clk);
        rst <= 0;
        cycles = 0;
        while (done !== 2'b11 && failed === 2'b00 && cycles < LIMIT_CYCLES) begin
            @(posedge clk);
            cycles = cycles + 1;
        end
        if (failed !== 2'b00)
            $display("FAIL: a payload differs, or an error");
        else if (done !== 2'b11)
            $display("FAIL: not done after %0d cycles", cycles);
        else
            $display("PASS: %0d cycles", cycles);
        $finish;
    end
endmodule

// One direction: tables in, a job, inputs in, outputs compared. All signals change behind the rising edge.
module actcodec_direction_bench #(
    parameter NAME = "encoder",
    parameter SITE = 0,
    parameter WORD_BITS = 64,
    parameter LOAD_BITS = 64,
    parameter LOAD_DATA_LSB = 0,
    parameter LOAD_LAST_LSB = 65,
    parameter START_BITS = 60,
    parameter SITE_LSB = 0,
    parameter SITE_BITS = 6,
    parameter IN_BITS = 65,
    parameter OUT_BITS = 65,
    parameter ERROR_BITS = 6,
    parameter LOADS = 1,
    parameter INPUTS = 1,
    parameter OUTPUTS = 1
) (
    input  wire                  clk,
    input  wire                  rst,
    output logic [LOAD_BITS-1:0] load_payload,
    output logic                 load_valid,
    input  wire                  load_ready,
    output logic [START_BITS-1:0] start_payload,
    output logic                 start_valid,
    input  wire                  start_ready,
    output logic [IN_BITS-1:0]   i_payload,
    output logic                 i_valid,
    input  wire                  i_ready,
    input  wire [OUT_BITS-1:0]   o_payload,
    input  wire                  o_valid,
    output logic                 o_ready,
    input  wire [ERROR_BITS-1:0] errors,
    input  wire                  frame_done,
    output logic                 done,
    output logic                 failed
);
    logic [WORD_BITS-1:0] image    [0:LOADS-1];
    logic [IN_BITS-1:0]   inputs   [0:INPUTS-1];
    logic [OUT_BITS-1:0]  expected [0:OUTPUTS-1];
    logic [OUT_BITS-1:0]  mask     [0:OUTPUTS-1];

    integer load_number, input_number, output_number;
    logic   started;

    initial begin
        $readmemh({NAME, "_load.hex"}, image);
        $readmemh({NAME, "_i.hex"}, inputs);
        $readmemh({NAME, "_o.hex"}, expected);
        $readmemh({NAME, "_o_mask.hex"}, mask);
    end

    // Tables, and behind their last word the job. Fields that are 0: the tables of bank 0, the whole frame of the site.
    always @(posedge clk)
        if (rst) begin
            load_valid <= 0;
            load_number <= 0;
            start_valid <= 0;
            started <= 0;
        end else begin
            if (!load_valid || load_ready) begin
                load_valid <= load_number < LOADS;
                if (load_number < LOADS) begin
                    load_payload <= 0;
                    load_payload[LOAD_DATA_LSB +: WORD_BITS] <= image[load_number];
                    load_payload[LOAD_LAST_LSB] <= load_number == LOADS - 1;
                    load_number <= load_number + 1;
                end else if (!started) begin
                    start_payload <= 0;
                    start_payload[SITE_LSB +: SITE_BITS] <= SITE;
                    start_valid <= 1;
                    started <= 1;
                end
            end
            if (start_valid && start_ready)
                start_valid <= 0;
        end

    // Inputs, `last` in the last one: the next as soon as one is taken. They may be offered before the job.
    always @(posedge clk)
        if (rst) begin
            i_valid <= 0;
            input_number <= 0;
        end else if (!i_valid || i_ready) begin
            i_valid <= input_number < INPUTS;
            if (input_number < INPUTS) begin
                i_payload <= inputs[input_number];
                input_number <= input_number + 1;
            end
        end

    // Outputs: ready in three cycles of four. A bit that is X differs from anything. The frame is done with its strobe.
    logic [1:0] phase;
    always @(posedge clk)
        if (rst) begin
            phase <= 0;
            o_ready <= 0;
            output_number <= 0;
            done <= 0;
            failed <= 0;
        end else begin
            phase <= phase + 1;
            o_ready <= phase != 0;
            if (o_valid !== 1'b0 && o_ready) begin
                if (o_valid !== 1'b1 || output_number >= OUTPUTS
                    || (o_payload & mask[output_number]) !== (expected[output_number] & mask[output_number])) begin
                    $display("%0s, payload %0d: got %h, expected %h", NAME, output_number, o_payload,
                             expected[output_number]);
                    failed <= 1;
                end
                output_number <= output_number + 1;
            end
            if (errors !== 0) begin
                $display("%0s: errors %b", NAME, errors);
                failed <= 1;
            end
            if (frame_done === 1'b1) begin
                if (output_number != OUTPUTS) begin
                    $display("%0s: done after %0d of %0d payloads", NAME, output_number, OUTPUTS);
                    failed <= 1;
                end
                done <= 1;
            end
        end
endmodule
`default_nettype wire
