"""GGUF files: unpacked once into the warehouse, the same model as the folder that they were made of; what fails is told."""

import errno
import shutil
import subprocess

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from bioalign_assets.errors import ModelError
from bioalign_assets.models import gguf as unpacking
from bioalign_assets.models.base import resolve_model
from bioalign_assets.models.loading import load_base
from bioalign_assets.study.models import ModelSpec
from bioalign_assets.warehouse.hashing import file_sha256
from bioalign_assets_tests import tiny_models

gguf = pytest.importorskip("gguf", reason="the extra gguf")
from bioalign_assets_tests.models.gguf_files import write_gguf  # noqa: E402


@pytest.fixture(scope="module")
def source():
    return tiny_models.resolved("llama").folder(warehouse=tiny_models.warehouse())


@pytest.fixture(scope="module")
def written(tmp_path_factory, source):
    return write_gguf(tmp_path_factory.mktemp("written") / "tiny.gguf", source)


@pytest.fixture
def file(tmp_path, written):
    return shutil.copy(written, tmp_path / "tiny.gguf")


def resolve(path, warehouse, *, recorded=None):
    return resolve_model(
        ModelSpec(path=str(path)), name="mine", associations=None, warehouse=warehouse, recorded=recorded
    )


def left(folder):
    """All but the locks by which two processes unpack one after the other."""
    return [path for path in folder.rglob("*") if path.suffix != ".lock"]


def told(path, warehouse):
    """What is told of a file that can't be used; nothing is left of it in the warehouse."""
    with pytest.raises(ModelError) as error:
        resolve(path, warehouse)
    message = str(error.value)
    assert "\n" not in message
    assert f"Model mine ({path})" in message
    assert not [path for path in left(warehouse) if path.name not in {"models", "somebody-elses"}]
    return message


def test_it_is_the_model_and_the_tokenizer_that_it_was_made_of(file, source, tmp_path):
    found = resolve(file, tmp_path)
    assert (found.source, found.origin, found.files) == ("gguf", str(file), None)
    assert found.parameters == tiny_models.resolved("llama").parameters
    folder = found.folder(warehouse=tmp_path)
    assert folder.parent == tmp_path / "models"
    made = AutoModelForCausalLM.from_pretrained(folder).state_dict()
    original = AutoModelForCausalLM.from_pretrained(source, dtype=torch.bfloat16).state_dict()
    assert made.keys() == original.keys()
    assert all(torch.equal(made[name], tensor) for name, tensor in original.items())
    loaded = load_base(found, spec=ModelSpec(path=str(file)), warehouse=tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(source)
    texts = [*tiny_models.statements(30), "Answer:\ntrue", " x  y , z .", "TP53"]
    assert loaded.tokenizer(texts)["input_ids"] == tokenizer(texts)["input_ids"]
    assert [loaded.tokenizer.decode(each) for each in tokenizer(texts)["input_ids"]] == [
        tokenizer.decode(each) for each in tokenizer(texts)["input_ids"]
    ]
    for role in ("bos_token_id", "eos_token_id", "pad_token_id"):
        assert getattr(loaded.tokenizer, role) == getattr(tokenizer, role)


@pytest.mark.parametrize(
    ("split", "expected"),
    [("gpt-2", ["TP", "12345"]), ("smollm", ["TP", *"12345"]), ("llama-bpe", ["TP", "123", "45"])],
)
def test_its_tokenizer_splits_numbers_as_the_file_says(tmp_path, source, split, expected):
    path = write_gguf(tmp_path / "tiny.gguf", source, split=split)
    tokenizer = AutoTokenizer.from_pretrained(resolve(path, tmp_path).folder(warehouse=tmp_path))
    parts = tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str("TP12345")
    assert [part for part, _ in parts] == expected


def test_what_lies_beside_the_file_is_not_read(file, tmp_path):
    before = resolve(file, tmp_path / "alone")
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "a/b"}')
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "bos_token": "x"}')
    assert resolve(file, tmp_path / "beside") == before


def test_it_is_unpacked_once_and_stays_when_the_file_is_gone(file, tmp_path, monkeypatch):
    found = resolve(file, tmp_path)
    monkeypatch.setattr(unpacking, "_unpack", None)  # to unpack it again would fail
    assert resolve(file, tmp_path) == found
    again = file.rename(tmp_path / "renamed.gguf")
    assert resolve(again, tmp_path).weights_sha256 == found.weights_sha256
    assert resolve(file, tmp_path, recorded=found) == found
    with pytest.raises(ModelError, match="nothing at that path"):
        resolve(file, tmp_path)


def test_what_a_killed_process_left_of_it_makes_room_first(file, tmp_path):
    sha256 = file_sha256(file)
    torn, others = (tmp_path / "models" / f"{start}0123.partial" for start in (sha256, ""))
    torn.mkdir(parents=True)
    others.mkdir()
    resolve(file, tmp_path)
    assert not torn.exists()
    assert others.exists()  # of another model, that somebody may be unpacking


def test_another_file_in_its_place_is_told_and_taken_when_it_is_asked_for(file, tmp_path, source):
    found = resolve(file, tmp_path)
    write_gguf(file, tiny_models.resolved("llama", pretraining_steps=tiny_models.LEARNED).folder(
        warehouse=tiny_models.warehouse()))  # fmt: skip
    with pytest.raises(ModelError, match=r"other files than when .*bioalign models --move mine"):
        resolve(file, tmp_path, recorded=found)
    assert [path.name for path in left(tmp_path / "models") if path.is_dir()] == [
        found.path.removeprefix("models/")
    ]
    assert resolve(file, tmp_path).weights_sha256 != found.weights_sha256
    assert found.folder(warehouse=tmp_path).is_dir()  # what was made with it can still be asked


@pytest.mark.parametrize(
    ("kept", "expected"),
    [(0, "no GGUF file"), (20, "cut short"), (30_000, "cut short"), (0.5, "cut short"), (0.999, "cut short")],
)
def test_a_file_that_was_cut_short_is_told(file, tmp_path, kept, expected):
    content = file.read_bytes()
    file.write_bytes(content[: kept if isinstance(kept, int) else int(len(content) * kept)])
    assert expected in told(file, tmp_path / "w")


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"architecture": "clip"}, "of the architecture clip, which transformers can't read"),
        ({"general__type": "adapter"}, "a GGUF file of the type adapter"),
        ({"split__count": 3}, r"one of 3 parts of a GGUF file"),
        ({"split": "made-up"}, "a tokenizer that splits texts in a way not known here (made-up)"),
    ],
)
def test_what_can_not_be_read_is_told(tmp_path, source, more, expected):
    path = write_gguf(tmp_path / "tiny.gguf", source, **more)
    assert expected in told(path, tmp_path / "w")


def test_a_lacking_package_is_told_with_the_way_to_get_it(file, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert "pip install '.[gguf]'" in told(file, tmp_path / "w")


def test_too_small_a_disk_is_told_before_anything_is_unpacked(file, tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "free_disk", lambda _: 10**6)
    assert "1.0 MB free on the disk of" in told(file, tmp_path / "w")


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 2 MB, less than the weights have."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_disk_that_fills_while_it_is_unpacked_keeps_nothing(file, small_disk, monkeypatch):
    monkeypatch.setattr(unpacking, "free_disk", lambda _: 10**9)  # somebody else was quicker
    assert "a full disk" in told(file, small_disk)


@pytest.mark.parametrize(
    ("number", "expected"), [(errno.ENOSPC, "a full disk"), (errno.EACCES, "can't be read or written")]
)
def test_what_the_disk_refuses_is_told_as_that(file, tmp_path, monkeypatch, number, expected):
    def refuse(*_, **__):
        raise OSError(number, "no")

    monkeypatch.setattr(unpacking, "save_torch_state_dict", refuse)
    assert expected in told(file, tmp_path / "w")
