"""Energy of a command stream from the device's IDD currents.

Method: Micron TN-40-07, "Calculating Memory Power for DDR4 SDRAM": a command costs its current above the
standby current, for its duration; standby is charged for every cycle. With n devices a rank, in mA · V · ns =
pJ:

    activate (with its precharge)  n·VDD·tCK·(IDD0·tRC − IDD3N·tRAS − IDD2N·(tRC − tRAS))
    read, write                    n·VDD·tCK·(IDD4R − IDD3N)·burst, n·VDD·tCK·(IDD4W − IDD3N)·burst
    refresh                        n·VDD·tCK·(IDD5B − IDD3N)·tRFC
    standby, each rank             n·VDD·tCK·(IDD3N·cycles with an open row + IDD2N·the other cycles)

tCK is in ns; a device's ``cycle_ns`` stands in for it.

Not in it: termination and I/O energy (it depends on the board), the VPP supply, power-down states.
"""

from __future__ import annotations

from dataclasses import dataclass

from actcodec_sim.dram.device import DramDevice


@dataclass(frozen=True)
class DramEnergy:
    """Energy in picojoules by cause."""

    activate: float
    read: float
    write: float
    refresh: float
    active_standby: float
    precharge_standby: float

    @property
    def total(self) -> float:
        """Sum of all causes, in picojoules."""
        return self.activate + self.read + self.write + self.refresh + self.active_standby + self.precharge_standby


def dram_energy(
    device: DramDevice,
    *,
    activates: int,
    reads: int,
    writes: int,
    refreshes: int,
    rank_cycles: int,
    active_rank_cycles: int,
) -> DramEnergy:
    """Energy of the counted commands; cycles are summed over ranks, the active ones have a row open."""
    power, t = device.power, device.timing
    cycle_ns = t.tCK if power.cycle_ns is None else power.cycle_ns
    pj_per_ma_cycle = device.devices_per_rank * power.VDD * cycle_ns
    above_standby = power.IDD0 * t.tRC - power.IDD3N * t.tRAS - power.IDD2N * (t.tRC - t.tRAS)
    return DramEnergy(
        activate=activates * pj_per_ma_cycle * above_standby,
        read=reads * pj_per_ma_cycle * (power.IDD4R - power.IDD3N) * device.burst_cycles,
        write=writes * pj_per_ma_cycle * (power.IDD4W - power.IDD3N) * device.burst_cycles,
        refresh=refreshes * pj_per_ma_cycle * (power.IDD5B - power.IDD3N) * t.tRFC,
        active_standby=active_rank_cycles * pj_per_ma_cycle * power.IDD3N,
        precharge_standby=(rank_cycles - active_rank_cycles) * pj_per_ma_cycle * power.IDD2N,
    )
