"""Dynamic bit-width search (P2, P3): widths of groups, projections, quantizers and weights are learned together."""
