"""Models on this machine, named by a path: used where they lie, held to what they were, and what is wrong is told."""

import dataclasses
import json
import os
import shutil

import pytest
from safetensors.torch import load_file, save_file

from bioalign_assets.errors import ModelError
from bioalign_assets.inference.embeddings import embed
from bioalign_assets.models.base import resolve_model
from bioalign_assets.models.loading import load_base
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.study.models import ModelSpec
from bioalign_assets_tests import tiny_models

WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "weights"
    shutil.copytree(tiny_models.resolved("llama").folder(warehouse=tiny_models.warehouse()), made)
    return made


def resolve(path, warehouse, *, recorded=None, **more):
    return resolve_model(
        ModelSpec(path=str(path), **more), name="mine", associations=tiny_models.associations(),
        warehouse=warehouse, recorded=recorded,
    )  # fmt: skip


def told(path, warehouse, **more):
    """What is told of a model that can't be used; no table and no file comes of it."""
    with pytest.raises(ModelError) as error:
        resolve(path, warehouse, **more)
    message = str(error.value)
    assert "\n" not in message
    assert "mine" in message
    assert str(path) in message
    assert not warehouse.exists() or not any(warehouse.rglob("*"))
    return message


def configured(folder, **more):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | more))


def test_a_folder_is_used_where_it_lies_and_loads_like_the_model_that_it_holds(folder, tmp_path):
    found = resolve(folder, tmp_path / "warehouse")
    of_tiny = tiny_models.resolved("llama")
    for field in (
        "architecture",
        "parameters",
        "hidden_size",
        "layers",
        "vocabulary",
        "bytes",
        "weights_sha256",
    ):
        assert getattr(found, field) == getattr(of_tiny, field), field
    assert (found.source, found.repo_id, found.revision) == ("folder", None, None)
    assert (found.origin, found.path) == (str(folder), str(folder))
    assert not (tmp_path / "warehouse").exists()
    assert ResolvedModel.from_table(found.to_table(), model="mine") == found
    loaded = load_base(
        found, spec=ModelSpec(path=str(folder), dtype="float32"), warehouse=tmp_path / "warehouse"
    )
    texts = tiny_models.statements(4)
    expected = embed(texts, loaded=tiny_models.load("llama"), batch_size=4)
    assert (embed(texts, loaded=loaded, batch_size=4) == expected).all()


def test_it_is_named_as_long_as_the_study_names_the_same_path(folder, tmp_path):
    found = resolve(folder, tmp_path)
    assert found.is_named_by(ModelSpec(path=str(folder)))
    assert not found.is_named_by(ModelSpec(path=str(folder) + "-2"))
    assert not found.is_named_by(ModelSpec(repo_id="a/b"))
    assert not tiny_models.resolved("llama").is_named_by(ModelSpec(path=str(folder)))


def other_weights(folder):
    """The same names and sizes with other numbers, as a training leaves them."""
    tensors = load_file(folder / WEIGHTS)
    save_file(
        {name: tensor * 2 for name, tensor in tensors.items()}, folder / WEIGHTS, metadata={"format": "pt"}
    )


def other_size(folder):
    (folder / "chat_template.jinja").write_text("{{ messages }}")


@pytest.mark.parametrize("change", [other_weights, other_size])
def test_a_folder_that_changed_is_told_and_is_taken_when_it_is_asked_for(folder, tmp_path, change):
    before = resolve(folder, tmp_path)
    change(folder)
    remedy = r"other files than when models.base recorded it.*bioalign models --move mine"
    with pytest.raises(ModelError, match=remedy):
        before.folder(warehouse=tmp_path)
    with pytest.raises(ModelError, match=remedy):
        resolve(folder, tmp_path, recorded=before)
    after = resolve(folder, tmp_path)
    assert after.weights_sha256 != before.weights_sha256
    assert after.folder(warehouse=tmp_path) == folder


def test_files_that_were_only_touched_or_moved_are_the_same(folder, tmp_path):
    before = resolve(folder, tmp_path)
    os.utime(folder / WEIGHTS, (1, 1))
    assert before.folder(warehouse=tmp_path) == folder
    (folder / "notes.txt").write_text("of another program")
    assert before.folder(warehouse=tmp_path) == folder
    there = folder.rename(tmp_path / "there")
    moved = resolve(there, tmp_path, recorded=before)
    assert moved.weights_sha256 == before.weights_sha256
    with pytest.raises(ModelError, match=r"no config.json in"):
        before.folder(warehouse=tmp_path)


def test_a_row_of_an_older_version_has_no_origin(folder, tmp_path):
    row = dataclasses.asdict(tiny_models.resolved("llama"))
    del row["origin"], row["files"]
    assert ResolvedModel(**row) == tiny_models.resolved("llama")


def test_nothing_at_the_path_and_another_file_are_told(folder, tmp_path):
    assert "Correct models.mine.path" in told(tmp_path / "nowhere", tmp_path / "w")
    assert "neither a folder nor a .gguf file" in told(folder / "config.json", tmp_path / "w")


def adapter(folder):
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "a/b"}')


def no_config(folder):
    (folder / "config.json").unlink()


def no_weights(folder):
    (folder / WEIGHTS).unlink()


def no_tokenizer(folder):
    (folder / "tokenizer.json").unlink()


def sentencepiece_alone(folder):
    (folder / "tokenizer.json").rename(folder / "tokenizer.model")


def broken_tokenizer(folder):
    (folder / "tokenizer.json").write_text("{")


def cut_short(folder):
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: len(content) // 2])


def cut_within_the_header(folder):
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:100])


def small_embedding(folder):
    configured(folder, vocab_size=100)


def another_kind(folder):
    configured(folder, model_type="vit")


def broken_index(folder):
    (folder / WEIGHTS).rename(folder / "model-00001-of-00001.safetensors")
    (folder / f"{WEIGHTS}.index.json").write_text("{")


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (adapter, "an adapter"),
        (no_config, "no config.json in"),
        (no_weights, "neither model.safetensors nor pytorch_model.bin"),
        (no_tokenizer, "no tokenizer in"),
        (broken_tokenizer, "a tokenizer that transformers can't read"),
        (sentencepiece_alone, "pip install 'sentencepiece<0.2.3' 'protobuf<7'"),
        (cut_short, "cut short"),
        (cut_within_the_header, "cut short"),
        (small_embedding, "tokens and an embedding with 100"),
        (another_kind, "transformers does not know"),
        (broken_index, "an index of weight files that can't be read"),
    ],
)
def test_what_is_wrong_with_a_folder_is_told(folder, tmp_path, broken, expected):
    broken(folder)
    assert expected in told(folder, tmp_path / "w")
