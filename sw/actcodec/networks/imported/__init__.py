"""Networks read from files of other tools, as torch networks that are traced like any other."""

from __future__ import annotations

from actcodec.networks.imported.network import ImportedNetwork
from actcodec.networks.imported.onnx_file import load_onnx
from actcodec.networks.imported.tflite_file import load_tflite

__all__ = ["ImportedNetwork", "load_onnx", "load_tflite"]
