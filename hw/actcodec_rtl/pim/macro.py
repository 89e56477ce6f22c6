"""The process-in-memory macro: array and peripherals."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped

from actcodec.pim.params import PimParams
from actcodec_rtl.component import Block, register
from actcodec_rtl.pim.accumulators import ShiftAccumulators
from actcodec_rtl.pim.array import ARRAY_MODULE, PimArray
from actcodec_rtl.pim.boundary import add_replaceable
from actcodec_rtl.pim.input_buffer import InputBuffer
from actcodec_rtl.pim.input_driver import InputDriver
from actcodec_rtl.pim.layouts import results_layout, slice_control_layout, weights_layout, word_layout
from actcodec_rtl.pim.result_buffer import ResultBuffer
from actcodec_rtl.pim.shift_add import ShiftAddTree


class PimMacro(Block):
    """Products of input vectors and the matrix that the cells hold, `actcodec.pim.model.multiply_cells` bit for bit:

        output_o = Σ_r input_r · weight_(r, o)           o < columns / w, for w-bit weights

    Ports: ``weights``, stream of rows of cells (`weights_layout`); ``i``, stream of words of input vectors
    (`word_layout`), b of them a vector of b-bit codes; ``o``, stream of results (`results_layout`), ``beats`` of them
    a vector; ``busy``, a word of a vector was taken and not all of its results were.

    A row of cells is written in the cycle in which it is taken, which is when no vector is in the array; while one
    is offered no vector begins. Vectors that were taken before and have not begun see it: rows are to be changed
    while ``busy`` is 0. Modes may change from vector to vector.

    The next vector is taken while one is computed, and the results of the one before leave:
    `actcodec.pim.cycles` has the number of cycles. No combinational path leads from one port to another; ``o.ready``
    and ``weights.valid`` decide within their cycle whether the array moves on.
    """

    def __init__(self, params: PimParams) -> None:
        self._params = params
        super().__init__(
            {
                "weights": In(stream.Signature(weights_layout(params))),
                "i": In(stream.Signature(word_layout(params))),
                "o": Out(stream.Signature(results_layout(params))),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self._params
        m.submodules.pim_input_buffer = buffer = InputBuffer(p)
        m.submodules.pim_input_driver = driver = InputDriver(p)
        array = PimArray(p)
        add_replaceable(m, platform, "pim_array", ARRAY_MODULE, array)
        m.submodules.pim_accumulators = accumulators = ShiftAccumulators(p)
        m.submodules.pim_result_buffer = results = ResultBuffer(p)
        m.submodules.pim_tree = tree = ShiftAddTree(p)
        connect(m, flipped(self.i), buffer.i)
        connect(m, results.o, tree.i)
        connect(m, tree.o, flipped(self.o))

        m.d.comb += [
            self.weights.ready.eq(driver.idle),
            array.write_en.eq(self.weights.valid & driver.idle),
            array.write_row.eq(self.weights.payload.row),
            array.write_data.eq(self.weights.payload.data),
            driver.hold_off.eq(self.weights.valid),
            driver.full.eq(buffer.full),
            driver.mode.eq(buffer.mode),
            driver.bits.eq(buffer.bits),
            buffer.place.eq(driver.place),
            buffer.release.eq(driver.release),
            array.inputs.eq(driver.inputs),
        ]

        # What goes with the counts of a slice; all of the array stands still where the results before have not left.
        control, valid = register(slice_control_layout(), "counted"), Signal()
        advance, completes = Signal(), Signal()
        m.d.comb += [
            completes.eq(valid & control.last),
            advance.eq(~completes | results.ready),
            driver.advance.eq(advance),
            array.en.eq(advance & driver.valid),
            accumulators.counts.eq(array.counts),
            accumulators.first.eq(control.first),
            accumulators.subtract.eq(control.subtract),
            accumulators.en.eq(valid & ~control.last),
            results.load.eq(completes & results.ready),
            results.sums.eq(accumulators.sums),
            results.mode.eq(control.mode),
            self.busy.eq(buffer.holds | driver.valid | valid | results.o.valid | tree.holds),
        ]
        with m.If(advance):
            m.d.sync += valid.eq(driver.valid)
            with m.If(driver.valid):
                m.d.sync += control.eq(driver.control)
        return m
