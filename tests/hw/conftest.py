"""The exported RTL, generated once a configuration and session."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from actcodec.params import load_params
from actcodec_rtl.generate import generate


@pytest.fixture(scope="session")
def rtl_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder with the RTL of a configuration; tests read it and leave it as it is."""

    @cache
    def folder(config: str) -> Path:
        path = tmp_path_factory.mktemp("rtl") / config
        assert generate(load_params(config), path)
        return path

    return folder
