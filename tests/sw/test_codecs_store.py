"""The file of measured codecs: what is written is read back, and what cannot be is refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest

from actcodec.codecs import Activity, CodecSizes, CodecStore, SiteShape, StoredSize, load_codecs, save_codecs
from actcodec.codecs.rates import RATES
from actcodec.errors import ActcodecError


def size(**changes: Any) -> StoredSize:
    figures = {
        "payload_bits": 100,
        "payload_bits_range": (90, 110),
        "stream_bytes": 17,
        "stream_bytes_range": (16, 18),
        "header_bytes": 4,
        "table_bytes": 30,
        "encode": Activity(macs=5, memory_bytes=6, register_bits=7),
    }
    return StoredSize(**{**figures, **changes})


def store() -> CodecStore:
    sites = tuple(SiteShape(name=name, channels=4, height=3, width=2, readers=1, macs=9) for name in "ab")
    codecs = tuple(CodecSizes(name=name, method="by hand", sites=(size(), size()), correct=3) for name in ("x", "y"))
    return CodecStore(
        network="net",
        dataset="mnist",
        images=4,
        correct=4,
        network_macs=18,
        checkpoint_sha256="0" * 64,
        sites=sites,
        codecs=codecs,
    )


def test_a_store_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "codecs.json"
    save_codecs(store(), path)
    back = load_codecs(path)
    assert back == store() and back.values == 48
    assert back.codec("y").sites[0].encode.macs == 5 and back.codec("y").sites[0].decode.macs == 0
    with pytest.raises(ActcodecError, match="'z' is unknown; known: x, y"):
        back.codec("z")


def test_stores_of_the_same_images_are_joined() -> None:
    first = store()
    more = first.model_copy(update={"codecs": (CodecSizes(name="y", method="again", sites=(size(), size())),)})
    joined = first.joined(more.model_copy(update={"tables_digest": "d"}))
    assert [(c.name, c.method) for c in joined.codecs] == [("x", "by hand"), ("y", "again")]
    assert joined.tables_digest == "d" and joined.joined(first).tables_digest == "d"
    with pytest.raises(ActcodecError, match="images of the two measurements differ"):
        first.joined(more.model_copy(update={"images": 5}))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda file: file.update(schema="other"), "schema = 'other'"),
        (lambda file: file["store"].update(images=0), "store.images = 0"),
        (lambda file: file["store"].update(extra=1), "store.extra"),
        (lambda file: file["store"]["codecs"][1].update(name="x"), "the codec 'x' occurs twice"),
        (lambda file: file["store"]["sites"][1].update(name="a"), "the site 'a' occurs twice"),
        (lambda file: file["store"]["codecs"][0]["sites"].pop(), "codec x has 1 sites of 2"),
        (lambda file: file["store"]["codecs"][0]["sites"][0].update(stream_bytes=16), "16 do not hold 100 bits"),
        (
            lambda file: file["store"]["codecs"][0]["sites"][0].update(payload_bits_range=[90, 99]),
            "payload_bits_range = 90…99 does not hold",
        ),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(change: Any, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "codecs.json"
    save_codecs(store(), path)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ActcodecError, match=r"codecs\.json: .*" + problem):
        load_codecs(path)


def test_rates_round_up_and_none_is_no_limit() -> None:
    assert RATES["zvc"].cycles(17) == 3
    assert RATES["ebpc"].cycles(17) == 17
    assert RATES["wiring"].cycles(17) == 0
    assert all(rate.source for rate in RATES.values())
