"""The process-in-memory macro's RTL in simulators, and its switching energy."""
