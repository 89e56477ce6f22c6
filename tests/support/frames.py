"""Frames of synthetic sites, as encoder and decoder see them, and a player that runs them in the simulator."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from amaranth.hdl import ResetInserter, Signal, Value
from amaranth.sim import SimulatorContext
from numpy.typing import NDArray

from actcodec.golden import Input, SiteCodec
from actcodec.golden.beats import beat_integers, last_lanes, to_beats, to_encoder_beats, window_beats
from actcodec.params import CodecParams, Transform, load_params
from actcodec.tables.cycles import decode_cycles, encode_cycles
from actcodec.tables.geometry import Window
from actcodec.tables.image import decoder_image, encoder_image
from actcodec.tables.model import SiteTable, Tables
from actcodec.tables.synthetic import synthetic_input, synthetic_site, synthetic_tables
from actcodec_rtl.counters import COUNTERS
from actcodec_rtl.decoder import Decoder
from actcodec_rtl.encoder import Encoder
from actcodec_rtl.layouts import beat_layout, encoder_beat_layout, job_layout, load_layout
from support.sites import changed
from support.streams import Bench, Sink, Source, fields, pack_fields, simulate

CONFIGS = ("tiny", "default", "wide")
FOLDED = load_params("tiny").model_copy(update={"transforms": ("folded",)})
"""An encoder of accumulators, four a beat."""
ODD_BUILDS = (
    CodecParams(lanes=4, rows=1, block=4),
    CodecParams(lanes=1, rows=2, block=4),
    CodecParams(lanes=3, rows=4, block=12),
    CodecParams(lanes=4, rows=2, block=8, codes=2),
    CodecParams(lanes=4, rows=8, block=8, codes=1),
)


def integers(rows: NDArray[np.uint8]) -> list[int]:
    """Every row of bytes as one number, first byte least significant."""
    return [int.from_bytes(row.tobytes(), "little") for row in rows]


def load_payloads(params: CodecParams, image: NDArray[np.uint8], bank: int = 0) -> list[int]:
    """The words of a table image as payloads of the table stream, ``last`` on the last one."""
    layout = load_layout(params)
    words = [word | bank << layout["bank"].offset for word in integers(image)]
    return _marked(words, 1 << layout["last"].offset)


def beat_payloads(params: CodecParams, beats: NDArray[np.uint8], channel: NDArray[np.bool_]) -> list[int]:
    """Beats (N, lanes) as payloads of the port, ``last`` on the last one."""
    layout = beat_layout(params)
    lanes = [int(lane) << layout["last_lane"].offset for lane in last_lanes(channel)]
    payloads = [beat | lane for beat, lane in zip(integers(beats), lanes, strict=True)]
    return _marked(payloads, 1 << layout["last"].offset)


def encoder_payloads(site: SiteTable, x: Input, rng: np.random.Generator) -> list[int]:
    """Beats of the encoder's input as payloads of its port, ``last`` on the last one; lanes without any are random."""
    beats, valid = to_encoder_beats(site, x)
    layout, bits = encoder_beat_layout(site.params), site.params.encoder_lane_bits
    noisy = np.where(valid, beats, rng.integers(0, 1 << bits, beats.shape))
    lanes = [int(lane) << layout["last_lane"].offset for lane in last_lanes(valid)]
    payloads = [beat | lane for beat, lane in zip(beat_integers(noisy, bits), lanes, strict=True)]
    return _marked(payloads, 1 << layout["last"].offset)


def beat_masks(params: CodecParams, channel: NDArray[np.bool_]) -> list[int]:
    """Of every beat, the bits that mean something: those of channels, and all that say what the beat is."""
    layout = beat_layout(params)
    data = layout["data"].width
    beside = (1 << layout.size) - (1 << data)
    return [mask | beside for mask in integers(np.where(channel, 255, 0).astype(np.uint8))]


@dataclass(frozen=True)
class Frame:
    """One image of a site: the encoder's input as beats, the golden model's stream as words, what it decodes to as
    beats."""

    number: int
    site: SiteTable
    beats: list[int]
    """Lanes that hold nothing are random."""
    words: list[int]
    decoded: list[int]
    channels: list[int]
    """Of every beat, the bits that mean something, ``last`` included."""
    payload_bits: int
    window: Window | None = None
    """The decoder's part of the image."""
    stripe: int | None = None
    """The encoder's rows."""
    bank: int = 0

    @property
    def job(self) -> int:
        """What asks for the frame; fields that must not be looked at are all ones."""
        layout = job_layout(self.site.params)
        values = {name: (1 << layout[name].width) - 1 for name, _ in layout}
        values |= {"site": self.number, "bank": self.bank, "window": 0}
        if self.window is not None:
            values |= {"window": 1, **asdict(self.window)}
        elif self.stripe is not None:
            values |= {"window": 1, "rows": self.stripe}
        return pack_fields(layout, **values)


def frame_of(number: int, site: SiteTable, x: Input, rng: np.random.Generator) -> Frame:
    """The frame of activations x (H, W, C), or of accumulators (H, W, K)."""
    codec, word_bytes = SiteCodec(site), site.params.word_bytes
    stream = codec.encode(x)
    decoded, channel = to_beats(site, codec.decode(stream))
    return Frame(
        number=number,
        site=site,
        payload_bits=site.sizes(1).payload_bits,
        beats=encoder_payloads(site, x, rng),
        words=_marked(integers(stream.reshape(-1, word_bytes)), 1 << site.params.word_bits),
        decoded=beat_payloads(site.params, decoded, channel),
        channels=beat_masks(site.params, channel),
    )


def window_frame(number: int, site: SiteTable, x: Input, rows: Sequence[int], plane: int, columns: range) -> Frame:
    """The decoder's frame of a window of x (H, W, C): ``columns`` of any ``rows``."""
    codec, params, part = SiteCodec(site), site.params, site.planes[plane]
    stream = codec.encode(x).reshape(-1, params.word_bytes)
    window = Window.at(
        site.planes,
        plane,
        columns.start,
        len(columns),
        word_bits=params.word_bits,
        stride=columns.step,
        rows=len(rows),
    )
    size = window.row_words(part.position_bits, params.word_bits)
    firsts = [part.position_bit(row, columns.start) // params.word_bits for row in rows]
    words = np.concatenate([stream[first : first + size] for first in firsts])
    decoded, channel = window_beats(site, plane, codec.decode_window(words, window))
    return Frame(
        number=number,
        site=site,
        payload_bits=len(rows) * len(columns) * part.position_bits,
        beats=[],
        words=_marked(integers(words), 1 << params.word_bits),
        decoded=beat_payloads(params, decoded, channel),
        channels=beat_masks(params, channel),
        window=window,
    )


def stripe_frame(number: int, site: SiteTable, x: Input, y: range) -> Frame:
    """The encoder's frame of full rows ``y`` of x (H, W, C)."""
    params = site.params
    stream = SiteCodec(site).encode(x).reshape(-1, params.word_bytes)
    words: list[int] = []
    for plane in site.planes:
        first, last = (plane.position_bit(row, 0) // params.word_bits for row in (y.start, y.stop))
        words += integers(stream[first:last])
    return Frame(
        number=number,
        site=site,
        payload_bits=sum(plane.position_bits for plane in site.planes) * len(y) * site.info.width,
        beats=encoder_payloads(site, x[y.start : y.stop], np.random.default_rng(len(y))),
        words=_marked(words, 1 << params.word_bits),
        decoded=[],
        channels=[],
        stripe=len(y),
    )


def _marked(payloads: list[int], last: int) -> list[int]:
    return [*payloads[:-1], *(payload | last for payload in payloads[-1:])]


def frames_of(tables: Tables, seed: int) -> list[Frame]:
    """A frame of every site, in random order; some images at the ends of the range."""
    rng = np.random.default_rng(seed)
    found = []
    for number in rng.permutation(len(tables.sites)):
        site = tables.sites[number]
        x = synthetic_input(rng, site)
        if x.dtype == np.uint8 and rng.integers(4) == 0:
            x = np.where(x < 128, 0, 255).astype(np.uint8)
        found.append(frame_of(int(number), site, x, rng))
    return found


def tables_of(params: CodecParams, seed: int) -> Tables:
    """Synthetic tables, small enough for a simulator in Python."""
    return synthetic_tables(seed, params, side=4 + seed % 3)


def params_of(build: str | CodecParams) -> CodecParams:
    """The parameters of a configuration, or those given."""
    return load_params(build) if isinstance(build, str) else build


def tables_with_edges(build: str | CodecParams, seed: int) -> Tables:
    """Synthetic tables; the second site has no bit to store, where the build lets a site have none."""
    params = params_of(build)
    tables = tables_of(params, seed)
    if params.takes_accumulators:
        return tables
    empty = synthetic_site(np.random.default_rng(seed), params, "empty", (2, 3, params.block + 1), max_width=0)
    return Tables(params, (tables.sites[0], empty, *tables.sites[2:]), tables.provenance)


def usual_transform(params: CodecParams) -> Transform:
    """The transform of sites that have blocks, in this build."""
    return "folded" if params.takes_accumulators else "project"


def large_and_small(build: str | CodecParams) -> tuple[Tables, list[Frame]]:
    """A site of many words and one of few, a frame of each."""
    params, rng = params_of(build), np.random.default_rng(4)
    transform = usual_transform(params)
    sites = (
        synthetic_site(rng, params, "large", (3, 5, 2 * params.block), transform=transform, keep=1.0),
        synthetic_site(rng, params, "small", (4, 3, params.block), transform=transform, keep=1.0),
    )
    tables = Tables(params, sites, tables_of(params, 0).provenance)
    images = [synthetic_input(rng, site) for site in sites]
    return tables, [frame_of(n, site, x, rng) for n, (site, x) in enumerate(zip(sites, images, strict=True))]


def without_last_block(site: SiteTable) -> SiteTable:
    """The site without the coefficients of its last block."""
    *others, last = site.info.blocks
    (c0, _), (k0, _) = last.channels, last.coefficients
    per_coefficient = ("P", "bias", "shift", "width", "left_shift", "group", "acc_range")
    rows = {name: array[:k0] for name, array in site.arrays.items() if name in per_coefficient}
    R = site.arrays.R.copy()
    R[c0:] = 0
    blocks = (*others, last.model_copy(update={"coefficients": (k0, k0)}))
    return changed(site, blocks=blocks, R=R, **rows)


def sites_without_bits_at_the_end(build: str | CodecParams) -> tuple[Tables, list[Frame]]:
    """Sites whose last block stores nothing, with and without padding after it, and a frame of each."""
    params, rng = params_of(build), np.random.default_rng(8)
    sites = []
    for order in params.orders:
        for padded in (False, True):
            name, shape = f"{order}, padded {padded}", (2, 4, 2 * params.block)
            transform = usual_transform(params)
            site = synthetic_site(rng, params, name, shape, transform=transform, keep=1.0, order=order)
            if transform == "folded":
                site = without_last_block(site)
            site.arrays.width[:] = np.repeat([8, 0], params.block)[: site.coefficients]
            site.arrays.width[0] -= padded
            site.arrays.left_shift[:] = 0
            sites.append(SiteTable(site.info, site.arrays, params))
    assert [site.planes[0].padding_bits(4) > 0 for site in sites] == [False, True, False, True]
    tables = Tables(params, tuple(sites), tables_of(params, 0).provenance)
    return tables, frames_of(tables, 8)


@dataclass(frozen=True)
class Direction:
    """What differs between the encoder and the decoder."""

    component: Callable[[CodecParams], Any]
    image: Callable[[CodecParams, Sequence[SiteTable]], NDArray[np.uint8]]
    cycles: Callable[[Frame], int]
    inputs: Callable[[Frame], list[int]]
    outputs: Callable[[Frame], list[int]]
    masks: Callable[[Frame], list[int]]
    beats: Callable[[Frame], list[int]]


ENCODER = Direction(
    Encoder,
    encoder_image,
    lambda f: encode_cycles(f.site, f.stripe),
    lambda f: f.beats,
    lambda f: f.words,
    lambda f: [-1] * len(f.words),
    lambda f: f.beats,
)
DECODER = Direction(
    Decoder,
    decoder_image,
    lambda f: decode_cycles(f.site, f.window),
    lambda f: f.words,
    lambda f: f.decoded,
    lambda f: f.channels,
    lambda f: f.decoded,
)


class Player:
    """An encoder or decoder in the simulator."""

    def __init__(self, direction: Direction, params: CodecParams) -> None:
        self.direction, self.params = direction, params
        self.dut = direction.component(params)
        self.ctx: SimulatorContext
        self._reset = Signal()

    def play(self, script: Callable[[Player], Awaitable[None]]) -> None:
        """Run ``script``, which calls the methods below."""

        async def testbench(ctx: SimulatorContext) -> None:
            self.ctx = ctx
            await script(self)

        simulate(ResetInserter(self._reset)(self.dut), testbench)

    async def load(self, tables: Tables, stall: float = 0.0) -> None:
        """Feed the table stream."""
        words = Source(self.dut.load, self.load_words(self.direction.image(self.params, tables.sites)), stall)
        await Bench(self.ctx, words).until(lambda: words.done)
        self.ctx.set(self.dut.load.valid, 0)

    def bench(self, *streams: Source | Sink) -> Bench:
        """These streams, in the player's simulator."""
        return Bench(self.ctx, *streams)

    def load_words(self, image: NDArray[np.uint8], bank: int = 0) -> list[int]:
        """An image as payloads of the table stream."""
        return load_payloads(self.params, image, bank)

    def start(self, frames: Sequence[Frame], input_stall: float = 0, output_stall: float = 0, seed: int = 0) -> Run:
        """Offer frames and their inputs without a pause between them; nothing moves yet."""
        return Run(self, frames, input_stall, output_stall, seed)

    async def reset(self) -> None:
        """One cycle of reset, inputs idle."""
        for stream in (self.dut.start, self.dut.i):
            self.ctx.set(stream.valid, 0)
        self.ctx.set(self._reset, 1)
        await self.ctx.tick()
        self.ctx.set(self._reset, 0)

    def counters(self) -> dict[str, int]:
        """The counters' values by name."""
        values = fields(self.dut.counters.shape(), self.ctx.get(Value.cast(self.dut.counters)))
        assert tuple(values) == COUNTERS
        return values


class Run:
    """Frames on their way through a player's block."""

    def __init__(
        self, player: Player, frames: Sequence[Frame], input_stall: float, output_stall: float, seed: int
    ) -> None:
        self.frames, self._direction = list(frames), player.direction
        dut, rng = player.dut, random.Random(seed)
        payloads = [payload for frame in frames for payload in self._direction.inputs(frame)]
        self.starts = Source(dut.start, [frame.job for frame in frames], input_stall, rng.getrandbits(32))
        self.inputs = Source(dut.i, payloads, input_stall, rng.getrandbits(32))
        self.outputs = Sink(dut.o, output_stall, rng.getrandbits(32))
        self.bench = Bench(player.ctx, self.starts, self.inputs, self.outputs)
        self.expected = sum(len(self._direction.outputs(frame)) for frame in frames)

    async def finish(self) -> None:
        """Go on until all inputs are taken and all outputs are there, and until a surplus one would be."""
        await self.bench.until(
            lambda: self.starts.done and self.inputs.done and len(self.outputs.taken) >= self.expected
        )
        self.outputs.stall = 0.0
        await self.bench.step(40)

    def check(self) -> None:
        """Compare every word or beat, ``last`` included, with the golden model."""
        taken, place = self.outputs.taken, 0
        assert len(taken) == self.expected
        for frame in self.frames:
            expected, masks = self._direction.outputs(frame), self._direction.masks(frame)
            got = [value & mask for value, mask in zip(taken[place : place + len(expected)], masks, strict=True)]
            for n, (value, wanted) in enumerate(zip(got, expected, strict=True)):
                assert value == wanted, f"output {n} of {len(got)}: {value:#x}, not {wanted:#x}; {frame.site.info}"
            place += len(expected)

    def cycles(self) -> list[tuple[int, int]]:
        """(measured, formula) of every frame that has an output."""
        found, place = [], 0
        for frame, start in zip(self.frames, self.starts.taken_at, strict=True):
            place += len(self._direction.outputs(frame))
            if self._direction.outputs(frame):
                end = self.outputs.taken_at[place - 1]
                found.append((end - start + 1, self._direction.cycles(frame)))
        return found

    def truth(self) -> dict[str, int]:
        """What the counters of beats, words and payload bits must have counted."""
        return {
            "beats": sum(len(self._direction.beats(frame)) for frame in self.frames),
            "words": sum(len(frame.words) for frame in self.frames),
            "payload_bits": sum(frame.payload_bits for frame in self.frames),
        }


def play_alone(direction: Direction, params: CodecParams, seed: int = 7, count: int = 5) -> None:
    """Frames of a build's synthetic tables, one by one: the golden output in the cycles of the formula."""
    tables = tables_of(params, seed)

    async def script(player: Player) -> None:
        await player.load(tables)
        for frame in frames_of(tables, seed)[:count]:
            run = player.start([frame])
            await run.finish()
            run.check()
            assert [measured for measured, _ in run.cycles()] == [formula for _, formula in run.cycles()]

    Player(direction, params).play(script)
