"""What goes wrong around a codec, and what has to come out all the same: scenarios for the robustness tests.

A scenario is a list of phases. In each, encoder and decoder work off jobs of one site from one bank while images,
broken ones among them, are loaded into the other. Frames are too short or too long, streams are noise, jobs are
impossible, and a reset may come at any moment. The expected outputs are the golden model's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actcodec.golden import Input, SiteCodec, beat_integers, last_lanes, to_beats, to_encoder_beats, window_beats
from actcodec.tables import SiteTable, Tables, Window
from actcodec.tables.image import HEADER_COUNT_BITS, HEADER_FIRST_BITS, HEADER_MEMORY_BITS, Image, site_image
from actcodec.tables.program import encoder_beats
from actcodec.tables.records import Record, decoder_records, encoder_records
from actcodec.tables.synthetic import synthetic_input
from actcodec_rtl.layouts import ERRORS, beat_layout, encoder_beat_layout, job_layout, load_layout, word_layout

STALLS = (0.0, 0.3, 0.7)
LONGEST_CUT = 250
"""A reset comes within this many cycles."""


@dataclass
class Part:
    """A phase of one direction, as payloads of its ports."""

    tables: list[int] = field(default_factory=list)
    """Images that are loaded before anything else."""
    background: list[int] = field(default_factory=list)
    """Images that are loaded meanwhile."""
    starts: list[int] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    masks: list[int] = field(default_factory=list)
    """Of every output, the bits that mean something."""
    errors: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ERRORS, 0))
    """Strobes that have to come."""
    done: int = 0
    """Frames that have to end."""


@dataclass(frozen=True)
class Phase:
    """Both directions side by side."""

    encoder: Part
    decoder: Part
    stall: float
    """Probability of a stall a cycle, on every port."""
    cut: int | None
    """Cycle of a reset, after which all is to begin anew; until then outputs are the first of the expected ones."""

    def as_json(self) -> dict[str, Any]:
        """The phase as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class _Frame:
    """What goes in for a job and has to come out, without ``last``."""

    job: dict[str, int]
    inputs: list[int]
    outputs_of: Callable[[int], tuple[list[int], list[int]]]
    """Outputs and the bits of them that mean something, where all but so many inputs are zero."""


def _integers(rows: NDArray[np.uint8]) -> list[int]:
    return [int.from_bytes(row.tobytes(), "little") for row in rows]


def _beat_payloads(layout: Any, beats: NDArray[Any], valid: NDArray[np.bool_]) -> list[int]:
    """Beats (N, lanes) with the number of their last lane, without ``last``."""
    lanes = [_packed(layout, last_lane=int(lane)) for lane in last_lanes(valid)]
    bits = layout["data"].width // beats.shape[1]
    return [beat | lane for beat, lane in zip(beat_integers(beats, bits), lanes, strict=True)]


def _packed(layout: Any, **values: int) -> int:
    return sum(value << layout[name].offset for name, value in values.items())


def _beats(site: SiteTable, rows: range) -> Iterator[tuple[int, int, slice]]:
    """Row, column and place in x of every beat of the encoder's input, in the order in which they cross the port."""
    for plane in site.planes:
        for y in rows:
            for x in range(site.info.width):
                for beat in encoder_beats(site, plane):
                    yield y, x, slice(beat.start, beat.stop)


class _Direction:
    """Makes the phases of one direction, one after another; knows what its banks hold."""

    def __init__(self, name: str, tables: Tables, rng: np.random.Generator) -> None:
        self._name, self._tables, self._rng = name, tables, rng
        self._records = (encoder_records if name == "encoder" else decoder_records)(tables.params)
        encoder, decoder = (encoder_beat_layout, word_layout), (word_layout, beat_layout)
        inputs, outputs = encoder if name == "encoder" else decoder
        self._last_in = _packed(inputs(tables.params), last=1)
        self._last_out = _packed(outputs(tables.params), last=1)
        # The encoder compares the number of a beat's last lane and encodes the beat as it is.
        self._lane = _packed(inputs(tables.params), last_lane=1) if name == "encoder" else 0
        self._bank = 0
        self._site = tables.sites[0]
        self._number = 0
        self._loaded = False

    def phase(self, resets: bool) -> Part:
        """The next phase; one that ``resets`` leaves nothing loaded behind."""
        part = Part()
        if not self._loaded:
            self._bank = int(self._rng.integers(2))
            part.tables = self._next_image(self._bank)
        for _ in range(self._rng.integers(2, 7)):
            self._act(part)
        for _ in range(self._rng.integers(3)):
            part.background += self._broken_image(1 - self._bank)
            part.errors["bad_table"] += 1
        self._loaded = not resets
        if self._loaded:
            self._bank = 1 - self._bank
            part.background += self._next_image(self._bank)
        return part

    def _choice(self, choices: Sequence[Any]) -> Any:
        return choices[int(self._rng.integers(len(choices)))]

    def _next_image(self, bank: int) -> list[int]:
        """The image of another site, under any number that a bank has."""
        self._site = self._choice(self._tables.sites)
        self._number = int(self._rng.integers(self._tables.params.max_sites // 2))
        image: Image = getattr(site_image(self._tables, self._site.info.name, self._number), self._name)
        return self._image(_integers(image), bank)

    def _image(self, words: list[int], bank: int) -> list[int]:
        layout = load_layout(self._tables.params)
        payloads = [_packed(layout, data=word, bank=bank) for word in words]
        return [*payloads[:-1], payloads[-1] | _packed(layout, last=1)]

    def _noise(self, count: int) -> list[int]:
        return _integers(self._rng.integers(0, 256, (count, self._tables.params.word_bytes), dtype=np.uint8))

    def _broken_image(self, bank: int) -> list[int]:
        """A memory that does not exist, an entry beyond the bank, or an end within a section; then noise."""
        number = int(self._rng.integers(len(self._records)))
        record: Record = list(self._records.values())[number]
        size = record.words(self._tables.params.word_bits)
        kind = self._choice(("unknown", "beyond", "truncated"))
        if kind == "unknown":
            number = int(self._rng.integers(len(self._records), 1 << HEADER_MEMORY_BITS))
        first = record.depth // (1 + bank) if kind == "beyond" else 0
        header = number | first << HEADER_MEMORY_BITS | 2 << (HEADER_MEMORY_BITS + HEADER_FIRST_BITS)
        assert self._tables.params.word_bits >= HEADER_MEMORY_BITS + HEADER_FIRST_BITS + HEADER_COUNT_BITS
        rest = int(self._rng.integers(2 * size)) if kind == "truncated" else int(self._rng.integers(1, 3 * size + 2))
        return self._image([header, *self._noise(rest)], bank)

    def _act(self, part: Part) -> None:
        """One more job: a frame or a part of one, of the right length or not, or one that is refused."""
        job = {"site": self._number, "bank": self._bank}
        kind = self._choice(("frame", "part", "early", "late", "early", "late", "bad_site", "bad_window"))
        layout = job_layout(self._tables.params)
        if kind in ("bad_site", "bad_window"):
            part.starts.append(_packed(layout, **self._refused(kind, job)))
            part.errors[kind] += 1
            return
        is_part = kind == "part" or (kind != "frame" and self._rng.integers(2) == 0)
        frame = (self._encoded if self._name == "encoder" else self._decoded)(job, is_part)
        part.starts.append(_packed(layout, **frame.job))
        part.done += 1
        count = len(frame.inputs)
        inputs = frame.inputs
        given = int(self._rng.integers(1, count)) if kind == "early" and count > 1 else count
        outputs, masks = frame.outputs_of(given)
        part.outputs += [*outputs[:-1], *(payload | self._last_out for payload in outputs[-1:])]
        part.masks += [mask | self._last_out for mask in masks]
        part.errors["early_last"] += given < count
        inputs = inputs[:given]
        if self._lane and count and self._rng.integers(3) == 0:
            inputs[int(self._rng.integers(given))] ^= self._lane
            part.errors["keep"] += 1
        if kind == "late" and count:
            inputs = [*inputs, *inputs[: self._rng.integers(count)], 0]
            part.errors["late_last"] += 1
        part.inputs += [*inputs[:-1], *(payload | self._last_in for payload in inputs[-1:])]

    def _refused(self, kind: str, job: dict[str, int]) -> dict[str, int]:
        """A site that is not loaded, or a window without any position, or of a plane that the site has not."""
        if kind == "bad_site":
            others = [n for n in range(self._tables.params.max_sites) if n != self._number]
            return {**job, "site": self._choice(others)}
        window = {"window": 1, "count": 1, "stride": 1, "rows": 1}
        if self._name == "encoder":
            return {**job, **window, "rows": 0}
        wrong = self._choice((("rows", 0), ("count", 0), ("stride", 0), ("plane", len(self._site.planes))))
        return {**job, **window, wrong[0]: wrong[1]}

    def _input(self) -> Input:
        if self._site.info.transform == "folded":
            return synthetic_input(self._rng, self._site)
        return self._rng.integers(0, 256, self._site.encoder_shape, dtype=np.uint8)

    def _encoded(self, job: dict[str, int], is_part: bool) -> _Frame:
        site, height = self._site, self._site.info.height
        x = self._input()
        rows = range(height)
        if is_part:
            first = int(self._rng.integers(height))
            rows = range(first, int(self._rng.integers(first, height)) + 1)
            job = {**job, "window": 1, "rows": len(rows)}

        def outputs_of(given: int) -> tuple[list[int], list[int]]:
            seen = np.zeros_like(x)
            for place in islice(_beats(site, rows), given):
                seen[place] = x[place]
            stream = SiteCodec(site).encode(seen).reshape(-1, site.params.word_bytes)
            parts = []
            for plane in site.planes:
                first, last = (plane.position_bit(y, 0) // site.params.word_bits for y in (rows.start, rows.stop))
                parts.append(stream[first:last])
            words = _integers(np.concatenate(parts))
            return words, [-1] * len(words)

        beats = to_encoder_beats(site, x[rows.start : rows.stop])
        return _Frame(job, _beat_payloads(encoder_beat_layout(site.params), *beats), outputs_of)

    def _decoded(self, job: dict[str, int], is_part: bool) -> _Frame:
        site, params = self._site, self._site.params
        codec = SiteCodec(site)
        window: Window | None = None
        count = codec.stream_bytes // params.word_bytes
        if is_part:
            window = self._window()
            job = {**job, "window": 1, **asdict(window)}
            count = window.rows * window.row_words(site.planes[window.plane].position_bits, params.word_bits)
        words = self._rng.integers(0, 256, (count, params.word_bytes), dtype=np.uint8)

        def outputs_of(given: int) -> tuple[list[int], list[int]]:
            seen = np.where(np.arange(count)[:, None] < given, words, 0).astype(np.uint8)
            if window is None:
                beats, valid = to_beats(site, codec.decode(seen.reshape(-1)))
            else:
                beats, valid = window_beats(site, window.plane, codec.decode_window(seen, window))
            # All bits but the bytes that are no channel.
            masks = [~filling for filling in _integers(np.where(valid, 0, 255).astype(np.uint8))]
            return _beat_payloads(beat_layout(params), beats, valid), masks

        return _Frame(job, _integers(words), outputs_of)

    def _window(self) -> Window:
        site, rng = self._site, self._rng
        return Window(
            plane=int(rng.integers(len(site.planes))),
            offset=int(rng.integers(site.params.word_bits)),
            count=int(rng.integers(1, 6)),
            stride=int(rng.integers(1, 4)),
            rows=int(rng.integers(1, 4)),
        )


def scenario(tables: Tables, seed: int, phases: int, resets: float = 0.3) -> list[Phase]:
    """Random phases, a share of which ends in a reset. The codec needs two banks.

    Raises ActcodecError where a site does not fit a bank, and ValueError for a codec with one.
    """
    if tables.params.banks != 2:
        raise ValueError(f"banks = {tables.params.banks}: images are loaded while others are used")
    rng = np.random.default_rng(seed)
    encoder, decoder = (_Direction(name, tables, rng) for name in ("encoder", "decoder"))
    found = []
    for _ in range(phases):
        cut = int(rng.integers(1, LONGEST_CUT)) if rng.random() < resets else None
        stall = STALLS[int(rng.integers(len(STALLS)))]
        found.append(Phase(encoder.phase(cut is not None), decoder.phase(cut is not None), stall, cut))
    return found
