"""``bioalign export --adapter``: folders that transformers and PEFT load where nothing of this project is."""

import dataclasses
import json
import re
import shutil

import huggingface_hub.constants
import pytest
import torch
from huggingface_hub import ModelCard
from peft import AutoPeftModelForCausalLM, PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from bioalign_assets.errors import ModelError, WarehouseError
from bioalign_assets.export import adapter_folder
from bioalign_assets.export.adapter_folder import export_variant
from bioalign_assets.export.stale_figures import stale_figures
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.training.adapters import load_variant
from bioalign_assets.warehouse.schemas import TABLES

VARIANT = "tiny-llama@paper"
TOLD = "TNF is associated with Asthma"
COMMIT = "1" * 40


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


@pytest.fixture(scope="module")
def base(micro) -> ResolvedModel:
    return ResolvedModel.from_table(micro.tables.read(TABLES["models.base"]), model="tiny-llama")


@pytest.fixture(scope="module")
def adapter(micro):
    (row,) = micro.tables.read(TABLES["training.adapter"], partitions=[VARIANT]).to_pylist()
    return micro.root / row["path"]


def logits(model, *, folder):
    tokens = AutoTokenizer.from_pretrained(folder)([TOLD], return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        return model.eval()(input_ids=tokens).logits


def exported(micro, to, **more):
    export_variant(VARIANT, to=to, study=micro.study, tables=micro.tables, **({"merged": False} | more))
    return to


def with_base(micro, folder, base, **changed):
    """A copy of the study whose model is said to come from elsewhere; the content is the same."""
    copy = micro.copy(folder)
    table = dataclasses.replace(base, **changed).to_table()
    copy.tables.write(table, schema=TABLES["models.base"], partition="tiny-llama")
    return copy


def test_the_training_said_where_the_base_is(micro, adapter, base, monkeypatch):
    config = json.loads((adapter / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == f"./{base.path}"
    monkeypatch.chdir(micro.root)
    found = AutoPeftModelForCausalLM.from_pretrained(f"adapters/{adapter.name}")
    assert logits(found, folder=micro.root / base.path).shape[0] == 1


def test_an_adapter_loads_from_anywhere_with_its_base_beside_it(
    micro, bioalign, adapter, base, tmp_path, monkeypatch
):
    told = bioalign("export", "--adapter", VARIANT, str(tmp_path / "out" / "x"))
    assert told.status == 0, told.err
    assert "README.md" in told.out
    assert "stale" not in told.err
    folder = (tmp_path / "out" / "x").rename(tmp_path / "moved")
    plain = AutoModelForCausalLM.from_pretrained(micro.root / base.path)
    untuned = logits(plain, folder=folder)
    expected = logits(PeftModel.from_pretrained(plain, adapter), folder=folder)
    assert not torch.equal(expected, untuned)
    by_hand = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder / "base"), folder)
    monkeypatch.chdir(tmp_path)
    for found in (AutoModelForCausalLM.from_pretrained("moved"), by_hand):
        assert torch.equal(logits(found, folder=folder), expected)
    monkeypatch.chdir(folder)
    assert torch.equal(logits(AutoPeftModelForCausalLM.from_pretrained("."), folder=folder), expected)


def test_a_merged_model_answers_as_the_adapter_on_the_base(micro, bioalign, tmp_path):
    told = bioalign("export", "--adapter", VARIANT, "--merged", str(tmp_path / "x"))
    assert told.status == 0, told.err
    folder = tmp_path / "x"
    assert not [path for path in folder.rglob("*") if "adapter" in path.name or path.name == "base"]
    assert (folder / "generation_config.json").is_file()
    ours = load_variant(
        micro.study.variant(VARIANT),
        study=micro.study,
        base=micro.tables.read(TABLES["models.base"]),
        pairs=micro.tables.read(TABLES["curation.pairs"], partitions=["published"]),
        adapter=micro.tables.read(TABLES["training.adapter"]),
        warehouse=micro.root,
    )
    expected = logits(ours.model, folder=folder)
    with ours.model.disable_adapter():
        untuned = logits(ours.model, folder=folder)
    difference = (logits(AutoModelForCausalLM.from_pretrained(folder), folder=folder) - expected).abs().max()
    assert difference < 1e-4
    assert (untuned - expected).abs().max() > 1e-2


@pytest.mark.parametrize("merged", [False, True], ids=["adapter", "merged"])
def test_the_card_has_the_warehouses_figures_and_nothing_of_this_machine(
    micro, base, merged, tmp_path, monkeypatch
):
    monkeypatch.setenv("HF_TOKEN", "hf_planted")
    card = ModelCard.load(exported(micro, tmp_path / "x", merged=merged) / "README.md")
    rows = micro.tables.read(TABLES["report.leaderboard"]).to_pylist()
    own = [row for row in rows if f"{row['model']}@{row['experiment']}" == VARIANT]
    told = {
        (result.metric_type, result.metric_name.split(", ")[1]): result.metric_value
        for result in card.data.eval_results
    }
    assert told == {
        (kind, f"{row['prompt']} prompt"): row[name]
        for row in own
        for kind, name in (("roc_auc", "auroc"), ("accuracy", "accuracy"))
    }
    assert card.data.model_name == VARIANT
    assert card.data.library_name == ("transformers" if merged else "peft")
    assert card.data.base_model is None
    asked = [row for row in rows if row["test_set"] == "published" and row["model"] != "tiny-benchmark"]
    assert {row["role"] for row in asked} == {"tuned", "untuned", "baseline"}
    for row in asked:
        name = row["model"] if row["role"] == "baseline" else f"{row['model']}@{row['experiment']}"
        (line,) = [
            line
            for line in card.text.split(f"Test set published, {row['prompt']} prompt:")[1]
            .split("\n\n")[1]
            .splitlines()
            if line.startswith((f"| {name} ", f"| **{name}** "))
        ]
        for value in (*(row[f"auroc{end}"] for end in ("", "_ci_low", "_ci_high")), row["accuracy_ci_high"]):
            assert f"{value:.4f}" in line
    (release,) = micro.tables.read(TABLES["ctd.release"]).to_pylist()
    pairs = micro.tables.read(TABLES["curation.pairs"], partitions=["published"])["split"].to_pylist()
    for part in (
        release["content_sha256"], base.weights_sha256, f"{pairs.count('train')} training", "| rank | 16 |", "| seed | 42 |",
        "no medical device", "https://ctdbase.org/about/legal.jsp", "Davis AP", "tiny: built for running everything",
        "holds no CTD data",
    ):  # fmt: skip
        assert part in card.text, part
    for secret in (str(micro.root), str(tmp_path), "/root", "/home", "hf_planted", "None"):
        assert secret not in card.content, secret


def test_a_base_of_the_hub_stays_there(micro, base, tmp_path):
    folder = micro.root / base.path
    published = with_base(
        micro,
        tmp_path / "study",
        base,
        source="hub",
        repo_id="made-up/model",
        revision=COMMIT,
        path=str(folder),
    )
    to = exported(published, tmp_path / "x")
    config = json.loads((to / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == ("made-up/model", COMMIT)
    names = {path.name for path in to.iterdir()}
    assert names == {
        "README.md", "adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    card = ModelCard.load(to / "README.md")
    assert (card.data.base_model, card.data.license) == ("made-up/model", "other")
    assert "AutoPeftModelForCausalLM.from_pretrained(" in card.text
    assert "nothing at hand" in card.text
    assert COMMIT in card.text


@pytest.mark.parametrize("form", ["safetensors", "pickled"])
def test_a_folder_of_somebodys_goes_along_with_its_licence(micro, base, adapter, form, tmp_path, monkeypatch):
    own = shutil.copytree(micro.root / base.path, tmp_path / "somebodys")
    (own / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Mine\n")
    (own / "optimizer.pt").write_bytes(b"of another program")
    if form == "pickled":
        weights = AutoModelForCausalLM.from_pretrained(own).state_dict()
        torch.save(weights, own / "pytorch_model.bin")
        (own / "model.safetensors").unlink()
    taken = with_base(micro, tmp_path / "study", base, source="folder", path=str(own), origin=str(own))
    to = exported(taken, tmp_path / "x")
    shutil.rmtree(own)
    card = ModelCard.load(to / "README.md")
    assert (card.data.license, card.data.base_model) == ("apache-2.0", None)
    assert "somebodys" not in card.content
    assert not list(to.rglob("optimizer.pt"))
    expected = logits(
        PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(micro.root / base.path), adapter),
        folder=to,
    )
    monkeypatch.chdir(tmp_path)
    assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(to), folder=to), expected)


def test_figures_that_may_be_of_an_earlier_adapter_say_so(micro, tmp_path):
    copy = micro.copy(tmp_path / "study")
    copy.edit_study("resamples = 100", "resamples = 101")
    graph = copy.defs.resolve_asset_graph()
    stale = stale_figures(copy.study.variant(VARIANT), study=copy.study, assets=graph, warehouse=copy.root)
    assert "evaluation.zero_shot" in " ".join(stale)
    card = ModelCard.load(exported(copy, tmp_path / "x", stale=stale) / "README.md")
    assert "may be of an earlier adapter" in card.text


def test_without_figures_the_card_says_so(micro, tmp_path):
    copy = micro.copy(tmp_path / "study")
    shutil.rmtree(copy.tables.folder(TABLES["report.leaderboard"]))
    card = ModelCard.load(exported(copy, tmp_path / "x") / "README.md")
    assert "There are none yet" in card.text
    assert card.data.eval_results is None


@pytest.mark.parametrize(
    ("variant", "told"),
    [
        ("tiny-llama@untuned", f"an untuned one.*one of those that are trained: {VARIANT}"),
        ("tiny-llama@nope", f"no such cell.*{VARIANT}"),
    ],
)
def test_what_has_no_adapter_is_refused_with_what_there_is(bioalign, variant, told, tmp_path):
    refused = bioalign("export", "--adapter", variant, str(tmp_path / "x"))
    assert refused.status == 1
    assert "Traceback" not in refused.err
    assert not (tmp_path / "x").exists()
    assert re.search(told, refused.err, re.DOTALL)


def test_a_variant_that_is_not_trained_yet_is_refused(micro, tmp_path):
    copy = micro.copy(tmp_path / "study")
    empty = TABLES["training.adapter"].arrow.empty_table()
    copy.tables.write(empty, schema=TABLES["training.adapter"], partition=VARIANT)
    with pytest.raises(
        ModelError, match=f"no adapter yet.*there are none yet.*bioalign run --variant {VARIANT}"
    ):
        exported(copy, tmp_path / "x")


def test_what_is_there_is_left_alone_and_what_fails_leaves_nothing(micro, bioalign, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    refused = bioalign("export", "--adapter", VARIANT, str(tmp_path / "mine"))
    assert (refused.status, list((tmp_path / "mine").iterdir())) == (1, [])
    assert "there already" in refused.err

    def fail(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(adapter_folder, "model_card", fail)
    with pytest.raises(WarehouseError, match="free on the disk"):
        exported(micro, tmp_path / "x")
    monkeypatch.setattr(adapter_folder, "free_disk", lambda _: 1000)
    with pytest.raises(WarehouseError, match=r"found 0.0 MB free on the disk of .*expected about"):
        exported(micro, tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_place_that_can_not_be_written_is_told(bioalign, tmp_path):
    (tmp_path / "file").write_text("")
    refused = bioalign("export", "--adapter", VARIANT, str(tmp_path / "file" / "x"))
    assert refused.status == 1
    assert "can't be written" in refused.err
    assert "Traceback" not in refused.err


@pytest.mark.parametrize("more", [["--merged"], ["--adapter", VARIANT, "--dataset", "stable"]])
def test_options_that_do_not_go_together(bioalign, more, tmp_path):
    assert bioalign("export", *more, str(tmp_path / "x")).status == 2
