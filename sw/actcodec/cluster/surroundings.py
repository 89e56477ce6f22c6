"""What a worker has to have in common with its client for its results to be the client's own."""

from __future__ import annotations

import os
import platform
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from actcodec import __version__
from actcodec.cluster.digest import sources_digest
from actcodec.errors import ActcodecError
from actcodec.files import write_text

PACKAGES = ("actcodec", "actcodec_rtl", "actcodec_sim")
LIBRARIES = ("torch", "numpy")
"""What rounds, and so decides the last bits of a result."""


def versions() -> dict[str, str]:
    """Versions by name, of what decides results, in this process."""
    found = {"python": ".".join(platform.python_version_tuple()[:2]), "actcodec": __version__}
    found |= {name: metadata.version(name) for name in LIBRARIES}
    return {**found, "actcodec's sources": sources_digest(*PACKAGES)[:16]}


def processor() -> str:
    """The model of this machine's processor, its architecture where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


@dataclass(frozen=True)
class Surroundings:
    """The client's versions and folders; ``sign`` is the name of a file in the folder of results, and its content."""

    versions: dict[str, str]
    folder: Path
    sign: str
    working: Path

    def check(self, who: str) -> None:
        """Raise ActcodecError, naming ``who``, where this process has other versions or other folders."""
        here = versions()
        for name, version in self.versions.items():
            if here[name] != version:
                raise ActcodecError(who, f"has {name} {here[name]}, the client {version}; results would differ")
        try:
            seen = (self.folder / self.sign).read_text() == self.sign
        except OSError:
            seen = False
        if not seen:
            raise ActcodecError(who, f"does not see {self.folder} of the client; a cluster needs a shared folder")
        if not self.working.is_dir():
            raise ActcodecError(who, f"has no folder {self.working}, in which the client runs; start in a shared one")


@contextmanager
def announced(folder: Path) -> Iterator[Surroundings]:
    """The surroundings of this process while a sign lies in ``folder``, by which workers know that they share it."""
    sign = f".shared-{secrets.token_hex(8)}"
    write_text(folder / sign, sign)
    try:
        yield Surroundings(versions(), folder.resolve(), sign, Path(os.getcwd()))  # noqa: PTH109
    finally:
        (folder / sign).unlink(missing_ok=True)
