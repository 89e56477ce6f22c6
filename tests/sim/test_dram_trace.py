"""Request traces as text: read as written, compressed or not; anything wrong is one line with file, number and text."""

import gzip

import pytest

from actcodec.errors import ActcodecError
from actcodec_sim.dram import load_device, read_trace


@pytest.fixture(scope="module")
def device():
    return load_device("DDR4_8Gb_x8_2400")


@pytest.mark.parametrize("compressed", [False, True])
def test_trace_is_read(tmp_path, device, compressed):
    text = b"0x0 READ 0\n\n0x3FC0 WRITE 12\n"
    path = tmp_path / ("t.trace.gz" if compressed else "t.trace")
    path.write_bytes(gzip.compress(text) if compressed else text)
    requests = read_trace(path, device)
    assert requests.address.tolist() == [0, 0x3FC0]
    assert requests.is_write.tolist() == [False, True]
    assert requests.earliest.tolist() == [0, 12]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("0x0 READ", "is not '0xADDRESS"),
        ("0x0 READ 0 0", "is not '0xADDRESS"),
        ("0x0 read 0", "is not '0xADDRESS"),
        ("0x0 READ -1", "is not '0xADDRESS"),
        ("0x0 READ ten", "is not '0xADDRESS"),
        ("0x0 READ 99999999999999", "is not '0xADDRESS"),
        ("0x0 READ 9999999999999", "cycle is above"),
        ("64 READ 0", "not hexadecimal"),
        ("0xQQ READ 0", "not hexadecimal"),
        ("-0x40 READ 0", "not hexadecimal"),
        ("0x20 READ 0", "not aligned to"),
        ("0x400000000 READ 0", "outside the 17179869184 bytes"),
    ],
)
def test_bad_line_is_named(tmp_path, device, line, problem):
    path = tmp_path / "t.trace"
    path.write_text(f"0x0 READ 0\n{line}\n")
    with pytest.raises(ActcodecError) as caught:
        read_trace(path, device)
    for part in (str(path), "line 2", repr(line), problem):
        assert part in str(caught.value)


def test_bad_file_is_named(tmp_path, device):
    path = tmp_path / "t.trace.gz"
    path.write_bytes(gzip.compress(b"0x0 READ 0\n")[:-6])
    with pytest.raises(ActcodecError, match=r"t\.trace\.gz: is not a gzip file"):
        read_trace(path, device)
    path = tmp_path / "t.trace"
    path.write_bytes(b"0x0 READ 0\n\xff\n")
    with pytest.raises(ActcodecError, match=r"line 2.*not ASCII"):
        read_trace(path, device)
    with pytest.raises(ActcodecError, match=r"none: cannot be read"):
        read_trace(tmp_path / "none", device)
