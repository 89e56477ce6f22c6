"""Random corruption of containers, streams, arrays and tables directories, and what came of it.

A trial ends as ``refused`` (ActcodecError of one line), as ``accepted`` (output in the site's range), or as a failure,
which names what happened. Trial ``number`` of a seed is the same for ever, so that a failure can be run again.
"""

from __future__ import annotations

import json
import struct
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from actcodec.errors import ActcodecError
from actcodec.golden import SiteCodec, pack_container, unpack_container
from actcodec.tables import SiteTable, Tables, digest_of, load_tables, save_tables
from actcodec.tables.io import _canonical_digest
from support.sites import activations

REFUSED, ACCEPTED = "refused", "accepted"
_HEAD_BYTES = 80
_ODD_VALUES: tuple[Any, ...] = (
    0, 1, -1, 7, 64, 255, 256, 1 << 31, 1 << 63, 10**30, 10**5000, 0.5, 1e308, float("nan"), float("inf"), None, True,
    "", "0", "64", "project", "folded", "block-major", "\n", "é", [], [0], {}, {"a": 1},
)  # fmt: skip


class WrongOutputError(AssertionError):
    """Corrupt input was accepted and gave something that it may not give."""


def mutate(rng: np.random.Generator, content: bytes, other: bytes) -> bytes:
    """One random corruption of ``content``; splices take bytes from ``other``."""
    data = bytearray(content)
    size = len(data)
    at = int(rng.integers(0, size)) if size else 0
    length = int(rng.integers(1, 17))
    kind = int(rng.integers(0, 7)) if size else 6
    if kind == 0:
        for place in rng.integers(0, size, int(rng.integers(1, 4))):
            data[place] ^= 1 << int(rng.integers(0, 8))
    elif kind == 1:
        data[at] = int(rng.integers(0, 256))
    elif kind == 2:
        del data[at:]
    elif kind == 3:
        del data[at : at + length]
    elif kind == 4 and other:
        start = int(rng.integers(0, len(other)))
        data[at : at + length] = other[start : start + length]
    elif kind == 5:
        data[at : at + length] = bytes(len(data[at : at + length]))
    else:
        data[at:at] = rng.bytes(length) if rng.integers(2) else b""
        data += rng.bytes(length)
    return bytes(data)


def _places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else []
    return [place for key in keys for place in [(*path, key), *_places(tree[key], (*path, key))]]


def _mutate_tree(rng: np.random.Generator, tree: Any) -> None:
    """One random change of a JSON tree: a value replaced, copied from elsewhere, removed or added."""
    places = _places(tree)
    depth = int(rng.integers(1, 7))
    shallow = [place for place in places if len(place) <= depth]
    place = shallow[int(rng.integers(0, len(shallow)))]
    parent = tree
    for key in place[:-1]:
        parent = parent[key]
    kind = int(rng.integers(0, 8))
    if kind == 0:
        del parent[place[-1]]
    elif kind == 1:
        if isinstance(parent, dict):
            parent["unknown"] = 1
        else:
            parent.append(parent[-1])
    elif kind == 2:
        source = tree
        for key in places[int(rng.integers(0, len(places)))]:
            source = source[key]
        parent[place[-1]] = json.loads(json.dumps(source))
    elif kind == 3 and isinstance(parent[place[-1]], int):
        parent[place[-1]] += int(rng.integers(-2, 3))
    else:
        parent[place[-1]] = _ODD_VALUES[int(rng.integers(0, len(_ODD_VALUES)))]


@dataclass
class Subjects:
    """Valid tables, streams and containers, and a directory in which the tables are saved."""

    tables: Tables
    folder: Path
    streams: list[bytes] = field(init=False)
    containers: list[bytes] = field(init=False)
    codecs: list[SiteCodec] = field(init=False)
    files: dict[str, bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.codecs = [SiteCodec(site) for site in self.tables.sites]
        encoded = [codec.encode(activations(codec.site, number)) for number, codec in enumerate(self.codecs)]
        self.streams = [stream.tobytes() for stream in encoded]
        self.containers = [
            pack_container(self.tables, site.info.name, stream)
            for site, stream in zip(self.tables.sites, encoded, strict=True)
        ]
        save_tables(self.tables, self.folder)
        self.files = {path.name: path.read_bytes() for path in sorted(self.folder.iterdir())}

    def pick(self, rng: np.random.Generator, values: list[bytes]) -> tuple[int, bytes, bytes]:
        """A random one of ``values``, its number, and a second one to splice with."""
        first, second = rng.integers(0, len(values), 2)
        return int(first), values[first], values[second]


def _check_range(site: SiteTable, x: np.ndarray[Any, Any]) -> None:
    if x.dtype != np.uint8 or (x.size and not (site.info.low <= int(x.min()) and int(x.max()) <= site.info.high)):
        raise WrongOutputError(f"output outside {site.info.low}…{site.info.high}")


def _decode_container(s: Subjects, content: bytes) -> None:
    found = unpack_container(s.tables, content, "corrupt.acf")
    _check_range(s.tables.sites[found.site], s.codecs[found.site].decode(found.stream))


def _container(rng: np.random.Generator, s: Subjects) -> None:
    _, content, other = s.pick(rng, s.containers)
    corrupt = mutate(rng, content, other)
    _decode_container(s, corrupt)
    if corrupt not in s.containers:
        raise WrongOutputError("a corrupt container was accepted")


def _resealed_container(rng: np.random.Generator, s: Subjects) -> None:
    """Corruption that the CRC does not see."""
    _, content, other = s.pick(rng, s.containers)
    head, body = content[:_HEAD_BYTES], content[_HEAD_BYTES + 4 :]
    if rng.integers(2):
        head = mutate(rng, head, other[:_HEAD_BYTES])[:_HEAD_BYTES].ljust(_HEAD_BYTES, b"\0")
    else:
        body = mutate(rng, body, other)
    if rng.integers(2):
        head = head[:72] + struct.pack("<Q", len(body))
    _decode_container(s, head + struct.pack("<I", zlib.crc32(head + body)) + body)


def _stream(rng: np.random.Generator, s: Subjects) -> None:
    number, content, other = s.pick(rng, s.streams)
    codec = s.codecs[number]
    corrupt = mutate(rng, content, other)
    if rng.integers(2):
        corrupt = corrupt[: len(content)].ljust(len(content), b"\xff")
    _check_range(codec.site, codec.decode(np.frombuffer(corrupt, dtype=np.uint8)))


def _run(rng: np.random.Generator, s: Subjects) -> None:
    number, content, other = s.pick(rng, s.streams)
    codec = s.codecs[number]
    stream = np.frombuffer(mutate(rng, content, other), dtype=np.uint8)
    planes = len(codec.site.planes)
    if rng.integers(2):
        plane, count, stride = rng.integers(0, planes), rng.integers(1, 4), rng.integers(1, 3)
    else:
        plane, count, stride = rng.integers(-1, planes + 1), rng.integers(-1, 12), rng.integers(-1, 5)
    offset = int(rng.integers(-8, 8 * len(content) + 16))
    _check_range(codec.site, codec.decode_run(stream, int(plane), offset, int(count), int(stride)))


def _arrays(rng: np.random.Generator, s: Subjects) -> None:
    """Bytes of a site's arrays; what is accepted has to work."""
    site = s.tables.sites[int(rng.integers(0, len(s.tables.sites)))]
    arrays = dict(site.arrays.items())
    for _ in range(int(rng.integers(1, 4))):
        name = list(arrays)[int(rng.integers(0, len(arrays)))]
        content = arrays[name].tobytes()
        corrupt = mutate(rng, content, content)[: len(content)].ljust(len(content), b"\1")
        if name == "channel_order" and rng.integers(2):
            continue
        arrays[name] = np.frombuffer(corrupt, dtype=arrays[name].dtype).reshape(arrays[name].shape)
    codec = SiteCodec(SiteTable(site.info, replace(site.arrays, **arrays), site.params))
    _check_range(site, codec.decode(codec.encode(activations(site, int(rng.integers(0, 100))))))


def _load(s: Subjects, name: str, content: bytes) -> Tables:
    path = s.folder / name
    try:
        path.write_bytes(content)
        return load_tables(s.folder)
    finally:
        path.write_bytes(s.files[name])


def _directory(rng: np.random.Generator, s: Subjects) -> None:
    name = list(s.files)[int(rng.integers(0, len(s.files)))]
    other = s.files[list(s.files)[int(rng.integers(0, len(s.files)))]]
    loaded = _load(s, name, mutate(rng, s.files[name], other))
    if digest_of(loaded) != digest_of(s.tables):
        raise WrongOutputError(f"corrupt {name} was accepted as other tables")


def _resealed_manifest(rng: np.random.Generator, s: Subjects) -> None:
    """A change of the manifest that its digest does not see."""
    manifest = json.loads(s.files["manifest.json"])
    for _ in range(int(rng.integers(1, 3))):
        _mutate_tree(rng, manifest)
    with _long_integers():
        manifest["digest"] = _canonical_digest(manifest)
        content = json.dumps(manifest).encode()
    loaded = _load(s, "manifest.json", content)
    site = loaded.sites[int(rng.integers(0, len(loaded.sites)))]
    codec = SiteCodec(site)
    _check_range(site, codec.decode(codec.encode(activations(site, 0))))


@contextmanager
def _long_integers() -> Iterator[None]:
    """Let json write the 5,000 digits of an odd value that no reader has to accept."""
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        yield
    finally:
        sys.set_int_max_str_digits(limit)


Trial = Callable[[np.random.Generator, Subjects], None]
FAST_TRIALS: dict[str, Trial] = {
    "container": _container,
    "container, CRC renewed": _resealed_container,
    "stream": _stream,
    "run of a stream": _run,
    "arrays": _arrays,
}
"""Trials in memory."""
DIRECTORY_TRIALS: dict[str, Trial] = {
    "tables directory": _directory,
    "tables directory, digest renewed": _resealed_manifest,
}
"""Trials that load tables from disk."""


def outcome(trial: Trial, subjects: Subjects, seed: int, number: int) -> str:
    """What came of one trial: REFUSED, ACCEPTED, or a description of the failure."""
    try:
        trial(np.random.default_rng((seed, number)), subjects)
    except ActcodecError as error:
        return REFUSED if len(str(error).splitlines()) == 1 else f"message of several lines, trial {number}"
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:200]}, trial {number}"
    return ACCEPTED


def corrupt_many(trials: dict[str, Trial], subjects: Subjects, count: int, seed: int) -> dict[str, Counter[str]]:
    """Outcomes of ``count`` trials, shared out evenly over the kinds."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in trials}
    names = list(trials)
    for number in range(count):
        name = names[number % len(names)]
        counts[name][outcome(trials[name], subjects, seed, number)] += 1
    return counts


def failures(counts: dict[str, Counter[str]]) -> list[str]:
    """Outcomes that are neither of the two allowed ones."""
    return [f"{name}: {what}" for name, found in counts.items() for what in found if what not in (REFUSED, ACCEPTED)]
