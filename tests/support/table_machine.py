"""An interpreter of table images: what the RTL does with them, operation by operation, in Python integers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actcodec.params import CodecParams
from actcodec.tables.records import Record

Entry = dict[str, Any]


def take_bits(value: int, first: int, count: int) -> int:
    """``count`` bits of ``value`` from bit ``first`` on."""
    return (value >> first) & ((1 << count) - 1)


def unpack_entry(record: Record, value: int) -> Entry:
    """Fields of a packed entry; arrays stay lists."""
    fields: Entry = {}
    position = 0
    for field in record.fields:
        numbers = []
        for _ in range(1 if field.count is None else field.count):
            number = take_bits(value, position, field.bits)
            position += field.bits
            numbers.append(number - (1 << field.bits) if field.signed and number >> (field.bits - 1) else number)
        fields[field.name] = numbers[0] if field.count is None else numbers
    assert value >> position == 0
    return fields


def load_image(image: NDArray[np.uint8], records: Mapping[str, Record], params: CodecParams) -> dict[str, list[Entry]]:
    """Content of the memories after an image has been loaded."""
    words = [int.from_bytes(word.tobytes(), "little") for word in image]
    names, memories = list(records), {name: [] for name in records}
    place = 0
    while place < len(words):
        header, place = words[place], place + 1
        name = names[take_bits(header, 0, 8)]
        first, count = take_bits(header, 8, 24), take_bits(header, 32, 32)
        assert first == len(memories[name]) and header >> 64 == 0
        size = -(-records[name].bits // params.word_bits)
        for _ in range(count):
            value = sum(word << (i * params.word_bits) for i, word in enumerate(words[place : place + size]))
            memories[name].append(unpack_entry(records[name], value))
            place += size
        assert len(memories[name]) <= records[name].depth
    return memories


def _wrapped(value: int, bits: int) -> int:
    value = take_bits(value, 0, bits)
    return value - (1 << bits) if value >> (bits - 1) else value


def _rounded(value: int, shift: int) -> int:
    return value if shift == 0 else (value + (1 << (shift - 1))) >> shift


def _planes(memories: dict[str, list[Entry]], number: int, side: str) -> list[Entry]:
    """Planes of a site from its first to the final one."""
    site = memories["site"][number]
    if side == "code_plane" and not site["coded"]:
        return []
    place, found = site["plane" if side == "plane" else side], []
    while not found or not found[-1]["final"]:
        plane = memories[side][place + len(found)]
        assert plane["single"] == (plane["first"] == plane["last"])
        found.append(plane)
    return found


def _walk(memories: dict[str, list[Entry]], number: int, side: str, entry: str) -> Iterator[tuple[Entry | None, Entry]]:
    """Entries of a frame with their plane, None at the end of a row."""
    site = memories["site"][number]
    for plane in _planes(memories, number, side):
        for _ in range(site["last_y"] + 1):
            for _ in range(site["last_x"] + 1):
                for place in range(plane["first"], plane["last"] + 1):
                    yield memories[entry][place], plane
            yield None, plane


def _padding(plane: Entry, bits: int, params: CodecParams) -> int:
    return plane["partial"] * (-bits % params.word_bits) + plane["words"] * params.word_bits


def run_encoder(
    memories: dict[str, list[Entry]], params: CodecParams, number: int, beats: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Stream of site ``number`` for its input beats (N, lanes)."""
    source = iter(beats.tolist())
    rows, lanes, codes = params.rows, params.lanes, params.codes_per_cycle
    results: list[list[int]] = []
    kept: dict[int, list[int]] = {}
    acc = [0] * params.slots
    for entry, _ in _walk(memories, number, "plane", "operation"):
        if entry is None:
            continue
        if entry["fresh"]:
            kept[entry["index"]] = next(source)
        beat, matrix = kept[entry["index"]], entry["matrix"]
        if entry["first"]:
            acc = [0] * params.slots
        if entry["diagonal"]:
            first = entry["part"] * codes
            acc[:codes] = [matrix[lane] * beat[lane] for lane in range(first, first + codes)]
        else:
            for r in range(rows):
                acc[r] += sum(matrix[r * lanes + lane] * beat[lane] for lane in range(lanes))
        if entry["last"]:
            results.append(list(acc))
    assert next(source, None) is None

    bits: list[int] = []
    left: list[int] = []
    for record, plane in _walk(memories, number, "code_plane", "code"):
        if record is None:
            bits += [0] * _padding(plane, len(bits), params)
            continue
        left = left or results.pop(0)
        for slot in range(codes):
            width = record["width"][slot]
            total = _wrapped(left[slot] + record["bias"][slot], params.acc_bits) if slot < len(left) else 0
            code = min(max(_rounded(total, record["shift"][slot]), 0), (1 << width) - 1)
            bits += [code >> place & 1 for place in range(width)]
        left = [] if record["ends"] else left[codes:]
    assert not results and not left
    return np.packbits(np.array(bits, dtype=np.uint8), bitorder="little")


def run_decoder(
    memories: dict[str, list[Entry]], params: CodecParams, number: int, stream: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Output beats (N, lanes) of site ``number`` for its stream."""
    content = np.unpackbits(stream, bitorder="little").tolist()
    rows, lanes, codes = params.rows, params.lanes, params.codes_per_cycle
    groups: list[list[int]] = []
    group: list[int] = []
    taken = 0
    for record, plane in _walk(memories, number, "code_plane", "code"):
        if record is None:
            taken += _padding(plane, taken, params)
            continue
        assert record["count"] == sum(record["width"])
        for width, left_shift in zip(record["width"], record["left_shift"], strict=True):
            group.append(sum(content[taken + place] << place for place in range(width)) << left_shift)
            taken += width
        if record["ends"]:
            groups.append((group + [0] * params.slots)[: params.slots])
            group = []
    assert taken == len(content) and not group

    beats: list[list[int]] = []
    kept: dict[int, list[int]] = {}
    acc = [0] * lanes
    for entry, _ in _walk(memories, number, "plane", "operation"):
        if entry is None:
            continue
        if entry["fresh"]:
            kept[entry["index"]] = groups.pop(0)
        value, matrix = kept.get(entry["index"], [0] * params.slots), entry["matrix"]
        if entry["first"]:
            acc = [0] * lanes
        for lane in range(lanes):
            if entry["diagonal"]:
                acc[lane] += matrix[lane] * value[lane % codes]
            else:
                acc[lane] += sum(matrix[r * lanes + lane] * value[r] for r in range(rows))
        if entry["last"]:
            beat = memories["beat"][entry["step"]]
            sums = [_wrapped(a + b, params.acc_bits) for a, b in zip(acc, beat["bias"], strict=True)]
            out = [_rounded(total, beat["shift"]) + beat["zero"] for total in sums]
            beats.append([min(max(v, beat["low"]), beat["high"]) for v in out])
    assert not groups
    return np.array(beats, dtype=np.uint8)
