"""QLoRA: a real 4-bit base, the paper's optimiser, an adapter that loads back, and no adapter where it fails."""

import json
import math

import numpy as np
import pytest
import torch
import trl
from bitsandbytes.nn import Linear4bit
from bitsandbytes.optim import AdamW as BnbAdamW
from peft import PeftModel
from safetensors.torch import load_file

from bioalign_assets.curation.prompts import PROMPTS
from bioalign_assets.errors import ModelError
from bioalign_assets.inference.answers import ask
from bioalign_assets.study.experiments import LINEAR_LAYERS
from bioalign_assets.training import qlora, trainer
from bioalign_assets.training.adapters import adapter_sha256, with_adapter
from bioalign_assets.training.log import log_table
from bioalign_assets.training.qlora import lora_targets, train_adapter
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests import tiny_models

TEXTS = tiny_models.statements(6)
FEW = {"rows": 8, "batch_size": 2, "targets": ["v_proj"]}
"""Where it does not matter what is trained."""


def train(folder, architecture="llama", *, rows=18, loaded=None, **more):
    return train_adapter(
        tiny_models.training_rows(rows),
        loaded=loaded or tiny_models.load(architecture),
        spec=tiny_models.experiment(**more),
        adapters=folder / "adapters",
        name="toy",
    )


def logits_of(model, tokenizer):
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        return model(**batch).logits[batch["attention_mask"].bool()]


# --- targets ---


def test_targets_are_named_as_the_architecture_names_them(architecture):
    model = tiny_models.load(architecture).model
    expected = (
        ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"] if architecture == "phi3" else list(LINEAR_LAYERS)
    )
    assert lora_targets(model, wanted=LINEAR_LAYERS) == expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [(("q_proj", "v_proj"), ["qkv_proj"]), (("up_proj", "down_proj"), ["gate_up_proj", "down_proj"])],
)
def test_fused_layers_are_named_once(wanted, expected):
    assert lora_targets(tiny_models.load("phi3").model, wanted=wanted) == expected


def test_an_unknown_target_is_told(architecture):
    with pytest.raises(ModelError, match=r"no layer wx_proj.*Name other targets"):
        lora_targets(tiny_models.load(architecture).model, wanted=("q_proj", "wx_proj"))


# --- a training ---


def test_row_and_directory(trained, architecture):
    training, _ = trained
    assert training.folder.name == training.sha256 == adapter_sha256(training.folder)
    assert {path.name for path in training.folder.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    weights = load_file(training.folder / "adapter_model.safetensors")
    assert sum(w.numel() for w in weights.values()) == training.trainable_parameters
    assert {w.dtype for w in weights.values()} == {torch.float32}
    assert all(w.isfinite().all() for w in weights.values())
    layers = 4 * (4 if architecture == "phi3" else 7)
    assert len(weights) == 2 * layers
    assert (training.steps, training.samples) == (
        6,
        22,
    )  # 18 rows: five steps of an epoch and one of the next
    assert training.seconds > 0
    assert training.peak_memory_bytes > 10_000_000


def test_the_directory_names_nothing_of_this_machine(trained):
    training, _ = trained
    config = json.loads((training.folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] is None
    assert (config["r"], config["lora_alpha"], config["bias"], config["lora_dropout"]) == (4, 8, "none", 0.0)
    assert str(tiny_models.warehouse()) not in (training.folder / "adapter_config.json").read_text()


def test_the_log_has_the_schema_and_the_schedule(trained):
    training, _ = trained
    log = training.log
    assert log.schema == TABLES["training.log"].arrow.remove(0)
    assert log["step"].to_pylist() == [1, 2, 3, 4, 5, 6]
    # linear: up over 2 steps of warm-up, then down to 0 after the last
    assert log["learning_rate"].to_pylist() == pytest.approx([2e-3 * x for x in (0, 0.5, 1, 0.75, 0.5, 0.25)])
    for name in ("loss", "grad_norm", "tokens_per_s"):
        values = np.array(log[name].to_pylist())
        assert np.isfinite(values).all()
        assert (values > 0).all()


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [0, 0.5, 1, 1, 1, 1]),
        ("cosine", [0, 0.5, *(0.5 + 0.5 * math.cos(math.pi * i / 4) for i in range(4))]),
    ],
)
def test_every_schedule_warms_up(tmp_path, schedule, expected):
    log = train(tmp_path, schedule=schedule, **FEW).log
    assert log["learning_rate"].to_pylist() == pytest.approx([2e-3 * x for x in expected])


def test_a_long_training_has_some_hundred_points(tmp_path, monkeypatch):
    assert trainer._LOGGED_POINTS == 100
    monkeypatch.setattr(trainer, "_LOGGED_POINTS", 3)
    training = train(tmp_path, steps=10, **FEW)
    assert training.log["step"].to_pylist() == [3, 6, 9]
    assert training.steps == 10


@pytest.mark.parametrize("norm", [float("inf"), float("nan")])
def test_a_step_that_the_loss_scaler_skips_has_no_norm(norm):
    entry = {"step": 1, "loss": 0.5, "learning_rate": 0.1, "num_input_tokens_seen": 10, "train_runtime": 2.0}
    log = log_table([entry | {"grad_norm": norm}, {"train_loss": 0.5}], name="x")
    assert log.to_pylist() == [
        {"step": 1, "loss": 0.5, "learning_rate": 0.1, "grad_norm": None, "tokens_per_s": 5.0}
    ]


def test_a_training_without_a_logged_step_is_told():
    with pytest.raises(ModelError, match="no logged step"):
        log_table([{"train_loss": 0.5}], name="x")


def test_base_is_4_bit_and_only_the_adapter_changed(trained, architecture):
    _, loaded = trained
    fresh = tiny_models.load(architecture).model
    before = {name: layer for name, layer in fresh.named_modules() if isinstance(layer, Linear4bit)}
    after = {
        name.replace(".base_layer", ""): layer
        for name, layer in loaded.model.named_modules()
        if isinstance(layer, Linear4bit) and name.endswith("base_layer")
    }
    assert before.keys() == after.keys()
    for name, layer in before.items():
        assert torch.equal(layer.weight.data, after[name].weight.data)
        assert torch.equal(layer.weight.quant_state.absmax, after[name].weight.quant_state.absmax)
    plain = dict(fresh.named_parameters())
    for name, parameter in loaded.model.named_parameters():
        if "lora_" in name:
            assert parameter.requires_grad
        else:
            assert not parameter.requires_grad
            assert torch.equal(parameter, plain[name.replace(".base_layer", "")])
    changed = [p for name, p in loaded.model.named_parameters() if "lora_B" in name]
    assert all(p.abs().max() > 0 for p in changed)  # they begin at 0


def test_loads_back_with_plain_peft_as_it_was_trained(trained, architecture):
    training, loaded = trained
    fresh = tiny_models.load(architecture)
    untuned = logits_of(fresh.model, fresh.tokenizer)
    plain = PeftModel.from_pretrained(fresh.model, training.folder).eval()
    as_trained = logits_of(loaded.model, loaded.tokenizer)
    assert (logits_of(plain, fresh.tokenizer) - as_trained).abs().max() < 1e-5
    assert (untuned - as_trained).abs().max() > 1e-2
    ours = with_adapter(tiny_models.load(architecture), folder=training.folder)
    assert torch.equal(logits_of(ours.model, ours.tokenizer), logits_of(plain, fresh.tokenizer))


def test_the_same_settings_give_the_same_adapter_and_others_another(trained, architecture, tmp_path):
    training, _ = trained
    torch.manual_seed(123)  # what ran before does not matter
    again = train(tmp_path, architecture)
    assert again.sha256 == training.sha256
    assert again.log.drop(["tokens_per_s"]).equals(training.log.drop(["tokens_per_s"]))
    if architecture == "llama":
        assert train(tmp_path, architecture, seed=7).sha256 != training.sha256


def test_the_base_on_disk_is_untouched(trained, architecture):
    value = tiny_models.resolved(architecture)
    assert adapter_sha256(value.folder(warehouse=tiny_models.warehouse())) == value.weights_sha256


def test_the_optimiser_is_the_one_of_the_settings(tmp_path, monkeypatch):
    used = []
    original = trl.SFTTrainer.create_optimizer

    def create_optimizer(self, *args, **more):
        optimiser = original(self, *args, **more)
        used.append(optimiser)
        return optimiser

    monkeypatch.setattr(trl.SFTTrainer, "create_optimizer", create_optimizer)
    train(tmp_path, rank=64, steps=1, targets=["up_proj"])
    train(tmp_path, optimiser="adamw_torch", steps=1, weight_decay=0.5, **FEW)
    eight_bit, plain = (getattr(o, "optimizer", o) for o in used)
    assert isinstance(eight_bit, BnbAdamW)
    large = [state["state1"].dtype for p, state in eight_bit.state.items() if p.numel() >= 4096]
    assert large
    assert set(large) == {torch.uint8}
    assert type(plain) is torch.optim.AdamW
    assert {group["weight_decay"] for group in plain.param_groups if group["params"]} == {0.5}
    assert {p.dtype for o in (eight_bit, plain) for group in o.param_groups for p in group["params"]} == {
        torch.float32
    }


def test_updates_far_below_a_bfloat16_step_are_kept(tmp_path):
    """TRL holds the adapter of a 4-bit model in bfloat16, where such an update rounds to nothing."""
    small = train(tmp_path, learning_rate=1e-6, warmup_steps=0, steps=2, **FEW)
    weights = load_file(small.folder / "adapter_model.safetensors")
    a = torch.cat([w.flatten() for name, w in weights.items() if "lora_A" in name])
    b = torch.cat([w.flatten() for name, w in weights.items() if "lora_B" in name])
    assert not torch.equal(a, a.to(torch.bfloat16).float())
    assert 0 < b.abs().max() < 1e-5


@pytest.mark.parametrize(
    ("architecture_", "quantisation", "loss"),
    [("llama", "nf4", "full"), ("phi3", "none", "answer")],
)
def test_checkpointing_learns_the_same(tmp_path, architecture_, quantisation, loss):
    kept, recomputed = (
        train(
            tmp_path, loaded=tiny_models.load(architecture_, quantisation=quantisation), rows=8, steps=2, loss=loss,
            gradient_checkpointing=is_on,
        )
        for is_on in (False, True)
    )  # fmt: skip
    assert recomputed.log["loss"].to_pylist() == pytest.approx(kept.log["loss"].to_pylist(), rel=1e-4)
    assert recomputed.log["grad_norm"].to_pylist() == pytest.approx(
        kept.log["grad_norm"].to_pylist(), rel=1e-3
    )
    assert min(kept.log["grad_norm"].to_pylist()) > 0


def test_the_loss_is_the_mean_over_what_counts(tmp_path):
    """The first step's loss is the untuned model's: both are computed here from one forward pass a sample."""
    from bioalign_assets.training.samples import tokenise_samples

    rows = tiny_models.training_rows(4)
    for loss in ("answer", "full"):
        loaded = tiny_models.load("llama")
        samples = tokenise_samples(
            rows["text"].to_pylist(),
            labels=rows["label"].to_pylist(),
            prompts=[PROMPTS["training"]] * len(rows),
            tokenizer=loaded.tokenizer,
            loss=loss,
            max_tokens=128,
        )
        total, count = 0.0, 0
        for sample in samples:
            labels = torch.tensor(sample["labels"][1:])
            with torch.inference_mode():
                logits = loaded.model(input_ids=torch.tensor([sample["input_ids"]])).logits[0, :-1]
            total += float(
                torch.nn.functional.cross_entropy(logits, labels, ignore_index=-100, reduction="sum")
            )
            count += int((labels != -100).sum())
        logged = train(tmp_path, rows=4, loss=loss, steps=1).log["loss"][0].as_py()
        assert logged == pytest.approx(total / count, rel=1e-3)


def test_learns_what_can_be_learned(tmp_path):
    """The label follows from the disease: the loss falls, and the answers become right."""
    rows = tiny_models.training_rows(24)
    texts, labels = rows["text"].to_pylist(), np.array(rows["label"].to_pylist())
    training = train(
        tmp_path, loaded=tiny_models.load("llama", pretraining_steps=tiny_models.LEARNED),
        rows=24, steps=60, batch_size=8, learning_rate=5e-3, rank=8, alpha=16, warmup_steps=5,
    )  # fmt: skip
    losses = training.log["loss"].to_pylist()
    assert np.mean(losses[-5:]) < 0.75 * np.mean(losses[:5])
    loaded = tiny_models.load("llama", pretraining_steps=tiny_models.LEARNED)
    before = ask(texts, prompt=PROMPTS["training"], loaded=loaded, batch_size=8)
    tuned = with_adapter(loaded, folder=training.folder)
    after = ask(texts, prompt=PROMPTS["training"], loaded=tuned, batch_size=8)
    assert (before.predicted == labels).mean() < 0.7
    assert (after.predicted == labels).mean() > 0.9
    assert after.p_true[labels == 1].mean() - after.p_true[labels == 0].mean() > 0.5


# --- what fails leaves nothing ---


def left(folder):
    return [path.name for path in (folder / "adapters").glob("*")]


def test_a_loss_that_is_no_number_stops_the_training(tmp_path):
    with pytest.raises(ModelError, match=r"found the loss (nan|inf).*Lower the learning rate"):
        train(tmp_path, learning_rate=1e9, warmup_steps=0)
    assert left(tmp_path) == []


def test_a_last_update_that_breaks_the_weights_leaves_no_adapter(tmp_path, monkeypatch):
    """No loss comes after it that could tell."""

    def spoil(self, args, state, control, model=None, **_):
        if state.global_step == state.max_steps:
            with torch.no_grad():
                next(p for p in model.parameters() if p.requires_grad)[0] = torch.nan

    monkeypatch.setattr(trainer.ProgressBar, "on_step_end", spoil)
    with pytest.raises(ModelError, match="adapter weights that are not numbers"):
        train(tmp_path, steps=1, **FEW)
    assert left(tmp_path) == []


@pytest.mark.parametrize("where", ["while training", "while saving"])
def test_any_other_failure_leaves_no_adapter(tmp_path, monkeypatch, where):
    def fail(*_, **__):
        raise OSError("the disk is full")

    if where == "while training":
        monkeypatch.setattr(trainer.ProgressBar, "on_step_end", fail)
    else:
        monkeypatch.setattr(qlora, "adapter_sha256", fail)  # all files are written by then
    with pytest.raises(OSError, match="disk is full"):
        train(tmp_path, steps=1, **FEW)
    assert left(tmp_path) == []


def test_a_sample_that_is_too_long_is_told_before_anything_is_trained(tmp_path):
    with pytest.raises(ModelError, match="max_tokens"):
        train(tmp_path, max_tokens=16)
    assert left(tmp_path) == []


def test_a_model_that_bears_an_adapter_is_not_trained_again(trained, tmp_path):
    _, loaded = trained
    with pytest.raises(ValueError, match="load the base model anew"):
        train(tmp_path, loaded=loaded)
