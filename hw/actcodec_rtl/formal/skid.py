"""The skid buffer against a queue."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value

from actcodec_rtl.formal.bench import Bench
from actcodec_rtl.formal.claims import Claims
from actcodec_rtl.formal.opened import Mutant
from actcodec_rtl.skid import SkidBuffer


class SkidBench(Bench):
    """One payload of those that enter is marked, whichever the solver likes, and followed to the other side.

    ``ahead`` counts the payloads in front of it. It leaves as itself when they have left, so nothing is lost,
    repeated or overtaken; ``inside`` counts all payloads.
    """

    def __init__(self, bits: int, mutant: Mutant | None = None) -> None:
        super().__init__(mutant)
        self.skid = SkidBuffer(bits)
        self.mark = Signal()
        self.free = {
            "offered": self.skid.i.valid,
            "payload": self.skid.i.payload,
            "taken": self.skid.o.ready,
            "mark": self.mark,
        }

    def describe(self, m: Module, claims: Claims) -> None:
        registers = self.put(m, "skid", self.skid)
        i, o = self.skid.i, self.skid.o
        enter, leave = Signal(), Signal()
        # Two fit; a third would show as 3.
        inside, ahead = Signal(range(4)), Signal(range(4))
        pending, value = Signal(), Signal(len(Value.cast(i.payload)))
        waited, shown = Signal(), Signal.like(value)
        m.d.comb += [enter.eq(i.valid & i.ready), leave.eq(o.valid & o.ready)]
        m.d.sync += [inside.eq(inside + enter - leave), waited.eq(o.valid & ~o.ready), shown.eq(o.payload)]
        with m.If(pending):
            m.d.sync += [pending.eq(~(leave & (ahead == 0))), ahead.eq(ahead - leave)]
        with m.Elif(self.mark & enter):
            m.d.sync += [pending.eq(1), ahead.eq(inside - leave), value.eq(i.payload)]

        claims.promise("a_payload_is_offered_where_there_is_one", o.valid == (inside != 0))
        claims.promise("two_fit", i.ready == (inside < 2))
        claims.promise("no_more_than_two_are_inside", inside <= 2)
        claims.promise("the_marked_payload_comes_in_its_turn", ~(pending & (ahead == 0)) | (o.payload == value))
        claims.promise("the_marked_payload_is_inside", ~pending | (ahead < inside))
        claims.promise("an_offer_stays_until_taken", ~waited | (o.valid & (o.payload == shown)))

        front, back, back_full = (registers[name] for name in ("front", "back", "back_full"))
        claims.invariant("registers_are_full_in_order", inside == Mux(back_full, 2, o.valid))
        claims.invariant("a_full_back_has_a_front", ~back_full | o.valid)
        claims.invariant("the_marked_payload_is_in_its_register", ~pending | (Mux(ahead == 0, front, back) == value))

        claims.sight("the_marked_payload_leaves", pending & (ahead == 0) & leave)
        claims.sight("the_marked_payload_waits_behind_another", pending & (ahead == 1) & waited)
        claims.sight("both_registers_are_full", inside == 2)
