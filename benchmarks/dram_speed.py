"""Speed of the DRAM simulator on generated requests, beside that of a fixed loop on the same machine.

    python benchmarks/dram_speed.py [--most N] [--output FILE]

Reads of consecutive transactions, as fast as the memory takes them and one every 12 cycles, writes likewise, random
reads, and a random mix of reads and writes, 10⁴ to N requests (random ones to N / 10). Seconds are those of the
processor, without compiling, the best of three; the fixed loop is 10⁸ steps of a 64-bit xorshift generator.
``requests_per_loop_step`` is the requests that take as long as one step, so that machines can be compared.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from actcodec.files import write_json
from actcodec_sim.dram import DramDevice, Requests, load_device, simulate, single_phase

_HERE = Path(__file__).parent
DEVICES = ("DDR4_8Gb_x8_2400", "LPDDR4_8Gb_x16_2400")
LOOP_STEPS = 10**8
REPEATS = 3


@njit
def _loop(steps: int) -> np.uint64:
    x = np.uint64(88172645463325252)
    total = np.uint64(0)
    for _ in range(steps):
        x ^= x << np.uint64(13)
        x ^= x >> np.uint64(7)
        x ^= x << np.uint64(17)
        total += x & np.uint64(255)
    return total


def _stream(device: DramDevice, count: int, *, write: bool = False, pace: int = 0) -> Requests:
    number = np.arange(count, dtype=np.int64)
    return single_phase(number * device.transaction_bytes, np.full(count, write), number * pace)


def _random(device: DramDevice, count: int, *, write_share: float) -> Requests:
    rng = np.random.default_rng(1)
    address = rng.integers(0, (1 << 30) // device.transaction_bytes, count) * device.transaction_bytes
    return single_phase(address, rng.random(count) < write_share)


PATTERNS: dict[str, Callable[[DramDevice, int], Requests]] = {
    "stream_read": _stream,
    "stream_write": lambda device, count: _stream(device, count, write=True),
    "paced_read": lambda device, count: _stream(device, count, pace=12),
    "random_read": lambda device, count: _random(device, count, write_share=0.0),
    "random_mixed": lambda device, count: _random(device, count, write_share=0.4),
}


def _seconds(run: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(REPEATS):
        started = time.process_time()
        run()
        best = min(best, time.process_time() - started)
    return best


def measure(most: int) -> dict[str, Any]:
    """Speed of every device, pattern and number of requests up to ``most``."""
    _loop(1)
    steps_per_second = LOOP_STEPS / _seconds(lambda: _loop(LOOP_STEPS))
    print(f"fixed loop: {steps_per_second / 1e6:.0f} M steps/s")
    figures = []
    for name in DEVICES:
        device = load_device(name)
        for pattern, requests_of in PATTERNS.items():
            limit = most // 10 if pattern.startswith("random") else most
            count = 10**4
            while count <= limit:
                requests = requests_of(device, count)
                speed = count / _seconds(lambda device=device, requests=requests: simulate(device, requests))
                figures.append(
                    {
                        "device": name,
                        "pattern": pattern,
                        "requests": count,
                        "requests_per_second": round(speed, -3),
                        "requests_per_loop_step": round(speed / steps_per_second, 5),
                    }
                )
                print(f"{name:20} {pattern:13} {count:9d} requests: {speed / 1e6:6.2f} M/s")
                count *= 10
    return {"loop_steps_per_second": round(steps_per_second, -6), "figures": figures}


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--most", type=int, default=10**7)
    parser.add_argument("--output", type=Path, default=_HERE / "results" / "dram_speed.json")
    arguments = parser.parse_args()
    write_json(arguments.output, measure(arguments.most))


if __name__ == "__main__":
    main()
