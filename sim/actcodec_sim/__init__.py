"""Memory-traffic model, DRAM model, report and co-simulation harness of the activation codec."""
