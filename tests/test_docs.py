"""Documents that name figures, files, commands or constants have to name the right ones."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from actcodec.golden.container import HEADER_BYTES
from actcodec.params import CodecParams, load_params

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def _tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tables", ROOT / "benchmarks" / "tables.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tables_of_results_are_those_of_the_result_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    tables = _tables()
    for document in tables.DOCUMENTS:
        text = document.read_text()
        assert tables.rendered(text) == text, f"{document.name} is stale: python benchmarks/tables.py"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_every_result_file_is_named_in_a_document() -> None:
    text = "\n".join(path.read_text() for path in DOCUMENTS)
    for result in (ROOT / "benchmarks" / "results").glob("*.json"):
        assert result.name in text or f"<!-- {result.stem} -->" in text, result.name


def test_container_header_is_as_documented() -> None:
    text = (ROOT / "docs" / "format.md").read_text()
    assert f"header bytes, {HEADER_BYTES}" in text
    rows = re.findall(r"^\| (\d+) \| ([\d +]+) \|", text, re.MULTILINE)
    end = 0
    for offset, sizes in rows:
        assert int(offset) == end
        end += sum(map(int, sizes.split("+")))
    assert end == HEADER_BYTES


def test_codec_parameters_are_all_documented_with_the_default_configuration() -> None:
    text = (ROOT / "docs" / "rtl.md").read_text()
    default = load_params("default")
    for name in CodecParams.model_fields:
        if name not in ("transforms", "orders"):
            assert f"`{name}`" in text, name
    for name in ("lanes", "rows", "word_bits", "block", "acc_bits"):
        assert re.search(rf"\| `{name}` \| {getattr(default, name)} \|", text), name


def test_make_help_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^\.PHONY: (\w+)", text, re.MULTILINE))
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert targets >= {"help", "setup", "demo", "test", "lint", "learn", "export", "rtl", "cosim", "traffic", "report"}
    for target in targets:
        assert re.search(rf"^{target}\s", shown, re.MULTILINE), target
