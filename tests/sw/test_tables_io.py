import hashlib
import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load, save

from actcodec.errors import ActcodecError
from actcodec.golden import SiteCodec
from actcodec.tables import Tables, digest_of, load_tables, manifest_of, save_tables
from support.sites import activations, small_tables

FILES = ["decoder.hex", "encoder.hex", "manifest.json", "tables.safetensors"]
TABLES = small_tables()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables") / "saved"
    save_tables(TABLES, folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "tables")


def refusal(folder) -> str:
    with pytest.raises(ActcodecError) as caught:
        load_tables(folder)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def digest(manifest) -> str:
    """The digest as the format defines it: SHA-256 of the canonical JSON of everything else but the images."""
    rest = {key: value for key, value in manifest.items() if key not in ("digest", "images", "image_layout")}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def edit_manifest(folder, edit, renew=True):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    edit(manifest)
    if renew:
        manifest["digest"] = digest(manifest)
    path.write_text(json.dumps(manifest))


def edit_array(folder, key, change, renew=False):
    """Change a tensor of the file; with ``renew`` make the manifest agree."""
    path = folder / "tables.safetensors"
    tensors = {name: array.copy() for name, array in load(path.read_bytes()).items()}
    tensors[key] = change(tensors[key])
    path.write_bytes(save(tensors))
    if renew:
        number, name = key.split(".")

        def agree(manifest):
            entry = manifest["sites"][int(number)]["arrays"][name]
            entry["shape"], entry["dtype"] = list(tensors[key].shape), str(tensors[key].dtype)
            entry["sha256"] = hashlib.sha256(tensors[key].tobytes()).hexdigest()

        edit_manifest(folder, agree)


def set_first(value):
    def change(array):
        array.ravel()[0] = value
        return array

    return change


# --- round trip


def test_loaded_tables_are_the_saved_ones(saved):
    loaded = load_tables(saved)
    assert loaded.params == TABLES.params
    assert (loaded.provenance, loaded.residency, loaded.transaction_bytes) == (TABLES.provenance, "resident", 64)
    assert [site.info for site in loaded.sites] == [site.info for site in TABLES.sites]
    for mine, theirs in zip(loaded.sites, TABLES.sites, strict=True):
        for (name, a), (_, b) in zip(mine.arrays.items(), theirs.arrays.items(), strict=True):
            assert a.dtype == b.dtype and np.array_equal(a, b), name
    assert digest_of(loaded) == digest_of(TABLES)


def test_loaded_tables_encode_as_the_saved_ones(saved):
    for mine, theirs in zip(load_tables(saved).sites, TABLES.sites, strict=True):
        x = activations(theirs, 5)
        assert np.array_equal(SiteCodec(mine).encode(x), SiteCodec(theirs).encode(x))


def test_a_second_save_is_byte_identical(saved, tmp_path):
    for name, tables in (("again", TABLES), ("loaded", load_tables(saved))):
        save_tables(tables, tmp_path / name)
        assert sorted(path.name for path in (tmp_path / name).iterdir()) == FILES
        for file in FILES:
            assert (tmp_path / name / file).read_bytes() == (saved / file).read_bytes()


def test_saving_replaces_an_older_folder_whole(tmp_path):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "stale").touch()
    save_tables(TABLES, tmp_path / "t")
    assert sorted(path.name for path in (tmp_path / "t").iterdir()) == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_the_digest_is_the_hash_of_the_canonical_manifest(saved):
    manifest = json.loads((saved / "manifest.json").read_text())
    assert manifest == json.loads(json.dumps(manifest_of(TABLES)))
    assert manifest["digest"] == digest(manifest) == digest_of(TABLES) == save_tables(TABLES, saved)


def test_the_digest_names_every_integer_and_parameter():
    site = TABLES.sites[0]
    site.arrays.group[0] += 1
    try:
        changed = Tables(TABLES.params, TABLES.sites, TABLES.provenance)
        assert digest_of(changed) != digest_of(TABLES)
    finally:
        site.arrays.group[0] -= 1
    reloaded = Tables(TABLES.params, TABLES.sites, TABLES.provenance, residency="reloaded")
    coarse = Tables(TABLES.params, TABLES.sites, TABLES.provenance, transaction_bytes=128)
    fewer = Tables(TABLES.params, TABLES.sites[:-1], TABLES.provenance)
    assert len({digest_of(t) for t in (TABLES, reloaded, coarse, fewer)}) == 4


def test_the_manifest_hashes_images_and_arrays(saved):
    manifest = json.loads((saved / "manifest.json").read_text())
    for name, value in manifest["images"].items():
        assert hashlib.sha256((saved / name).read_bytes()).hexdigest() == value
    for key, array in load((saved / "tables.safetensors").read_bytes()).items():
        number, name = key.split(".")
        entry = manifest["sites"][int(number)]["arrays"][name]
        assert hashlib.sha256(array.tobytes()).hexdigest() == entry["sha256"]
        assert (list(array.shape), str(array.dtype)) == (entry["shape"], entry["dtype"])


# --- failed saves


def test_a_failed_save_leaves_the_old_folder_and_nothing_else(folder, monkeypatch):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr("actcodec.tables.io.save_safetensors", lambda tensors: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save_tables(TABLES, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["tables"]


def test_saving_over_a_file_is_refused(tmp_path):
    (tmp_path / "t").write_text("keep")
    with pytest.raises(ActcodecError, match="t: is a file"):
        save_tables(TABLES, tmp_path / "t")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("t", "keep")]


def test_tables_that_do_not_fit_the_memories_are_not_saved(tmp_path):
    params = TABLES.params.model_copy(update={"coefficient_depth": 2})
    tables = Tables(params, TABLES.sites[:1], TABLES.provenance)
    object.__setattr__(tables.sites[0], "params", params)
    try:
        with pytest.raises(ActcodecError, match="entries of memory 'operation' exceed the codec's depth 2"):
            save_tables(tables, tmp_path / "t")
    finally:
        object.__setattr__(tables.sites[0], "params", TABLES.params)
    assert list(tmp_path.iterdir()) == []


# --- tampering


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    assert f"{name}: cannot be read: No such file" in refusal(folder)


def test_a_missing_folder_is_named(tmp_path):
    assert "nowhere/manifest.json: cannot be read" in refusal(tmp_path / "nowhere")


@pytest.mark.parametrize("array", ["P", "R", "bias", "shift", "width", "left_shift", "group", "bias_out"])
def test_a_changed_number_is_refused_by_site_and_array(folder, array):
    edit_array(folder, f"1.{array}", lambda a: a ^ (np.arange(a.size) == 3).reshape(a.shape).astype(a.dtype))
    message = refusal(folder)
    assert f"tables.safetensors: site synthetic1: {array} does not match its SHA-256 in the manifest" in message


def test_a_reshaped_array_is_refused(folder):
    edit_array(folder, "0.P", lambda a: np.ascontiguousarray(a.reshape(-1)))
    assert "site synthetic0: P is int8[" in refusal(folder)


def test_a_recast_array_is_refused(folder):
    edit_array(folder, "0.width", lambda a: a.view(np.int8))
    assert "site synthetic0: width is int8[" in refusal(folder)


@pytest.mark.parametrize("change", ["extra", "missing"])
def test_a_tensor_too_many_or_too_few_is_named(folder, change):
    path = folder / "tables.safetensors"
    tensors = load(path.read_bytes())
    if change == "extra":
        tensors["0.Q"] = np.zeros(3, dtype=np.int8)
    else:
        del tensors["2.bias"]
    path.write_bytes(save(tensors))
    name = "0.Q" if change == "extra" else "2.bias"
    assert f"tables.safetensors: tensor '{name}' is missing or not in the manifest" in refusal(folder)


@pytest.mark.parametrize("content", [b"", b"\0" * 8, b"\xff" * 64, b"not a file at all"])
def test_a_file_that_is_not_safetensors_is_named(folder, content):
    (folder / "tables.safetensors").write_bytes(content)
    assert "tables.safetensors: is not a safetensors file" in refusal(folder)


@pytest.mark.parametrize(
    ("array", "value", "complaint"),
    [
        ("width", 9, "width[0] = 9 is out of range 0…8"),
        ("shift", 40, "shift[0] = 40 is out of range 0…31"),
        ("left_shift", 8, "left_shift[0] = 8 is out of range 0…7"),
        ("channel_order", 1, "channel_order is not a permutation"),
        ("bias", 1 << 30, "encoder accumulator 0 reaches"),
        ("bias_out", -(1 << 30), "decoder accumulator 0 reaches"),
    ],
)
def test_a_number_out_of_range_is_refused_even_if_every_hash_agrees(folder, array, value, complaint):
    edit_array(folder, f"0.{array}", set_first(value), renew=True)
    assert f"site synthetic0: {complaint}" in refusal(folder)


def test_arrays_of_other_tables_do_not_match_the_images(folder):
    edit_array(folder, "0.left_shift", lambda a: np.where(a == 0, 1, 0).astype(np.uint8), renew=True)
    assert "decoder.hex: is not the image of these tables" in refusal(folder)


def test_tables_of_an_older_layout_of_the_images_are_read_and_written_in_the_present_one(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "encoder.hex").write_text("older\n")
    manifest["images"]["encoder.hex"] = hashlib.sha256(b"older\n").hexdigest()
    del manifest["image_layout"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    tables = load_tables(folder)
    assert digest_of(tables) == manifest["digest"] == save_tables(tables, folder)
    assert json.loads((folder / "manifest.json").read_text())["image_layout"] > 1
    assert (folder / "encoder.hex").read_text() != "older\n"


def test_an_array_of_another_shape_is_refused_even_if_every_hash_agrees(folder):
    edit_array(folder, "0.bias", lambda a: a.astype(np.int64), renew=True)
    assert "site synthetic0: bias is int64[" in refusal(folder)


@pytest.mark.parametrize("name", ["encoder.hex", "decoder.hex"])
@pytest.mark.parametrize("change", ["digit", "truncated", "longer", "empty"])
def test_a_changed_image_is_named(folder, name, change):
    path = folder / name
    content = path.read_bytes()
    digit = b"0" if content[-2:-1] != b"0" else b"1"
    changes = {
        "digit": content[:-2] + digit + b"\n",
        "truncated": content[:-1],
        "longer": content + b"\n",
        "empty": b"",
    }
    path.write_bytes(changes[change])
    assert f"{name}: is not the image of these tables" in refusal(folder)


def set_path(*path, value):
    def edit(manifest):
        for key in path[:-1]:
            manifest = manifest[key]
        manifest[path[-1]] = value

    return edit


INFO = ("sites", 0, "info")


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (set_path("version", value=2), "version = 2 is not supported; this build reads 1"),
        (set_path("version", value=None), "version = None is not supported"),
        (set_path("schema_name", value="other"), "is not a manifest of actcodec-tables"),
        (set_path("colour", value=1), "colour = 1: Extra inputs are not permitted"),
        (set_path(*INFO, "colour", value=1), "sites.0.info.colour = 1: Extra inputs"),
        (set_path(*INFO, "transform", value="folded"), "site synthetic0: transform = 'folded' is not supported"),
        (set_path(*INFO, "transform", value="fourier"), "sites.0.info.transform = 'fourier'"),
        (set_path(*INFO, "order", value="spiral"), "sites.0.info.order = 'spiral'"),
        (set_path("codec", "orders", value=["block-major"]), "order = 'position-major' is not supported by this codec"),
        (set_path("codec", "transforms", value=["bypass"]), "transform = 'project' is not supported by this codec"),
        (set_path("codec", "transforms", value=["folded"]), "site synthetic0: transform = 'project' is not supported"),
        (set_path(*INFO, "align_bits", value=96), "site synthetic0: align_bits = 96 is not a multiple of word_bits"),
        (
            set_path("codec", "max_channels", value=7),
            "channels = 8 exceeds the codec's max_channels = 7",
        ),
        (set_path("codec", "max_sites", value=4), "tables: 7 sites exceed max_sites = 4"),
        (set_path("codec", "lanes", value=3), "codec = "),
        (set_path("codec", "acc_bits", value=16), "more than acc_bits = 16 hold"),
        (set_path(*INFO, "height", value=2), "site synthetic0: payload_bits = "),
        (set_path(*INFO, "channels", value=9), "site synthetic0: blocks cover 8 of 9 channels"),
        (set_path(*INFO, "zero", value=256), "sites.0.info.zero = 256"),
        (set_path(*INFO, "scale", value=float("nan")), "sites.0.info.scale = nan"),
        (set_path(*INFO, "name", value="bypass"), "tables: site name 'bypass' is not unique"),
        (set_path("sites", 0, "sizes", "stream_bytes", value=1), "site synthetic0: stream_bytes = 1, the tables give"),
        (set_path("sites", 0, "sizes", "table_bytes", value=1), "site synthetic0: table_bytes = 1, the tables give"),
        (set_path("sites", 0, "coefficients", value=99), "site synthetic0: coefficients = 99, the tables give"),
        (set_path("sites", 0, "arrays", "P", "shape", value=[1]), "site synthetic0: P is int8["),
        (set_path("sites", 0, "arrays", value={}), "tensor '0.P' is missing or not in the manifest"),
        (set_path("sites", value=[]), "is missing or not in the manifest"),
        (set_path("transaction_bytes", value=0), "transaction_bytes = 0"),
        (set_path("transaction_bytes", value=128), "site synthetic"),
        (set_path("images", value={}), "images = [], expected ['decoder.hex', 'encoder.hex']"),
        (set_path("images", "encoder.hex", value="0"), "images.encoder.hex does not match the image's SHA-256"),
        (set_path("residency", value="elsewhere"), "residency = 'elsewhere'"),
        (set_path("provenance", value=None), "provenance = None"),
    ],
)
def test_a_changed_manifest_field_is_refused_even_if_the_digest_agrees(folder, edit, complaint):
    edit_manifest(folder, edit)
    assert complaint in refusal(folder)


@pytest.mark.parametrize(
    "edit",
    [
        set_path("provenance", "seed", value=99),
        set_path(*INFO, "scale", value=0.5),
        set_path(*INFO, "readers", value=9),
        set_path("residency", value="reloaded"),
    ],
)
def test_a_manifest_that_does_not_agree_with_its_digest_is_refused(folder, edit):
    edit_manifest(folder, edit, renew=False)
    assert "manifest.json: digest = " in refusal(folder)
    assert "does not match the manifest's content" in refusal(folder)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", "7", '"actcodec-tables"', "{}", "[" * 100_000, '{"version": ' + "1" * 5000 + "}"]
)
def test_a_file_that_is_not_a_manifest_is_refused(folder, content):
    (folder / "manifest.json").write_text(content)
    assert "manifest.json: is not " in refusal(folder)


@pytest.mark.parametrize(("field", "value"), [("transaction_bytes", "64"), ("version", 1.0), ("version", True)])
def test_a_number_of_another_json_type_does_not_load_as_other_tables(folder, field, value):
    edit_manifest(folder, set_path(field, value=value))
    try:
        loaded = load_tables(folder)
    except ActcodecError:
        return
    assert digest_of(loaded) == json.loads((folder / "manifest.json").read_text())["digest"]
