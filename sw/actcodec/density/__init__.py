"""Widths and channels of a network by the density of its activations, and what they save (arXiv 2101.04354)."""
