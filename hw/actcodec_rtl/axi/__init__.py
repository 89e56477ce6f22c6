"""The shell of the codec: AXI4-Stream data and tables, AXI4-Lite registers, jobs, counters, errors, interrupts."""
