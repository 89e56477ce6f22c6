"""Functional coverage of co-simulations: which combinations of tables and stalls went through the RTL.

A *point* is a property with a few values. A *sample* gives every block, and every width in it, of a frame that ran
all its points' values: those of the tables from the arrays that the RTL was loaded with, the stalls from what the
testbench saw at the ports. A *bin* is a combination of values of the points of a *cross*; crosses are all pairs of
points and the triples in ``TRIPLES``, for each direction. Bins that cannot happen by the format's own rules are none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations, product
from pathlib import Path
from typing import Any, Literal, get_args

from actcodec.errors import ActcodecError
from actcodec.files import read_json
from actcodec.params import DIRECTIONS, MAX_WIDTH, CodecParams, Direction, Order
from actcodec.tables import SiteTable, Tables
from actcodec.tables.geometry import Plane
from actcodec.tables.program import padding

COVERAGE_FILE = "coverage.json"

Stall = Literal["none", "input", "output", "both"]

POINTS: dict[str, tuple[str, ...]] = {
    "stalls": get_args(Stall),
    "width": tuple(str(width) for width in range(MAX_WIDTH + 1)),
    "channels": ("part of a beat", "whole beats", "beats and a part", "full block"),
    "kept": ("nothing", "part of a group", "whole groups", "groups and a part"),
    "transform": ("project", "identity", "bypass"),
    "order": get_args(Order),
    "alignment": ("a word", "several words"),
    "padding": ("none", "part of a word", "whole words", "part and whole words"),
    "last word": ("full", "part", "padding only", "no word"),
    "last beat": ("all lanes", "some lanes"),
    "last block": ("stored", "nothing stored"),
}
"""Points and their values, in the order in which a bin names them.

``channels`` are those of a block, ``kept`` its coefficients with a width, ``padding`` what follows a row of its plane.
``last word`` is how much of a frame's last word is payload, ``last beat`` how many of a frame's last beat's lanes are
channels, ``last block`` whether the block that ends a frame stores anything.
"""

TRIPLES = (
    ("stalls", "width", "transform"),
    ("stalls", "channels", "kept"),
    ("stalls", "transform", "order"),
    ("stalls", "order", "padding"),
    ("stalls", "alignment", "padding"),
    ("stalls", "last word", "last beat"),
)
CROSSES = (*combinations(POINTS, 2), *TRIPLES)

Sample = Mapping[str, str]
Bin = tuple[Direction, str]
"""A direction, and values by point as text: ``stalls=both, width=3``."""


@dataclass(frozen=True)
class ObservedFrame:
    """A frame that a direction ran: cycles in which its input was waited for, in which its output waited."""

    site: int
    direction: Direction
    input_stalls: int
    output_stalls: int

    @property
    def stalls(self) -> Stall:
        """On which side the frame stalled."""
        if self.input_stalls:
            return "both" if self.output_stalls else "input"
        return "output" if self.output_stalls else "none"


def bin_name(values: Mapping[str, str]) -> str:
    """Values of points as text, points in the order of ``POINTS``."""
    return ", ".join(f"{point}={values[point]}" for point in POINTS if point in values)


_IMPOSSIBLE: tuple[tuple[str, dict[str, tuple[str, ...]]], ...] = (
    ("bypass stores whole bytes", {"transform": ("bypass",), "width": tuple("01234567")}),
    ("bypass stores every channel", {"transform": ("bypass",), "kept": ("nothing",)}),
    ("bypass stores every channel", {"transform": ("bypass",), "last word": ("no word",)}),
    ("bypass stores every channel", {"transform": ("bypass",), "last block": ("nothing stored",)}),
    ("a block that stores nothing has no width", {"kept": ("nothing",), "width": tuple("12345678")}),
    (
        "rows end at the word",
        {"alignment": ("a word",), "padding": ("whole words", "part and whole words")},
    ),
    ("rows end at the word", {"alignment": ("a word",), "last word": ("padding only",)}),
    ("nothing is stored", {"last word": ("no word",), "width": tuple("12345678")}),
    ("nothing is stored", {"last word": ("no word",), "padding": POINTS["padding"][1:]}),
    ("nothing is stored", {"last word": ("no word",), "kept": POINTS["kept"][1:]}),
    ("nothing is stored", {"last word": ("no word",), "last block": ("stored",)}),
)
_NO_PORT: dict[Direction, tuple[str, ...]] = {"encoder": ("output", "both"), "decoder": ("input", "both")}
"""Stalls of the port that words pass, which cannot happen where a frame has no word."""


def impossible(direction: Direction, values: Mapping[str, str]) -> str | None:
    """Why no frame can have these values; None where one can."""
    for reason, rule in _IMPOSSIBLE:
        if all(values.get(point) in excluded for point, excluded in rule.items()):
            return reason
    if values.get("last word") == "no word" and values.get("stalls") in _NO_PORT[direction]:
        return "nothing is stored, and no word passes"
    return None


@cache
def all_bins() -> frozenset[Bin]:
    """Every bin that can be hit."""
    return frozenset(
        (direction, bin_name(values))
        for direction in DIRECTIONS
        for cross in CROSSES
        for values in (dict(zip(cross, chosen, strict=True)) for chosen in product(*(POINTS[point] for point in cross)))
        if impossible(direction, values) is None
    )


@dataclass(frozen=True)
class Coverage:
    """How often each bin was hit (once a frame), and the runs that hit them."""

    hits: Counter[Bin] = field(default_factory=Counter)
    runs: tuple[dict[str, Any], ...] = ()

    def __add__(self, other: Coverage) -> Coverage:
        return Coverage(self.hits + other.hits, self.runs + other.runs)

    def holes(self) -> list[Bin]:
        """Bins that nothing hit, in a fixed order."""
        return sorted(all_bins() - self.hits.keys())

    def as_json(self) -> dict[str, Any]:
        """The coverage as JSON values; a bin that no rule excludes is in ``hits`` or in ``holes``."""
        return {
            "points": {point: list(values) for point, values in POINTS.items()},
            "triples": [list(triple) for triple in TRIPLES],
            "bins": len(all_bins()),
            "runs": list(self.runs),
            "hits": {
                direction: {name: count for (found, name), count in sorted(self.hits.items()) if found == direction}
                for direction in DIRECTIONS
            },
            "holes": {
                direction: [name for found, name in self.holes() if found == direction] for direction in DIRECTIONS
            },
        }


def read_coverage(content: Any, source: object) -> Coverage:
    """The coverage that `Coverage.as_json` wrote; ActcodecError where it was counted in other bins."""
    try:
        same = content["points"] == {point: list(values) for point, values in POINTS.items()}
        hits = Counter({(d, name): int(count) for d in DIRECTIONS for name, count in content["hits"][d].items()})
        runs = tuple(content["runs"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ActcodecError(str(source), f"is no coverage: {error!r}") from error
    if not same or not hits.keys() <= all_bins():
        raise ActcodecError(str(source), "was counted in other bins; run its co-simulation again")
    return Coverage(hits, runs)


def merge_files(sources: Iterable[Path]) -> Coverage:
    """The sum of the coverage in files, and in the files ``coverage.json`` anywhere below directories.

    Raises ActcodecError where there is none, or a file is no coverage.
    """
    files = [
        found for source in sources for found in (sorted(source.rglob(COVERAGE_FILE)) if source.is_dir() else [source])
    ]
    if not files:
        raise ActcodecError("coverage", f"no {COVERAGE_FILE} was found")
    return sum((read_coverage(read_json(path), path) for path in files), Coverage())


def _size(count: int, unit: int, names: Sequence[str]) -> str:
    """``count`` as a part of a unit, whole units, or units and a part."""
    return names[0] if count < unit else names[1] if count % unit == 0 else names[2]


def _padding(site: SiteTable, plane: Plane) -> str:
    partial, words = padding(site, plane)
    if words:
        return "part and whole words" if partial else "whole words"
    return "part of a word" if partial else "none"


def _last_word(site: SiteTable) -> str:
    """What of the frame's last word is payload: it ends the last row of the last plane that stores anything."""
    stored = [plane for plane in site.planes if plane.position_bits]
    if not stored:
        return "no word"
    partial, words = padding(site, stored[-1])
    return "padding only" if words else "part" if partial else "full"


def _blocks(site: SiteTable) -> Iterator[tuple[Plane, int]]:
    for plane in site.planes:
        for block in range(plane.first_block, plane.last_block):
            yield plane, block


def _kept(site: SiteTable, block: int) -> int:
    k0, k1 = site.info.blocks[block].coefficients
    return int((site.arrays.width[k0:k1] > 0).sum())


def site_samples(site: SiteTable) -> list[dict[str, str]]:
    """Samples of the tables of a site: all points but the stalls. A block without coefficients has no width."""
    params: CodecParams = site.params
    last = len(site.info.blocks) - 1
    c0, c1 = site.info.blocks[last].channels
    common = {
        # The decoder cannot tell them apart.
        "transform": "project" if site.info.transform == "folded" else site.info.transform,
        "order": site.info.order,
        "alignment": "a word" if site.info.align_bits == params.word_bits else "several words",
        "last word": _last_word(site),
        "last beat": "some lanes" if (c1 - c0) % params.lanes else "all lanes",
        "last block": "stored" if _kept(site, last) else "nothing stored",
    }
    samples = []
    for plane, block in _blocks(site):
        (c0, c1), (k0, k1) = site.info.blocks[block].channels, site.info.blocks[block].coefficients
        channels = c1 - c0
        kept = _kept(site, block)
        own = {
            "channels": "full block" if channels == params.block else _size(channels, params.lanes, POINTS["channels"]),
            "kept": _size(kept, params.rows, POINTS["kept"][1:]) if kept else "nothing",
            "padding": _padding(site, plane),
        }
        widths = sorted({int(width) for width in site.arrays.width[k0:k1]})
        samples += [{**common, **own, "width": str(width)} for width in widths] or [{**common, **own}]
    return samples


def bins_of(samples: Iterable[Sample]) -> set[str]:
    """The names of the bins that these samples hit."""
    return {
        bin_name({point: sample[point] for point in cross})
        for sample in samples
        for cross in CROSSES
        if all(point in sample for point in cross)
    }


def collect(tables: Tables, frames: Iterable[ObservedFrame], simulator: str) -> Coverage:
    """The coverage of one run: the frames that it observed, of these tables.

    Points are those of a codec with two arrays: frames of an encoder of accumulators are not counted.
    """
    names = cache(
        lambda site, stalls: bins_of({**sample, "stalls": stalls} for sample in site_samples(tables.sites[site]))
    )
    hits: Counter[Bin] = Counter()
    count = 0
    for frame in frames:
        if frame.direction == "encoder" and tables.params.takes_accumulators:
            continue
        hits.update((frame.direction, name) for name in names(frame.site, frame.stalls))
        count += 1
    params = tables.params
    run = {
        "simulator": simulator,
        "array": f"{params.lanes}x{params.rows}",
        "word_bits": params.word_bits,
        "sites": len(tables.sites),
        "frames": count,
    }
    return Coverage(hits, (run,))
