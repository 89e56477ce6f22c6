"""The ports that encoder and decoder have in common."""

from __future__ import annotations

from amaranth.hdl import ShapeLike
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from actcodec.params import CodecParams
from actcodec_rtl.counters import counters_layout
from actcodec_rtl.layouts import errors_layout, job_layout, load_layout


def direction_ports(params: CodecParams, inputs: ShapeLike, outputs: ShapeLike) -> dict[str, wiring.Member]:
    """Ports of a direction whose data streams have these payloads; all streams are valid/ready.

    load
        Table images (`actcodec.tables.image`), a word at a time (`load_layout`), always ready.
    start
        Jobs (`job_layout`): a frame, or a part of one. The next one is taken while a frame runs. The bank that it names
        must not be loaded anew before the frame is done.
    i, o
        ``last`` marks a frame's last input and its last output.
    errors
        Strobes (`errors_layout`).
    done
        Strobe: the last output of a frame was taken; where a frame has none, its last input.
    busy
        A job was taken and is neither done nor refused.
    counters
        `counters_layout`; ``clear`` sets them to 0, but for what happens in the cycle of it.
    """
    return {
        "load": In(stream.Signature(load_layout(params))),
        "start": In(stream.Signature(job_layout(params))),
        "i": In(stream.Signature(inputs)),
        "o": Out(stream.Signature(outputs)),
        "errors": Out(errors_layout()),
        "done": Out(1),
        "busy": Out(1),
        "counters": Out(counters_layout()),
        "clear": In(1),
    }
