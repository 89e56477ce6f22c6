"""The register map of the AXI shell: one description, from which RTL, C header, JSON and document are made."""

from actcodec_rtl.registers.codec_map import codec_registers
from actcodec_rtl.registers.model import Field, Register, RegisterGroup, RegisterMap

__all__ = ["Field", "Register", "RegisterGroup", "RegisterMap", "codec_registers"]
