import struct
import zlib

import numpy as np
import pytest

from actcodec.errors import ActcodecError
from actcodec.golden import SiteCodec, pack_container, read_container, unpack_container, write_container
from actcodec.tables import digest_of
from support.sites import activations, small_tables

TABLES = small_tables()
OTHER_TABLES = small_tables(seed=2)
NAME = "tiled"
SITE = TABLES.site(NAME)
STREAM = SiteCodec(SITE).encode(activations(SITE, 0))
CONTENT = pack_container(TABLES, NAME, STREAM)
HEADER = 84


def refusal(content, tables=TABLES) -> str:
    with pytest.raises(ActcodecError) as caught:
        unpack_container(tables, content, "x.acf")
    message = str(caught.value)
    assert message.startswith("x.acf: ") and len(message.splitlines()) == 1
    return message


def patched(offset, form, value):
    """The container with one header field changed and the CRC renewed."""
    content = bytearray(CONTENT)
    struct.pack_into("<" + form, content, offset, value)
    struct.pack_into("<I", content, 80, zlib.crc32(content[:80] + content[HEADER:]))
    return bytes(content)


@pytest.mark.parametrize("number", range(len(TABLES.sites)))
def test_every_site_comes_back(number):
    site = TABLES.sites[number]
    stream = SiteCodec(site).encode(activations(site, number))
    found = unpack_container(TABLES, pack_container(TABLES, site.info.name, stream), "x.acf")
    assert found.site == number
    assert np.array_equal(found.stream, stream)


def test_the_header_is_laid_out_as_documented():
    info, sizes = SITE.info, SITE.sizes(64)
    assert CONTENT[:4] == b"ACF1"
    assert struct.unpack("<HH", CONTENT[4:8]) == (1, HEADER)
    assert CONTENT[8:40].hex() == digest_of(TABLES)
    assert struct.unpack("<4I", CONTENT[40:56]) == (5, info.channels, info.height, info.width)
    assert CONTENT[56:60] == b"\1\0\0\0"
    assert struct.unpack("<IQQ", CONTENT[60:80]) == (info.align_bits, sizes.payload_bits, sizes.stream_bytes)
    assert struct.unpack("<I", CONTENT[80:84]) == (zlib.crc32(CONTENT[:80] + CONTENT[84:]),)
    assert CONTENT[84:] == STREAM.tobytes()


def test_a_file_is_written_whole_and_read_back(tmp_path):
    path = tmp_path / "deep" / "x.acf"
    assert write_container(path, TABLES, NAME, STREAM) == len(CONTENT)
    assert path.read_bytes() == CONTENT
    assert np.array_equal(read_container(path, TABLES).stream, STREAM)
    assert [p.name for p in path.parent.iterdir()] == ["x.acf"]


def test_a_stream_of_the_wrong_length_is_not_written(tmp_path):
    with pytest.raises(ActcodecError, match=rf"site tiled: stream has {STREAM.size - 1} bytes, expected {STREAM.size}"):
        write_container(tmp_path / "x.acf", TABLES, NAME, STREAM[:-1])
    with pytest.raises(ActcodecError, match="site = 'conv9' is unknown"):
        write_container(tmp_path / "x.acf", TABLES, "conv9", STREAM)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ActcodecError, match=r"no\.acf: cannot be read"):
        read_container(tmp_path / "no.acf", TABLES)


@pytest.mark.parametrize("length", range(HEADER))
def test_a_truncated_header_is_refused(length):
    assert refusal(CONTENT[:length]) == f"x.acf: has {length} bytes, less than the header's 84: truncated"


@pytest.mark.parametrize("missing", [1, 2, 7, 8, len(STREAM) // 2, len(STREAM) - 1, len(STREAM)])
def test_a_truncated_stream_is_refused(missing):
    have = len(STREAM) - missing
    assert refusal(CONTENT[: len(CONTENT) - missing]) == (
        f"x.acf: stream bytes = {len(STREAM)} but {have} follow the header: truncated"
    )


@pytest.mark.parametrize("extra", [b"\0", b"\0" * 8, CONTENT])
def test_trailing_bytes_are_refused(extra):
    assert refusal(CONTENT + extra).endswith("follow the header: too long")


def test_every_flipped_bit_is_refused():
    for bit in range(8 * len(CONTENT)):
        content = bytearray(CONTENT)
        content[bit // 8] ^= 1 << bit % 8
        refusal(bytes(content))


@pytest.mark.parametrize(
    ("offset", "form", "value", "complaint"),
    [
        (0, "4s", b"ACF2", "magic = b'ACF2' is not b'ACF1': not an .acf file"),
        (4, "H", 2, "version = 2 with a 84-byte header is not supported"),
        (6, "H", 80, "version = 1 with a 80-byte header is not supported"),
        (8, "32s", bytes(32), "plan hash = 0000000000000000… is not that of the tables"),
        (40, "I", 7, "site number = 7 but the tables have 7 sites"),
        (40, "I", 0, "geometry = (20, 3, 2, 1, 64), the tables say "),
        (44, "I", 21, "geometry = (21, 3, 2, 1, 64), the tables say (20, 3, 2, 1, 64)"),
        (48, "I", 2, "geometry = (20, 2, 2, 1, 64)"),
        (52, "I", 3, "geometry = (20, 3, 3, 1, 64)"),
        (56, "B", 0, "geometry = (20, 3, 2, 0, 64)"),
        (56, "B", 2, "geometry = (20, 3, 2, 2, 64)"),
        (60, "I", 128, "geometry = (20, 3, 2, 1, 128)"),
        (64, "Q", 1, "sizes = (1, "),
        (72, "Q", 1, "stream bytes = 1 but "),
        (72, "Q", 2**64 - 1, "truncated"),
    ],
)
def test_a_wrong_field_is_named_even_if_the_crc_agrees(offset, form, value, complaint):
    assert complaint in refusal(patched(offset, form, value))


def test_a_wrong_crc_is_refused():
    content = CONTENT[:80] + b"\0\0\0\0" + CONTENT[84:]
    assert refusal(content).startswith("x.acf: CRC-32 = 00000000 but the content has ")


def test_the_stream_of_other_tables_is_refused():
    assert "plan hash = " + digest_of(TABLES)[:16] in refusal(CONTENT, OTHER_TABLES)


def test_a_reserved_byte_that_is_not_zero_is_refused():
    refusal(patched(58, "B", 1))
