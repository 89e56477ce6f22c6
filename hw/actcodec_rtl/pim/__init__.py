"""The process-in-memory macro in hardware."""
