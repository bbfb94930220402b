"""Published models, from a local cache of the hub: no test here has a network."""

import dataclasses
import json
import pickle
import shutil

import httpx
import huggingface_hub.constants
import pytest
import torch
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from bioalign_assets.errors import ModelError
from bioalign_assets.inference.embeddings import embed
from bioalign_assets.models import fetching
from bioalign_assets.models.base import resolve_model
from bioalign_assets.models.hub import resolve_hub_model
from bioalign_assets.models.loading import load_base
from bioalign_assets.study.models import ModelSpec
from bioalign_assets_tests import tiny_models
from bioalign_assets_tests.models.hub_cache import COMMIT, OLDER, REPO, put

both_ways = pytest.mark.parametrize("no_network", ["offline mode", "no network"], indirect=True)


@pytest.fixture(autouse=True)
def no_network(request, monkeypatch):
    """Without the hub in one of two ways: told so (HF_HUB_OFFLINE), or found out by trying."""
    way = getattr(request, "param", "offline mode")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", way == "offline mode")
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")  # nothing answers there
    monkeypatch.setattr(
        huggingface_hub.constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        "http://127.0.0.1:9/{repo_id}/{revision}/{filename}",
    )


@pytest.fixture
def tiny(architecture):
    return tiny_models.resolved(architecture).folder(warehouse=tiny_models.warehouse())


@pytest.fixture
def llama(tmp_path):
    folder = tmp_path / "llama"
    shutil.copytree(tiny_models.resolved("llama").folder(warehouse=tiny_models.warehouse()), folder)
    return folder


def resolve(cache, **more):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
        return resolve_hub_model(ModelSpec(**{"repo_id": REPO} | more), name="published")


@both_ways
def test_resolves_by_commit_and_by_branch(tiny, architecture, tmp_path):
    snapshot = put(tmp_path, tiny)
    by_commit, by_branch = resolve(tmp_path, revision=COMMIT), resolve(tmp_path, revision="main")
    assert by_commit == dataclasses.replace(by_branch, named_revision=COMMIT)
    assert (by_commit.revision, by_branch.named_revision) == (COMMIT, "main")
    assert by_commit.path == str(snapshot)
    of_tiny = tiny_models.resolved(architecture)
    for field in (
        "architecture",
        "parameters",
        "hidden_size",
        "layers",
        "vocabulary",
        "bytes",
        "weights_sha256",
    ):
        assert getattr(by_commit, field) == getattr(of_tiny, field), field
    assert (by_commit.source, by_commit.repo_id, by_commit.quantisation) == ("hub", REPO, "nf4")
    assert by_commit.to_table().num_rows == 1


@both_ways
def test_a_branch_is_the_commit_that_it_stood_at(llama, tmp_path):
    put(tmp_path, llama, commit=OLDER, branch="v1")
    put(tmp_path, llama, commit=COMMIT)
    assert resolve(tmp_path, revision="v1").revision == OLDER
    assert resolve(tmp_path).revision == COMMIT


def test_loads_like_the_model_that_it_is_a_copy_of(llama, tmp_path):
    put(tmp_path, llama)
    value = resolve(tmp_path)
    loaded = load_base(value, spec=ModelSpec(repo_id=REPO, dtype="float32"), warehouse=tmp_path / "elsewhere")
    texts = tiny_models.statements(5)
    assert (
        embed(texts, loaded=loaded, batch_size=5)
        == embed(texts, loaded=tiny_models.load("llama"), batch_size=5)
    ).all()


def test_the_default_cache_is_the_hubs(llama, tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    put(tmp_path, llama)
    found = resolve_model(
        ModelSpec(repo_id=REPO), name="published", associations=tiny_models.associations(), warehouse=tmp_path
    )
    assert found.revision == COMMIT


def test_other_files_in_the_cache_do_not_change_the_hash(llama, tmp_path):
    before = resolve(put(tmp_path / "plain", llama).parents[2])
    shutil.copy(llama / "model.safetensors", llama / "consolidated.safetensors")
    (llama / "README.md").write_text("a model")
    (llama / "pytorch_model.bin").write_bytes(b"x")
    after = resolve(put(tmp_path / "more", llama).parents[2])
    assert after.weights_sha256 == before.weights_sha256
    assert (after.bytes, after.parameters) == (before.bytes, before.parameters)


@both_ways
@pytest.mark.parametrize("revision", ["main", COMMIT, "no-such-branch"])
@pytest.mark.parametrize("has_older", [False, True])
def test_what_is_not_in_the_cache_is_told_at_once(llama, tmp_path, revision, has_older):
    if has_older:
        put(tmp_path, llama, commit=OLDER, branch=None)
    with pytest.raises(
        ModelError, match="neither its files in the local cache nor a hub that answers"
    ) as told:
        resolve(tmp_path, revision=revision)
    message = str(told.value)
    assert "\n" not in message
    assert f"{REPO} at {revision}" in message
    assert "Run it once with a network" in message


@both_ways
def test_an_identifier_that_the_hub_forbids_is_told(tmp_path):
    with pytest.raises(ModelError, match=r"Correct models.published.repo_id"):
        resolve(tmp_path, repo_id="a--b/c..d")


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        (GatedRepoError, 403, "accept the licence, and set HF_TOKEN"),
        (RepositoryNotFoundError, 404, "Correct models.published.repo_id"),
        (RevisionNotFoundError, 404, "Correct models.published.revision"),
        (httpx.ReadTimeout, None, "Run it once with a network"),
        (httpx.ProxyError, None, "Run it once with a network"),
        (OSError, None, "No space left.*free disk space"),
    ],
)
def test_what_the_hub_says_becomes_what_to_do(tmp_path, monkeypatch, kind, status, expected):
    answer = httpx.Response(status or 200, request=httpx.Request("GET", "http://127.0.0.1:9"))
    error = kind("No space left\non device") if status is None else kind("said no", response=answer)

    def refuse(**wanted):
        if wanted.get("local_files_only"):
            raise LocalEntryNotFoundError("not here")
        raise error

    monkeypatch.setattr(fetching, "snapshot_download", refuse)
    with pytest.raises(ModelError, match=expected) as told:
        resolve(tmp_path)
    assert "\n" not in str(told.value)
    assert told.value.__cause__ is error


def pickled(folder):
    """Turn a folder's weights into the form before safetensors."""
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def test_weights_from_before_safetensors(llama, tmp_path):
    pickled(llama)
    put(tmp_path, llama)
    value = resolve(tmp_path)
    assert value.parameters == tiny_models.resolved("llama").parameters
    assert value.bytes == (llama / "pytorch_model.bin").stat().st_size
    loaded = load_base(value, spec=ModelSpec(repo_id=REPO, dtype="float32"), warehouse=tmp_path)
    texts = tiny_models.statements(3)
    assert (
        embed(texts, loaded=loaded, batch_size=3)
        == embed(texts, loaded=tiny_models.load("llama"), batch_size=3)
    ).all()
    (llama / "pytorch_model.bin").write_bytes(b"other")
    changed = resolve(put(tmp_path / "changed", llama).parents[2])
    assert changed.weights_sha256 != value.weights_sha256  # they count, where they are what is loaded


class _Code:
    """Opens a file for writing where it is unpickled as Python does by default."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("save", [torch.save, lambda what, path: path.write_bytes(pickle.dumps(what))])
def test_code_in_pickled_weights_is_not_run(llama, tmp_path, save):
    (llama / "model.safetensors").unlink()
    save({"model.norm.weight": _Code(tmp_path / "ran")}, llama / "pytorch_model.bin")
    put(tmp_path, llama)
    value = resolve(tmp_path)
    with pytest.raises(ModelError, match=r"files that don't load .*[Ww]eights.only"):
        load_base(value, spec=ModelSpec(repo_id=REPO, dtype="float32"), warehouse=tmp_path)
    assert not (tmp_path / "ran").exists()


def test_no_weights_at_all_are_told(llama, tmp_path):
    (llama / "model.safetensors").unlink()
    put(tmp_path, llama)
    with pytest.raises(ModelError, match=r"neither model.safetensors nor pytorch_model.bin"):
        resolve(tmp_path)


def shard(folder):
    """Cut a folder's weights into two files, as large models are published."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, part in parts.items():
        save_file({name: tensors[name] for name in part}, folder / file, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, part in parts.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def test_weights_in_several_files(llama, tmp_path):
    shard(llama)
    put(tmp_path, llama)
    value = resolve(tmp_path)
    assert value.parameters == tiny_models.resolved("llama").parameters
    assert value.bytes == sum(path.stat().st_size for path in llama.glob("*.safetensors"))
    model = load_base(value, spec=ModelSpec(repo_id=REPO, dtype="float32"), warehouse=tmp_path).model
    assert model.num_parameters() == value.parameters


@both_ways
def test_a_download_that_was_cut_short_is_told(llama, tmp_path):
    shard(llama)
    (llama / "model-00002-of-00002.safetensors").unlink()
    put(tmp_path, llama)
    with pytest.raises(ModelError, match=r"1 of 2 weight files missing.*model-00002.*finish the download"):
        resolve(tmp_path)


@pytest.mark.parametrize(
    "config",
    [
        '{"model_type": "no-such-model"}',
        '{"model_type": "vit"}',
        "{",
        '{"model_type": "x", "auto_map": {"AutoConfig": "c.C"}}',
    ],
)
def test_what_is_no_causal_language_model_is_told(llama, tmp_path, config):
    (llama / "config.json").write_text(config)
    put(tmp_path, llama)
    with pytest.raises(ModelError, match="transformers does not know") as told:
        resolve(tmp_path)
    assert "\n" not in str(told.value)


@pytest.fixture
def quantised(architecture, tmp_path):
    """The tiny model as unsloth publishes models: weights packed into 4 bits."""
    loaded = tiny_models.load(architecture)
    folder = tmp_path / "quantised"
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"]["bnb_4bit_compute_dtype"] = "bfloat16"  # as published
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_model_published_in_4_bits(quantised, architecture, tmp_path):
    put(tmp_path, quantised)
    value, spec = resolve(tmp_path), ModelSpec(repo_id=REPO, dtype="float32")
    of_tiny = tiny_models.resolved(architecture)
    assert value.quantisation == "nf4"
    assert value.parameters == of_tiny.parameters  # not those of the packed bytes
    assert value.bytes < of_tiny.bytes
    loaded = load_base(value, spec=spec, warehouse=tmp_path)
    layer = loaded.model.model.layers[0].mlp.down_proj
    assert layer.weight.quant_type == "nf4"
    # the type of the study, not the publisher's: unpacked to another one, weights would be rounded twice
    assert layer.compute_dtype == layer.weight.quant_state.dtype == torch.float32
    texts = tiny_models.statements(4)
    assert embed(texts, loaded=loaded, batch_size=4) == pytest.approx(
        embed(texts, loaded=tiny_models.load(architecture), batch_size=4), abs=1e-6
    )


def test_a_model_published_in_4_bits_is_not_run_in_full(quantised, tmp_path):
    put(tmp_path, quantised)
    with pytest.raises(
        ModelError, match=r"quantised already \(nf4\).*Set models.published.quantisation to nf4"
    ):
        resolve(tmp_path, quantisation="none")


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"quant_method": "gptq", "bits": 4}, "gptq"),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "bitsandbytes"),
        (
            {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "fp4"},
            "bitsandbytes",
        ),
    ],
)
def test_another_quantisation_is_told(llama, tmp_path, settings, kind):
    config = json.loads((llama / "config.json").read_text())
    (llama / "config.json").write_text(json.dumps(config | {"quantization_config": settings}))
    put(tmp_path, llama)
    with pytest.raises(ModelError, match=rf"quantised already \({kind}\).*NF4"):
        resolve(tmp_path)


def test_counting_takes_no_memory_and_counts_shared_weights_once(llama, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(llama)
    embedding = model.get_input_embeddings().weight.numel()
    config = json.loads((llama / "config.json").read_text())
    (llama / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}))
    put(tmp_path, llama)
    assert resolve(tmp_path).parameters == model.num_parameters() - embedding
