"""The files of a design and the commands that read them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from actcodec.errors import ActcodecError
from actcodec.files import read_bytes

FILE_LIST = ".f"
SLANG_LIST = "sources.f"


@dataclass(frozen=True)
class Sources:
    """Verilog files in the order given, folders of `` `include`` files, and the top module."""

    files: tuple[Path, ...]
    includes: tuple[Path, ...]
    top: str

    def digest(self) -> str:
        """SHA-256 of the contents of the files, in order; included files are not in it."""
        digest = hashlib.sha256()
        for file in self.files:
            digest.update(read_bytes(file))
        return digest.hexdigest()

    def read_commands(self, directory: Path) -> list[str]:
        """Yosys commands that read the design, assertions left out; they may use files written to ``directory``.

        Plain Verilog goes through Yosys' own front end. A single file that is no ``.v`` sends all of them through
        slang, which has the whole of SystemVerilog and wants all modules at once. Hierarchy is kept where slang can
        (module ports that are interfaces are flattened by it).
        """
        if all(file.suffix == ".v" for file in self.files):
            includes = "".join(f' -I"{folder}"' for folder in self.includes)
            return [f'read_verilog -noassert -noassume{includes} "{file}"' for file in self.files]
        lines = [*(f'+incdir+"{folder}"' for folder in self.includes), *(f'"{file}"' for file in self.files)]
        (directory / SLANG_LIST).write_text("".join(f"{line}\n" for line in lines))
        return [f"read_slang --best-effort-hierarchy --ignore-assertions --top {self.top} -f {SLANG_LIST}"]


def collect(names: Sequence[Path], includes: Sequence[Path], top: str) -> Sources:
    """The sources named on a command line; a file ``*.f`` stands for the files that it lists, one a line, relative to
    its folder.

    Raises ActcodecError for a missing file or folder, an empty list, and a name that Yosys' scripts cannot hold.
    """
    files: list[Path] = []
    for name in names:
        if name.suffix == FILE_LIST:
            lines = read_bytes(name).decode(errors="replace").splitlines()
            files.extend(name.parent / line.strip() for line in lines if line.strip())
        else:
            files.append(name)
    if not files:
        raise ActcodecError("--verilog", "no file is named")
    for path in [*files, *includes]:
        if '"' in str(path) or "\n" in str(path):
            raise ActcodecError(path, "has a quotation mark or a line break in its name")
    for file in files:
        if not file.is_file():
            raise ActcodecError(file, "is no file")
    for folder in includes:
        if not folder.is_dir():
            raise ActcodecError(folder, "is no folder")
    if not top or any(character.isspace() for character in top):
        raise ActcodecError("--top", f"{top!r} is no name of a module")
    return Sources(tuple(file.resolve() for file in files), tuple(folder.resolve() for folder in includes), top)
