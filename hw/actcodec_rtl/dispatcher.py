"""The dispatcher: turns jobs into commands for both walkers of a direction, or refuses them."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from actcodec.params import CodecParams
from actcodec.tables.records import Record, bits_for
from actcodec_rtl.banks import in_bank
from actcodec_rtl.component import Block, register
from actcodec_rtl.layouts import job_layout, record_layout
from actcodec_rtl.walker import command_layout

FLIGHT_BITS = 4
"""Bits of the number of frames that are under way; no job is taken while it is full."""


class Dispatcher(Block):
    """Takes a job, reads its site, and commands a frame of it to the MAC array's walker and to that of the codes.

    With a ``window`` record (decoder) a window is some positions of some rows of one plane, whose codes are looked up;
    without one (encoder) it is a stripe of full rows. What stores nothing is commanded to the MAC array only. In the
    encoder no output tells then that the frame is done, so it runs alone.

    Where the records of sites name no planes of operations (an encoder without an array) there is no ``work``, and
    every site stores something.

    Ports: ``start``, stream of `job_layout`; ``site`` and ``site_bank`` with ``known``, asked of the store about the
    job taken in the cycle before; read ports of the memories of sites and of windows; ``work`` and ``codes``, streams
    of `command_layout`; ``done``, in: a frame has ended; ``busy``, out: frames are under way; ``silent``, out: one
    that stores nothing is (encoder); ``bad_site`` and ``bad_window``, strobes: a job was refused.

    Latency: commands are valid ``LATENCY`` cycles after the start is taken, those of the decoder's windows
    ``WINDOW_LATENCY``. The next start is taken while the walkers go through the frame before.
    """

    LATENCY = 3
    WINDOW_LATENCY = 6

    def __init__(self, params: CodecParams, site: Record, window: Record | None = None) -> None:
        self._params, self._looks_up = params, window is not None
        self._works = any(field.name == "plane" for field in site.fields)
        number = unsigned(bits_for(params.max_sites - 1))
        members: dict[str, wiring.Member] = {
            "start": In(stream.Signature(job_layout(params))),
            "site": Out(number),
            "site_bank": Out(1),
            "known": In(1),
            "site_en": Out(1),
            "site_addr": Out(number),
            "site_data": In(record_layout(site)),
            "codes": Out(stream.Signature(command_layout(params, seeks=self._looks_up))),
            "done": In(1),
            "busy": Out(1),
            "silent": Out(1),
            "bad_site": Out(1),
            "bad_window": Out(1),
        }
        if self._works:
            members["work"] = Out(stream.Signature(command_layout(params)))
        if window is not None:
            members |= {
                "window_en": Out(1),
                "window_addr": Out(unsigned(bits_for(window.depth - 1))),
                "window_data": In(record_layout(window)),
            }
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        job, known = register(job_layout(self._params), "job"), register(1, "job_known")
        # The site is looked for, is on the memory's output, which comes late in a cycle, and is in its register.
        site, read, checked = register(self.site_data.shape(), "site"), Signal(), Signal()
        # All that the commands say is there.
        there = Signal()
        work_waits, codes_wait = Signal(), Signal()
        flight = Signal(FLIGHT_BITS)
        accept, refused = Signal(), Signal()
        # A job that stores nothing leaves ``codes_wait`` set.
        waiting = work_waits | self.codes.valid if self._works else codes_wait
        commands = (self.work, self.codes) if self._works else (self.codes,)
        m.d.comb += [
            self.site.eq(job.site),
            self.site_bank.eq(job.bank),
            self.site_addr.eq(in_bank(self._params, job.site, job.bank)),
            self.start.ready.eq(~waiting & ~self.silent & ~flight.all()),
            accept.eq(self.start.valid & self.start.ready),
            self.bad_site.eq(checked & ~known),
            self.bad_window.eq(checked & known & job.window & self._impossible(job, site)),
            refused.eq(self.bad_site | self.bad_window),
            self.busy.eq(flight != 0),
        ]
        m.d.sync += [self.site_en.eq(accept), read.eq(self.site_en), checked.eq(read)]
        m.d.sync += flight.eq(flight + accept - self.done - refused)
        with m.If(self.site_en):
            m.d.sync += known.eq(self.known)
        with m.If(read):
            m.d.sync += site.eq(self.site_data)
        with m.If(accept):
            m.d.sync += [job.eq(self.start.payload), work_waits.eq(1), codes_wait.eq(1)]
        with m.Elif(refused):
            m.d.sync += [work_waits.eq(0), codes_wait.eq(0)]
        with m.Else():
            if self._works:
                with m.If(self.work.valid & self.work.ready):
                    m.d.sync += work_waits.eq(0)
            with m.If(self.codes.valid & self.codes.ready):
                m.d.sync += codes_wait.eq(0)

        for command in commands:
            m.d.comb += [
                command.payload.last_y.eq(Mux(job.window, job.rows - 1, site.last_y)),
                command.payload.bank.eq(job.bank),
            ]
        waits = work_waits & there & ~refused, codes_wait & there & ~refused
        if self._looks_up:
            found = self._command_window(m, job, site, checked & ~refused, *waits)
        else:
            found = read
            if self._works:
                self._command_work(m, job, site, flight, waits[0])
            self._command_codes(m, job, site, waits[1])
        with m.If(accept):
            m.d.sync += there.eq(0)
        with m.Elif(Mux(job.window, found, read)):
            m.d.sync += there.eq(1)
        return m

    def _impossible(self, job: Any, site: Any) -> Value:
        """Whether there is no such window."""
        nothing: Value = job.rows == 0
        if self._looks_up:
            nothing = nothing | (job.count == 0) | (job.stride == 0) | (job.plane > site.last_plane)
        return nothing

    def _command_codes(self, m: Module, job: Any, site: Any, codes_wait: Value) -> None:
        """The encoder's command to the walker of codes: all planes, in full width."""
        m.d.comb += [
            self.codes.valid.eq(codes_wait & site.coded if self._works else codes_wait),
            self.codes.payload.plane.eq(in_bank(self._params, site.code_plane, job.bank)),
            self.codes.payload.last_x.eq(site.last_x),
        ]

    def _command_work(self, m: Module, job: Any, site: Any, flight: Signal, work_waits: Value) -> None:
        """The encoder's command to its array's walker; a frame that stores nothing waits to be alone."""
        m.d.comb += [
            self.work.valid.eq(work_waits & (site.coded | (flight == 1))),
            self.work.payload.plane.eq(in_bank(self._params, site.plane, job.bank)),
            self.work.payload.last_x.eq(site.last_x),
        ]
        with m.If(self.work.valid & self.work.ready & ~site.coded):
            m.d.sync += self.silent.eq(1)
        with m.Elif(self.done):
            m.d.sync += self.silent.eq(0)

    def _command_window(
        self, m: Module, job: Any, site: Any, looks: Value, work_waits: Value, codes_wait: Value
    ) -> Value:
        """The decoder's commands: all planes, or of one plane what the window says.

        The plane of a window is looked up from ``looks`` on; returns whether it has been found, for one cycle.
        """
        bank = job.bank
        plane, window = register(len(self.window_addr), "window_plane"), register(self.window_data.shape(), "window")
        found = Signal()
        m.d.sync += [self.window_en.eq(looks & job.window), found.eq(self.window_en)]
        with m.If(looks):
            m.d.sync += plane.eq(in_bank(self._params, (site.plane + job.plane)[: len(plane)], bank))
        with m.If(found):
            m.d.sync += window.eq(self.window_data)
        m.d.comb += [
            self.window_addr.eq(plane),
            self.work.valid.eq(work_waits),
            self.codes.valid.eq(codes_wait & Mux(job.window, window.coded, site.coded)),
            self.work.payload.plane.eq(Mux(job.window, plane, in_bank(self._params, site.plane, bank))),
            self.codes.payload.plane.eq(
                in_bank(self._params, Mux(job.window, window.code_plane, site.code_plane), bank)
            ),
            self.codes.payload.skip.eq(Mux(job.window, job.stride - 1, 0)),
            self.codes.payload.offset.eq(Mux(job.window, job.offset, 0)),
        ]
        for command in (self.work.payload, self.codes.payload):
            m.d.comb += [
                command.last_x.eq(Mux(job.window, job.count - 1, site.last_x)),
                command.single.eq(job.window),
            ]
        return found
