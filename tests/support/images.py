"""Sections of the table stream, written and read without the code that export uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from actcodec.tables.records import Record


def section(word_bits: int, memory: int, first: int, entries: Sequence[int], entry_words: int) -> list[int]:
    """Words of one section: the header, then every entry least significant word first."""
    mask = (1 << word_bits) - 1
    header = memory | first << 8 | len(entries) << 32
    return [header, *(entry >> n * word_bits & mask for entry in entries for n in range(entry_words))]


def entries_of(words: Sequence[int], word_bits: int, records: Mapping[str, Record]) -> dict[str, dict[int, int]]:
    """Entries by memory name and address that an image of known memories holds."""
    found: dict[str, dict[int, int]] = {name: {} for name in records}
    names, place = list(records), 0
    while place < len(words):
        header, place = words[place], place + 1
        name, first, count = names[header & 0xFF], header >> 8 & 0xFFFFFF, header >> 32 & 0xFFFFFFFF
        size = -(-records[name].bits // word_bits)
        for address in range(first, first + count):
            found[name][address] = sum(word << n * word_bits for n, word in enumerate(words[place : place + size]))
            place += size
    return found


def place_of(words: Sequence[int], word_bits: int, records: Mapping[str, Record], memory: str, field: str) -> int:
    """Number of the bit of an image at which ``field`` of the first entry of ``memory`` begins."""
    names, place = list(records), 0
    while names[words[place] & 0xFF] != memory:
        place += 1 + (words[place] >> 32) * -(-records[names[words[place] & 0xFF]].bits // word_bits)
    before = [f.name for f in records[memory].fields].index(field)
    return (place + 1) * word_bits + sum(f.total_bits for f in records[memory].fields[:before])
