"""Static Huffman coding: worked examples, optimal lengths, exact sizes, round trips, refusals."""

import heapq
from contextlib import suppress
from dataclasses import FrozenInstanceError, replace
from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from actcodec.baselines import BitStream, Coded, HuffmanTable
from actcodec.errors import ActcodecError

thorough = settings(deadline=None, max_examples=200)

FIBONACCI = [1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597, 2584, 4181, 6765]


def array(values) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def table(counts, max_length=16) -> HuffmanTable:
    return HuffmanTable.from_counts(array(counts), max_length)


def cost(counts, lengths) -> int:
    return sum(count * int(length) for count, length in zip(counts, lengths, strict=True))


def least_cost(counts) -> int:
    """Σ count · length of Huffman's own construction, without a limit: the sum of all merged weights."""
    heap, total = sorted(counts), 0
    while len(heap) > 1:
        merged = heapq.heappop(heap) + heapq.heappop(heap)
        total += merged
        heapq.heappush(heap, merged)
    return total


def limits(count):
    return st.integers(max(1, (count - 1).bit_length()), 16)


def counts_of(least=0, most=1000, min_size=1, max_size=64):
    return st.lists(st.one_of(st.integers(least, 3), st.integers(least, most)), min_size=min_size, max_size=max_size)


tables = counts_of().flatmap(lambda counts: st.builds(table, st.just(counts), limits(len(counts))))
tables_and_symbols = tables.flatmap(
    lambda t: st.tuples(st.just(t), st.lists(st.integers(0, t.lengths.size - 1), min_size=1, max_size=80).map(array))
)


# --- worked by hand


def test_worked_example():
    t = table([1, 5, 1, 2])
    assert t.lengths.tolist() == [3, 1, 3, 2]
    # By length, then by symbol: 1 → 0, 3 → 10, 0 → 110, 2 → 111.
    assert t.codes.tolist() == [0b110, 0b0, 0b111, 0b10]
    coded = t.encode(array([0, 1, 2, 3, 1]))
    assert [(s.name, s.text) for s in coded.streams] == [("codes", "110" + "0" + "111" + "10" + "0")]
    assert (coded.bits, coded.values, coded.uncounted_bits) == (10, 5, 0)
    assert t.bits(array([0, 1, 2, 3, 1])) == 10
    assert t.decode(coded).tolist() == [0, 1, 2, 3, 1]


def test_worked_table():
    t = table([1, 5, 1, 2])
    assert t.serialised.text == "00011" + "00001" + "00011" + "00010"
    assert (t.serialised.name, t.table_bits) == ("lengths", 20)


def test_a_limit_worked_by_hand():
    assert table([1, 1, 2, 4]).lengths.tolist() == [3, 3, 2, 1]
    assert table([1, 1, 2, 4], 2).lengths.tolist() == [2, 2, 2, 2]
    # 20 Fibonacci weights take 19 bits without a limit.
    assert sorted(table(FIBONACCI).lengths)[-1] == 16


@pytest.mark.parametrize(("counts", "lengths"), [([0, 0], [1, 1]), ([0, 9, 0], [2, 1, 2]), ([0], [0]), ([7], [0])])
def test_a_symbol_that_was_never_counted_has_a_code(counts, lengths):
    assert table(counts).lengths.tolist() == lengths


def test_a_symbol_that_is_alone_takes_no_bits():
    t = table([3])
    coded = t.encode(np.zeros((2, 3), dtype=np.uint8))
    assert (coded.bits, coded.values, t.bits(np.zeros(6, dtype=np.uint8))) == (0, 6, 0)
    assert (t.decode(coded).tolist(), t.table_bits) == ([0] * 6, 5)
    with pytest.raises(ActcodecError, match="stream codes: has 1 bits, its values take 0"):
        t.decode(replace(coded, streams=(BitStream("codes", b"\0", 1),)))


def test_one_symbol_of_several_takes_a_bit():
    assert table([100, 0]).encode(np.zeros(9, dtype=np.int16)).bits == 9


# --- lengths


@thorough
@given(tables)
def test_codes_are_complete_prefix_free_and_canonical(t):
    texts = [format(code, f"0{length}b") if length else "" for code, length in zip(t.codes, t.lengths, strict=True)]
    assert sum(Fraction(1, 1 << len(text)) for text in texts) == 1
    # By length, then by symbol, the codes are in ascending order: of two neighbours neither begins the other.
    order = sorted(range(len(texts)), key=lambda s: (len(texts[s]), s))
    ordered = [texts[s] for s in order]
    assert ordered == sorted(ordered)
    assert not any(b.startswith(a) for a, b in pairwise(ordered))


@thorough
@given(counts_of(least=1, min_size=2))
@example([1] * 64)
@example([1, 1000])
def test_mean_length_is_within_a_bit_of_the_entropy(counts):
    # No symbol is rarer than 2^-16, so lengths ⌈−log₂ p⌉ are within the limit and the optimum is no longer.
    p = np.array(counts) / sum(counts)
    entropy = -(p * np.log2(p)).sum()
    mean = cost(counts, table(counts).lengths) / sum(counts)
    assert entropy - 1e-9 <= mean < entropy + 1


@thorough
@given(counts_of(least=1, most=50, min_size=2))
def test_lengths_without_a_limit_are_those_of_huffman(counts):
    # A code of 17 bits takes weights that sum to the 19th Fibonacci number, 4181, or more.
    counts = counts[:40]
    assert cost(counts, table(counts).lengths) == least_cost(counts)


@settings(deadline=None, max_examples=60)
@given(counts_of(least=1, most=40, min_size=2, max_size=6), st.data())
def test_lengths_under_a_limit_are_optimal(counts, data):
    limit = data.draw(st.integers((len(counts) - 1).bit_length(), 5))
    t = table(counts, limit)
    possible = (
        lengths
        for lengths in product(range(1, limit + 1), repeat=len(counts))
        if sum(1 << (limit - length) for length in lengths) <= 1 << limit
    )
    assert t.lengths.max() <= limit
    assert cost(counts, t.lengths) == min(cost(counts, lengths) for lengths in possible)


def test_the_rarer_symbol_does_not_have_the_shorter_code():
    counts = np.random.default_rng(0).geometric(0.01, 4096)
    lengths = table(counts).lengths[np.argsort(counts, kind="stable")].astype(int)
    assert (np.diff(lengths) <= 0).all()


@pytest.mark.parametrize("size", [1, 2, 3, 255, 4095, 4096])
def test_the_tightest_limit_gives_equal_lengths_where_the_size_is_a_power_of_two(size):
    limit = max(1, (size - 1).bit_length())
    lengths = table(np.arange(size), limit).lengths
    assert lengths.max() <= limit
    if size == 1 << limit:
        assert (lengths == limit).all()


def test_the_largest_counts_do_not_overflow():
    t = table([1 << 46] * 4096)
    assert (t.lengths == 12).all()


# --- round trips and sizes


@thorough
@given(tables_and_symbols)
def test_round_trip_and_exact_size(case):
    t, symbols = case
    coded = t.encode(symbols)
    found = t.decode(coded)
    assert found.dtype == np.int64
    assert np.array_equal(found, symbols)
    assert coded.values == symbols.size
    assert coded.bits == t.bits(symbols) == sum(int(t.lengths[s]) for s in symbols)
    assert coded.stream("codes").text == "".join(
        format(t.codes[s], f"0{t.lengths[s]}b") if t.lengths[s] else "" for s in symbols
    )


@thorough
@given(tables)
def test_the_table_survives_being_serialised(t):
    found = HuffmanTable.from_serialised(t.serialised)
    assert np.array_equal(found.lengths, t.lengths)
    assert t.table_bits == t.serialised.bits == 5 * t.lengths.size


def test_a_large_alphabet():
    rng = np.random.default_rng(0)
    symbols = np.minimum(rng.geometric(0.005, 200_000) - 1, 4095)
    t = table(np.bincount(symbols, minlength=4096))
    coded = t.encode(symbols)
    assert np.array_equal(t.decode(coded), symbols)
    assert coded.bits == t.bits(symbols)
    everything = np.arange(4096)
    assert np.array_equal(t.decode(t.encode(everything)), everything)


def test_any_shape_order_and_integer_type():
    t = table(np.arange(60))
    x = np.arange(60).reshape(3, 4, 5)
    coded = t.encode(x)
    assert t.decode(coded).tolist() == list(range(60))
    assert t.encode(np.asfortranarray(x)) == coded
    for dtype in (np.uint8, np.int8, np.uint16, np.int32, np.uint64):
        assert t.encode(x.astype(dtype)) == coded
    assert t.encode(x[::-1, :, ::2]) == t.encode(x[::-1, :, ::2].copy())


def test_a_table_cannot_be_changed():
    lengths = np.array([1, 1], dtype=np.uint8)
    t = HuffmanTable(lengths)
    lengths[0] = 9
    assert t.lengths.tolist() == [1, 1]
    with pytest.raises(ValueError, match="read-only"):
        t.lengths[0] = 2
    with pytest.raises(FrozenInstanceError):
        t.lengths = lengths


# --- refusals


@pytest.mark.parametrize(
    ("counts", "max_length", "words"),
    [
        (np.ones(3), 16, "counts are float64 of shape"),
        (np.ones((2, 2), dtype=np.int64), 16, r"counts are int64 of shape \(2, 2\)"),
        (np.ones(0, dtype=np.int64), 16, r"shape \(0,\), expected int64 \(n,\), n = 1…4096"),
        (np.ones(4097, dtype=np.int64), 16, r"shape \(4097,\)"),
        (np.array([3, -1]), 16, r"count 1 = -1, expected 0…2\^46"),
        (np.array([3, 1 << 47]), 16, r"count 1 = 140737488355328"),
        (np.ones(5, dtype=np.int64), 2, "max_length = 2, expected 3…16 for 5 symbols"),
        (np.ones(5, dtype=np.int64), 17, "max_length = 17, expected 3…16 for 5 symbols"),
        (np.ones(1, dtype=np.int64), 0, "max_length = 0, expected 1…16 for 1 symbols"),
    ],
)
def test_counts_that_make_no_table_are_refused(counts, max_length, words):
    with pytest.raises(ActcodecError, match=f"^huffman: .*{words}"):
        HuffmanTable.from_counts(counts, max_length)


@pytest.mark.parametrize(
    ("lengths", "words"),
    [
        (np.array([1, 1]), "lengths are int64"),
        (np.array([1], dtype=np.uint8), "Σ 2^−length = 0.5, expected 1"),
        (np.array([1, 1, 1], dtype=np.uint8), "Σ 2^−length = 1.5, expected 1"),
        (np.array([0, 1], dtype=np.uint8), "Σ 2^−length = 1.5, expected 1"),
        (np.array([1, 17], dtype=np.uint8), "length 1 = 17, expected 0…16"),
    ],
)
def test_lengths_of_no_complete_code_are_refused(lengths, words):
    with pytest.raises(ActcodecError, match="huffman: .*" + words.replace("^", r"\^")):
        HuffmanTable(lengths)


@pytest.mark.parametrize("bits", [0, 4, 11])
def test_a_serialised_table_of_an_impossible_size_is_refused(bits):
    with pytest.raises(ActcodecError, match=f"stream lengths: has {bits} bits, expected 5 for each"):
        HuffmanTable.from_serialised(BitStream("lengths", bytes(-(-bits // 8)), bits))


@pytest.mark.parametrize(
    ("symbols", "words"),
    [
        (np.array([0.0]), "symbols are float64, expected integers"),
        (np.array([True]), "symbols are bool, expected integers"),
        (np.zeros((0, 2), dtype=np.int64), r"has shape \(0, 2\): no symbols"),
        (np.array([0, 3]), "symbol 3, expected 0…2"),
        (np.array([0, -1], dtype=np.int8), "symbol -1, expected 0…2"),
        (np.array([1 << 16]), "symbol 65536, expected 0…2"),
    ],
)
def test_what_is_not_a_symbol_is_refused(symbols, words):
    t = table([1, 1, 1])
    for method in (t.encode, t.bits):
        with pytest.raises(ActcodecError, match=f"^huffman: {words}"):
            method(symbols)


@thorough
@given(tables_and_symbols, st.data())
def test_a_cut_or_longer_stream_is_refused(case, data):
    t, symbols = case
    coded = t.encode(symbols)
    stream = coded.stream("codes")
    longer = st.integers(stream.bits + 1, stream.bits + 40)
    bits = data.draw(st.one_of(st.integers(0, stream.bits - 1), longer) if stream.bits else longer)
    bytes_ = -(-bits // 8)
    content = data.draw(st.sampled_from([bytes(8), b"\xff" * 8]))
    with pytest.raises(ActcodecError, match="stream codes"):
        t.decode(replace(coded, streams=(BitStream("codes", (stream.content + content)[:bytes_], bits),)))


@thorough
@given(tables_and_symbols, st.integers(1, 5))
def test_another_number_of_values_is_refused(case, more):
    t, symbols = case
    coded = t.encode(symbols)
    if coded.bits:
        for values in (coded.values + more, max(1, coded.values - more)):
            if values != coded.values:
                with pytest.raises(ActcodecError, match="stream codes"):
                    t.decode(replace(coded, values=values))


@thorough
@given(tables, st.integers(1, 100), st.binary(max_size=60))
def test_any_bytes_decode_or_are_refused(t, values, content):
    coded = Coded(values, (BitStream("codes", content, 8 * len(content)),))
    with suppress(ActcodecError):
        found = t.decode(coded)
        assert found.shape == (values,)
        assert t.encode(found) == coded


def test_a_missing_stream_is_refused():
    with pytest.raises(ActcodecError, match="stream codes: is absent; there are: other"):
        table([1, 1]).decode(Coded(1, (BitStream("other", b"", 0),)))
