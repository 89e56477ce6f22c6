import json
import os
from pathlib import Path

import numpy as np
import pytest

from actcodec.errors import ActcodecError
from actcodec.files import (
    atomic_directory,
    atomic_path,
    read_array,
    read_bytes,
    read_json,
    write_bytes,
    write_json,
    write_text,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_bytes_text_and_json_are_written_with_their_parents(tmp_path):
    write_bytes(tmp_path / "a" / "b" / "x.bin", b"\0\1")
    write_text(tmp_path / "a" / "x.txt", "Σ\n")
    write_json(tmp_path / "a" / "x.json", {"z": 1, "a": ["λ"]})
    assert (tmp_path / "a" / "b" / "x.bin").read_bytes() == b"\0\1"
    assert (tmp_path / "a" / "x.txt").read_bytes() == "Σ\n".encode()
    assert (tmp_path / "a" / "x.json").read_text(encoding="utf-8") == '{\n  "z": 1,\n  "a": [\n    "λ"\n  ]\n}\n'
    assert names(tmp_path / "a") == ["b", "x.json", "x.txt"]


def test_a_second_write_replaces_the_first(tmp_path):
    for content in (b"long content", b"new"):
        write_bytes(tmp_path / "x", content)
    assert (tmp_path / "x").read_bytes() == b"new"
    assert names(tmp_path) == ["x"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    write_bytes(tmp_path / "x", b"old")
    with pytest.raises(KeyError), atomic_path(tmp_path / "x") as temporary:
        temporary.write_bytes(b"half of the new")
        raise KeyError
    assert (tmp_path / "x").read_bytes() == b"old"
    assert names(tmp_path) == ["x"]


def test_a_value_that_is_not_json_writes_nothing(tmp_path):
    with pytest.raises(TypeError):
        write_json(tmp_path / "x.json", {"x": object()})
    assert names(tmp_path) == []


def test_a_written_file_is_as_readable_as_the_umask_allows(tmp_path):
    old = os.umask(0o027)
    try:
        write_bytes(tmp_path / "x", b"")
    finally:
        os.umask(old)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


def test_writing_below_a_file_is_refused(tmp_path):
    write_bytes(tmp_path / "x", b"")
    with pytest.raises(ActcodecError, match=r"x/y: cannot be written: "):
        write_bytes(tmp_path / "x" / "y", b"")
    with pytest.raises(ActcodecError, match=r"x/y: cannot be written: "), atomic_directory(tmp_path / "x" / "y"):
        pass
    assert names(tmp_path) == ["x"]


def test_writing_a_file_over_a_folder_is_refused(tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises(ActcodecError, match="x: "):
        write_bytes(tmp_path / "x", b"")


def test_a_refused_write_over_a_folder_leaves_nothing_behind(tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises((ActcodecError, OSError)):
        write_bytes(tmp_path / "x", b"")
    assert names(tmp_path) == ["x"]


def test_a_directory_is_replaced_whole(tmp_path):
    for name in ("stale", "fresh"):
        with atomic_directory(tmp_path / "d") as temporary:
            (temporary / name).write_text(name)
    assert names(tmp_path) == ["d"]
    assert names(tmp_path / "d") == ["fresh"]


def test_a_failed_directory_leaves_the_old_one_and_nothing_else(tmp_path):
    with atomic_directory(tmp_path / "d") as temporary:
        (temporary / "old").write_text("old")
    with pytest.raises(KeyError), atomic_directory(tmp_path / "d") as temporary:
        (temporary / "new").write_text("new")
        raise KeyError
    assert names(tmp_path) == ["d"]
    assert names(tmp_path / "d") == ["old"]


def test_a_failed_first_directory_leaves_nothing(tmp_path):
    with pytest.raises(KeyError), atomic_directory(tmp_path / "deep" / "d") as temporary:
        (temporary / "new").write_text("new")
        raise KeyError
    assert names(tmp_path / "deep") == []


def test_a_directory_over_a_file_is_refused(tmp_path):
    write_bytes(tmp_path / "d", b"keep")
    with pytest.raises(ActcodecError, match="d: is a file; a directory is to be written there"):
        atomic_directory(tmp_path / "d").__enter__()
    assert read_bytes(tmp_path / "d") == b"keep"


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ActcodecError, match=r"missing\.bin: cannot be read: No such file"):
        read_bytes(tmp_path / "missing.bin")
    with pytest.raises(ActcodecError, match="cannot be read: Is a directory"):
        read_bytes(tmp_path)


def test_json_is_read_back(tmp_path):
    content = {"a": [1, 2.5, None, "λ"]}
    write_json(tmp_path / "x.json", content)
    assert read_json(tmp_path / "x.json") == content == json.loads((tmp_path / "x.json").read_bytes())


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b'{"a": 1,}', b"\xff", b"[" * 100_000, b"1" * 5000],
    ids=["empty", "open", "comma", "not UTF-8", "nested", "5000 digits"],
)
def test_a_file_that_is_not_json_is_refused_on_one_line(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ActcodecError, match=r"x\.json: is not JSON: ") as caught:
        read_json(tmp_path / "x.json")
    assert len(str(caught.value).splitlines()) == 1


def test_an_error_is_one_line():
    assert str(ActcodecError("site a", "x\ny")) == "site a: x y"


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 not an archive", b"\x93NUMPY\x01\x00v\x00{'descr'"])
def test_what_is_not_an_array_is_refused(tmp_path, content):
    path = tmp_path / "x.npy"
    path.write_bytes(content)
    with pytest.raises(ActcodecError, match=r"x\.npy: is not a \.npy array"):
        read_array(path)


def test_arrays_that_claim_more_than_the_file_holds_are_refused(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.zeros(8, dtype=np.uint8))
    path.write_bytes(path.read_bytes().replace(b"(8,)", b"(8888888888888,)"))
    with pytest.raises(ActcodecError, match=r"x\.npy"):
        read_array(path)


def test_an_archive_or_a_missing_file_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.zeros(3))
    with pytest.raises(ActcodecError, match="is an archive"):
        read_array(tmp_path / "x.npz")
    with pytest.raises(ActcodecError, match="cannot be read"):
        read_array(tmp_path / "none.npy")
