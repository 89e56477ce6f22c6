"""Device descriptions: presets, address mapping, and one clear line for whatever is wrong in a file."""

import re
from pathlib import Path

import numpy as np
import pytest

from actcodec.configs import configs_folder
from actcodec.errors import ActcodecError
from actcodec_sim.dram import Requests, load_device
from actcodec_sim.dram.address import locate


def preset_text(name: str = "DDR4-2400") -> str:
    return (configs_folder() / "dram" / f"{name}.toml").read_text()


@pytest.mark.parametrize(
    ("name", "transaction", "page", "capacity"),
    [("DDR4-2400", 64, 8192, 16 << 30), ("LPDDR4-3200", 64, 4096, 1 << 30)],
)
def test_preset_sizes(name, transaction, page, capacity):
    device = load_device(name)
    assert device.name == name
    assert (device.transaction_bytes, device.page_bytes, device.capacity_bytes) == (transaction, page, capacity)


def test_every_preset_loads_under_its_own_name():
    for path in (configs_folder() / "dram").glob("*.toml"):
        assert load_device(path) == load_device(path.stem)
        assert load_device(path).name == path.stem


def test_peak_bandwidth():
    assert load_device("DDR4-2400").peak_bytes_per_second == pytest.approx(19.2e9, rel=0.005)
    assert load_device("LPDDR4-3200").peak_bytes_per_second == pytest.approx(12.8e9)


def test_column_is_the_lowest_field_of_rochrababgco():
    device = load_device("DDR4-2400")
    where = locate(device, np.array([0, 8128, 8192, 4 * 8192, 16 * 8192, 32 * 8192, (16 << 30) - 64]))
    assert where.bank.tolist() == [0, 0, 4, 1, 16, 0, 31]
    assert where.row.tolist() == [0, 0, 0, 0, 0, 1, 65535]


def test_another_mapping_puts_neighbours_in_another_group(tmp_path):
    path = tmp_path / "interleaved.toml"
    path.write_text(preset_text().replace("rochrababgco", "rochracobabg"))
    where = locate(load_device(path), np.arange(8) * 64)
    assert where.bank.tolist() == [0, 4, 8, 12, 1, 5, 9, 13]


def test_channels_lie_where_the_mapping_puts_them(tmp_path):
    path = tmp_path / "two.toml"
    path.write_text(
        preset_text().replace("rochrababgco", "rorababgchco").replace("ranks = 2", "channels = 4\nranks = 2")
    )
    device = load_device(path)
    where = locate(device, np.array([0, 8192, 3 * 8192, 4 * 8192, 4 * 32 * 8192, device.capacity_bytes - 64]))
    assert where.bank.tolist() == [0, 32, 96, 4, 0, 127]
    assert where.row.tolist() == [0, 0, 0, 0, 1, 65535]
    assert device.capacity_bytes == 4 * (16 << 30)


def test_burst_of_a_faster_data_clock():
    device = load_device("LPDDR5-6400")
    assert device.burst_cycles == 2
    assert device.peak_bytes_per_second == pytest.approx(25.6e9)


@pytest.mark.parametrize("name", ["DDR4-3200", "LPDDR4-2400", "LPDDR4-3200", "LPDDR5-6400"])
def test_preset_that_nothing_was_compared_with_says_so(name):
    assert load_device(name).validation.startswith("unvalidated")


@pytest.mark.parametrize(
    ("pattern", "replacement", "problem"),
    [
        (r"tRCD = \d+\n", "", "timing.tRCD"),
        (r"tRCD = \d+", "tRCD = -1", "timing.tRCD = -1"),
        (r"tRCD = \d+", 'tRCD = "17"', "timing.tRCD = '17'"),
        (r"tRCD = \d+", "tRCD = 17\ntRDC = 17", "timing.tRDC = 17"),
        (r"tCCD_L = \d+", "tCCD_L = 3", "tCCD_L = 3 is below tCCD_S = 4"),
        (r"tRAS = \d+", "tRAS = 16", "tRAS = 16 is below tRCD = 17"),
        (r"rows = \d+", "rows = 65535", "rows = 65535 is not a power of two"),
        (r"ranks = \d+", "channels = 3\nranks = 2", "channels = 3 is not a power of two"),
        (r"ranks = \d+", "ranks = 4096", "65536 banks in all: more than 4096"),
        (r"burst_length = \d+", "burst_length = 4\ntransfers_per_cycle = 8", "burst_length = 4 is outside 8…columns"),
        (r"tREFI = \d+", "tREFI = 400", "tREFI = 400 leaves no time"),
        (r"CWL = \d+", "CWL = 30", "CWL = 30 lets a write overtake"),
        (r"tCK = [\d.]+", "tCK = nan", "timing.tCK = nan"),
        (r"banks_per_group = \d+", "banks_per_group = 3", "banks_per_group = 3 is not a power of two"),
        (r"bus_width = \d+", "bus_width = 4", "bus_width = 4"),
        (r"rochrababgco", "rochrababaco", "'rochrababaco' is not an order"),
        (r"rochrababgco", "rochrababgc", "'rochrababgc' is not an order"),
        (r"IDD4R = [\d.]+", "IDD4R = 1.0", "IDD4R = 1.0 is below IDD3N"),
        (r"IDD0 = [\d.]+", "IDD0 = 42.0", "IDD0 = 42.0 is below IDD3N"),
        (r"source = \"DDR4-2400R[^\n]*", 'source = ""', "timing.source = ''"),
        (r"\[power\]", "[power", "is not TOML"),
    ],
)
def test_bad_file_is_refused_in_one_line(tmp_path, pattern, replacement, problem):
    path = tmp_path / "bad.toml"
    text, count = re.subn(pattern, replacement, preset_text(), count=1)
    assert count == 1
    path.write_text(text)
    with pytest.raises(ActcodecError) as caught:
        load_device(path)
    assert problem in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_device_lists_the_known_ones():
    names = "DDR4-2400, DDR4-3200, DDR4_8Gb_x8_2400, LPDDR4-2400, LPDDR4-3200, LPDDR4_8Gb_x16_2400, LPDDR5-6400"
    with pytest.raises(ActcodecError, match=f"known: {names}"):
        load_device("DDR5")
    with pytest.raises(ActcodecError, match="no such dram"):
        load_device(Path("nowhere.toml"))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"address": np.zeros(3, np.int64)}, "differ in length"),
        ({"earliest": np.array([0, -5])}, "-5 is negative"),
        ({"phase": np.array([1, 0])}, "phase numbers fall"),
    ],
)
def test_bad_requests_are_refused(change, problem):
    good = {
        "address": np.zeros(2, np.int64),
        "is_write": np.zeros(2, np.bool_),
        "earliest": np.zeros(2, np.int64),
        "phase": np.zeros(2, np.int64),
    }
    with pytest.raises(ActcodecError, match=problem):
        Requests(**{**good, **change})
