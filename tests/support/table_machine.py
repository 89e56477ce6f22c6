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


def _position(memories: dict[str, list[Entry]], plane: Entry) -> Iterator[tuple[Entry, list[tuple[int, list[int]]]]]:
    """Steps of one position with their operations: (index, matrix)."""
    step, coefficient = plane["first_step"], plane["first_coefficient"]
    while True:
        entry = memories["step"][step]
        count = entry["last"] - entry["first"] + 1
        matrices = [memories["coefficient"][coefficient + i]["matrix"] for i in range(count)]
        yield entry, [(entry["first"] + i, matrix) for i, matrix in enumerate(matrices)]
        step, coefficient = step + 1, coefficient + count
        if entry["position_end"]:
            return


def _planes(memories: dict[str, list[Entry]], number: int) -> list[Entry]:
    site = memories["site"][number]
    return memories["plane"][site["first_plane"] : site["last_plane"] + 1]


def run_encoder(
    memories: dict[str, list[Entry]], params: CodecParams, number: int, beats: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Stream of site ``number`` for its input beats (N, lanes)."""
    source = iter(beats.tolist())
    site, rows, lanes = memories["site"][number], params.rows, params.lanes
    bits: list[int] = []
    for plane in _planes(memories, number):
        for _ in range(site["last_y"] + 1):
            for _ in range(site["last_x"] + 1):
                kept: dict[int, list[int]] = {}
                for entry, operations in _position(memories, plane):
                    acc = list(entry["bias"])
                    for i, matrix in operations:
                        if i >= entry["fresh"]:
                            kept[i] = next(source)
                        for r in range(rows):
                            acc[r] += sum(matrix[r * lanes + lane] * kept[i][lane] for lane in range(lanes))
                    for r in range(rows):
                        width = entry["width"][r]
                        code = _rounded(_wrapped(acc[r], params.acc_bits), entry["shift"][r])
                        code = min(max(code, 0), (1 << width) - 1)
                        bits += [code >> place & 1 for place in range(width)]
            bits += [0] * (plane["pad_bits"] + plane["pad_words"] * params.word_bits)
    assert next(source, None) is None
    return np.packbits(np.array(bits, dtype=np.uint8), bitorder="little")


def run_decoder(
    memories: dict[str, list[Entry]], params: CodecParams, number: int, stream: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Output beats (N, lanes) of site ``number`` for its stream."""
    bits = iter(np.unpackbits(stream, bitorder="little").tolist())
    site, rows, lanes = memories["site"][number], params.rows, params.lanes
    beats: list[list[int]] = []
    for plane in _planes(memories, number):
        for _ in range(site["last_y"] + 1):
            for _ in range(site["last_x"] + 1):
                code_step = plane["first_code"]
                kept: dict[int, list[int]] = {0: [0] * rows}
                for entry, operations in _position(memories, plane):
                    acc = list(entry["bias"])
                    for i, matrix in operations:
                        if i >= entry["fresh"]:
                            code = memories["code"][code_step]
                            values = [sum(next(bits) << place for place in range(w)) for w in code["width"]]
                            kept[i] = [v << e for v, e in zip(values, code["left_shift"], strict=True)]
                            code_step += 1
                        for lane in range(lanes):
                            acc[lane] += sum(matrix[r * lanes + lane] * kept[i][r] for r in range(rows))
                    out = [_rounded(_wrapped(a, params.acc_bits), site["shift"]) + site["zero"] for a in acc]
                    beats.append([min(max(v, site["low"]), site["high"]) for v in out])
            for _ in range(plane["pad_bits"] + plane["pad_words"] * params.word_bits):
                next(bits)
    assert next(bits, None) is None
    return np.array(beats, dtype=np.uint8)
