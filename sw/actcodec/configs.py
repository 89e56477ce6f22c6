"""Finding a configuration: by path, or by name among the ones that ship with the project."""

from __future__ import annotations

from pathlib import Path

from actcodec.errors import ActcodecError

# A wheel carries configs/ inside the package; a checkout has it at the top.
_FOLDERS = (Path(__file__).parent / "configs", Path(__file__).parents[2] / "configs")


def configs_folder() -> Path:
    """The folder of the configurations that ship with the project."""
    for folder in _FOLDERS:
        if folder.is_dir():
            return folder
    raise ActcodecError("configs", "the folder is missing from this installation")


def find_config(kind: str, source: str | Path) -> Path:
    """The TOML file of ``source``: an existing path, or a name in configs/``kind``.

    Raises ActcodecError that lists the known names where there is no such configuration.
    """
    path = Path(source)
    folder = configs_folder() / kind
    candidate = path if path.suffix == ".toml" else folder / f"{path.name}.toml"
    try:
        if candidate.is_file():
            return candidate
    except OSError as error:
        raise ActcodecError(str(source)[:80], f"cannot be looked for: {error.strerror}") from error
    known = ", ".join(sorted(p.stem for p in folder.glob("*.toml")))
    raise ActcodecError(source, f"no such {kind} configuration; known: {known}, or the path of a .toml file")
