"""``python -m actcodec_rtl.registers FILE``: write the register map's page."""

from __future__ import annotations

import sys
from pathlib import Path

from actcodec.files import write_text
from actcodec.params import CodecParams
from actcodec_rtl.registers.codec_map import codec_registers
from actcodec_rtl.registers.document import document

if __name__ == "__main__":
    write_text(
        Path(sys.argv[1] if len(sys.argv) > 1 else "docs/registers.md"), document(codec_registers(CodecParams()))
    )
