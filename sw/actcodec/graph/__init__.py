"""Layers of a network and the tensors between them, as plain data: no weights, no torch."""

from actcodec.graph.model import Axis, Layer, LayerGraph, LayerKind, Read, Tensor, read_graph, write_graph
from actcodec.graph.scalesim import read_topology

__all__ = [
    "Axis",
    "Layer",
    "LayerGraph",
    "LayerKind",
    "Read",
    "Tensor",
    "read_graph",
    "read_topology",
    "write_graph",
]
