"""RTL and builds that are kept: named by content, made once, whoever asks for them at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from filelock import FileLock

from actcodec.params import CodecParams
from actcodec_rtl.generate import PORTS_FILE, generate, generator_digest
from actcodec_sim.cosim.simulators import Simulator, build


def kept_rtl(params: CodecParams, cache: Path) -> Path:
    """The folder in ``cache`` with the RTL of a codec, generated where it is missing or old."""
    with _locked(params, cache) as rtl:
        generate(params, rtl)
        return rtl


def kept_build(
    params: CodecParams, simulator: Simulator, cache: Path, waves: bool = False, *, ports_file: str = PORTS_FILE
) -> tuple[Path, Path]:
    """RTL of a codec and its build for a simulator (`build`), both in ``cache``."""
    with _locked(params, cache) as rtl:
        generate(params, rtl)
        return rtl, build(simulator, rtl, cache, waves, ports_file=ports_file)


def _locked(params: CodecParams, cache: Path) -> AbstractContextManager[Path]:
    return locked(f"rtl-{params.lanes}x{params.rows}-{params.word_bits}-{generator_digest(params)[:16]}", cache)


@contextmanager
def locked(name: str, cache: Path) -> Iterator[Path]:
    """Where RTL is kept: ``name`` says what decides it, for builds side by side share the cache; no one else writes."""
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f"{name}.lock"):
        yield cache / name
