import subprocess
import sys

import pytest

MODULES = [
    "actcodec",
    "actcodec.cluster",
    "actcodec.codecs",
    "actcodec.density.energy",
    "actcodec.tables",
    "actcodec.golden",
    "actcodec.graph",
    "actcodec.pim",
    "actcodec_rtl",
    "actcodec_sim",
    "actcodec_rtl.pim.macro",
    "actcodec_sim.accelerator",
    "actcodec_sim.cosim.regression",
    "actcodec_sim.pim.energy",
    "actcodec_sim.traffic",
]


@pytest.mark.parametrize("module", MODULES)
def test_import_does_not_need_torch(module):
    code = f"import sys; sys.modules['torch'] = None; import {module}; print({module}.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, module), done.stderr
