"""What is in front of the encoder's biases: the guarded input, and the MAC array where there is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import connect

from actcodec.params import CodecParams
from actcodec.tables.records import encoder_records
from actcodec_rtl.dispatcher import Dispatcher
from actcodec_rtl.encoder_array import EncoderArray
from actcodec_rtl.encoder_bias import EncoderBias
from actcodec_rtl.frame_guard import FrameGuard
from actcodec_rtl.layouts import encoder_beat_layout, sums_layout
from actcodec_rtl.multipliers import Multipliers
from actcodec_rtl.skid import SkidBuffer
from actcodec_rtl.store import TableStore
from actcodec_rtl.walker import Walker


@dataclass(frozen=True)
class Front:
    """What the rest of the encoder has to know of its input.

    ``early`` and ``late``: strobes of the guard. ``wrong_lanes``: a beat is taken whose last lane is not the site's.
    ``waits``: the encoder waits for its input. ``silent_ends``: the last input of a frame without an output is taken;
    None where every frame has one.
    """

    early: Value
    late: Value
    wrong_lanes: Value
    waits: Value
    silent_ends: Value | None


def array_front(
    m: Module, p: CodecParams, i: Any, store: TableStore, dispatcher: Dispatcher, bias: EncoderBias, shared: Any
) -> Front:
    """Activations from the stream ``i`` through a MAC array to the biases.

    ``shared``: the multipliers, which are outside; None for an array with its own.
    """
    records = encoder_records(p)
    m.submodules.walker = walker = Walker(p, records["plane"], records["operation"])
    skid_in, guard = _guarded(m, p, i)
    m.submodules.array = array = EncoderArray(p)
    # Results wait for what the output says: the array, and the walker behind it, are told of that by a register.
    m.submodules.sums = sums = SkidBuffer(sums_layout(p))
    connect(m, dispatcher.work, walker.command)
    store.connect_reads(
        m,
        plane=(walker.plane_en, walker.plane_addr, walker.plane_data),
        operation=(walker.entry_en, walker.entry_addr, array.operation.payload),
    )
    m.d.comb += [
        array.operation.valid.eq(walker.o.valid),
        array.closes.eq(walker.o.payload.last),
        walker.o.ready.eq(array.operation.ready),
    ]
    _feed(m, guard, array.i, array.ends)
    connect(m, array.o, sums.i)
    connect(m, sums.o, bias.i)
    if shared is None:
        m.submodules.multipliers = multipliers = Multipliers(p, "encoder")
        connect(m, array.multipliers, multipliers.array)
    else:
        connect(m, array.multipliers, wiring.flipped(shared))
    # The array says late in a cycle that it takes a frame's last input.
    silent_ends = Signal()
    m.d.sync += silent_ends.eq(dispatcher.silent & array.ends)
    return _front(skid_in, guard, array.i, array.last_lane, silent_ends)


def accumulator_front(m: Module, p: CodecParams, i: Any, bias: EncoderBias) -> Front:
    """Accumulators from the stream ``i`` to the biases, whose records tell a frame's end."""
    skid_in, guard = _guarded(m, p, i)
    _feed(m, guard, bias.i, bias.ends)
    return _front(skid_in, guard, bias.i, bias.last_lane, None)


def _guarded(m: Module, p: CodecParams, i: Any) -> tuple[SkidBuffer, FrameGuard]:
    m.submodules.skid_in = skid_in = SkidBuffer(encoder_beat_layout(p))
    m.submodules.guard = guard = FrameGuard(encoder_beat_layout(p))
    connect(m, wiring.flipped(i), skid_in.i)
    connect(m, skid_in.o, guard.i)
    return skid_in, guard


def _feed(m: Module, guard: FrameGuard, consumer: Any, ends: Value) -> None:
    """Give what the guard lets pass to a stream that is ready where the frame cannot go on without an input."""
    m.d.comb += [
        consumer.valid.eq(guard.o.valid),
        consumer.payload.eq(guard.o.payload.data),
        guard.o.ready.eq(consumer.ready),
        guard.wants.eq(consumer.ready),
        guard.ends.eq(ends),
    ]


def _front(skid_in: SkidBuffer, guard: FrameGuard, consumer: Any, last_lane: Value, silent_ends: Value | None) -> Front:
    # A beat that is really taken, and not one that the guard makes up or drops.
    taken = skid_in.o.valid & skid_in.o.ready & guard.o.valid & guard.o.ready
    return Front(
        early=guard.early,
        late=guard.late,
        wrong_lanes=taken & (skid_in.o.payload.last_lane != last_lane),
        waits=consumer.ready & ~consumer.valid,
        silent_ends=silent_ends,
    )
