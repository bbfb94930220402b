"""Shared-prefix packing: the same loss and the same gradients as the padded batch, from fewer tokens."""

from collections import Counter
from types import SimpleNamespace

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from transformers import DataCollatorForSeq2Seq

from bioalign_assets.study.experiments import LINEAR_LAYERS
from bioalign_assets.training import trainer
from bioalign_assets.training.packing import SharedPrefixCollator, attention_window, can_pack, takes_places
from bioalign_assets.training.qlora import lora_targets, train_adapter
from bioalign_assets.training.samples import sample_prompts, tokenise_samples
from bioalign_assets.training.trainer import is_packed, passes_of
from bioalign_assets_tests import tiny_models


def samples_of(tokenizer, *, count=8, prompts="training", loss="answer"):
    rows = tiny_models.labelled(tiny_models.statements(count))
    return tokenise_samples(
        rows["text"].to_pylist(), labels=rows["label"].to_pylist(),
        prompts=sample_prompts(rows["pair_id"].to_pylist(), prompts=prompts, seed=1),
        tokenizer=tokenizer, loss=loss, max_tokens=512,
    )  # fmt: skip


@pytest.fixture(scope="module")
def with_lora(architecture):
    """A model in float32 with LoRA matrices that are not zero, so that all their gradients are there."""
    loaded = tiny_models.load(architecture, quantisation="none")
    torch.manual_seed(0)
    targets = lora_targets(loaded.model, wanted=LINEAR_LAYERS)
    model = get_peft_model(loaded.model, LoraConfig(r=4, lora_alpha=8, target_modules=targets))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.02)
    return model, loaded


def gradients(model, batch):
    """The mean loss over all counted tokens, and its gradient by LoRA matrix."""
    model.zero_grad()
    loss = model(**batch, use_cache=False).loss
    loss.backward()
    return loss.item(), {n: p.grad.clone() for n, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize(
    ("count", "prompts", "loss", "multiple"),
    [
        (1, "training", "answer", 1),
        (2, "training", "answer", 1),
        (8, "training", "answer", 1),
        (8, "training", "answer", 16),  # rows filled up, as on a card
        (8, "varied", "answer", 1),  # several prefixes in a row
        (8, "training", "full", 1),  # a token with several next tokens, all of which count
    ],
)
def test_loss_and_all_gradients_are_those_of_the_padded_batch(with_lora, count, prompts, loss, multiple):
    model, loaded = with_lora
    samples = samples_of(loaded.tokenizer, count=count, prompts=prompts, loss=loss)
    window = attention_window(loaded.model.config)
    packed = SharedPrefixCollator(window=window, multiple=multiple)(samples)
    padded = DataCollatorForSeq2Seq(loaded.tokenizer, padding=True, label_pad_token_id=-100)(
        [dict(sample) for sample in samples]
    )
    assert packed["input_ids"].shape[1] % multiple == 0
    assert packed["input_ids"].numel() < padded["input_ids"].numel() + multiple
    expected_loss, expected = gradients(model, padded)
    found_loss, found = gradients(model, packed)
    assert found_loss == pytest.approx(expected_loss, rel=1e-5)
    for name, gradient in expected.items():
        assert gradient.abs().max() > 0, name
        assert (found[name] - gradient).norm() <= 1e-5 * gradient.norm(), name


def test_the_head_runs_for_what_is_predicted_only(with_lora):
    model, loaded = with_lora
    packed = SharedPrefixCollator()(samples_of(loaded.tokenizer))
    with torch.no_grad():
        assert model(**packed, use_cache=False).logits.shape[:2] == (1, 16)  # answer and end of eight samples


def test_the_window_of_the_tiny_mistral_is_shorter_than_a_sample():
    loaded = tiny_models.load("mistral", quantisation="none")
    window = attention_window(loaded.model.config)
    assert window is not None
    assert all(len(sample["input_ids"]) > window for sample in samples_of(loaded.tokenizer))


def test_without_its_window_the_mistral_would_differ():
    """So that the test above would notice a mask that forgets the window."""
    loaded = tiny_models.load("mistral", quantisation="none")
    samples = samples_of(loaded.tokenizer)
    with torch.no_grad():
        right, wrong = (
            loaded.model(**SharedPrefixCollator(window=window)(samples), use_cache=False).loss.item()
            for window in (attention_window(loaded.model.config), None)
        )
    assert abs(right - wrong) > 1e-4 * right


def test_a_row_holds_the_prefix_once(architecture):
    tokenizer = tiny_models.load(architecture).tokenizer
    samples = samples_of(tokenizer)
    row = SharedPrefixCollator()(samples)
    text = tokenizer.decode(row["input_ids"][0])
    instruction = "Determine if the following gene-disease association is true or false."
    assert text.count(instruction) == 1
    tokens = sum(len(sample["input_ids"]) for sample in samples)
    assert row["input_ids"].shape[1] < 0.6 * tokens
    counted = Counter(label for sample in samples for label in sample["labels"] if label != -100)
    assert Counter(row["shift_labels"][0].tolist()) == counted


SAMPLES = st.lists(
    st.lists(st.tuples(st.integers(1, 3), st.booleans()), min_size=1, max_size=9), min_size=1, max_size=5
)


@settings(deadline=None, max_examples=60)
@given(drawn=SAMPLES, window=st.none() | st.integers(1, 8), multiple=st.sampled_from([1, 4]))
def test_every_token_meets_what_it_meets_in_a_row_of_its_own(drawn, window, multiple):
    """Every beginning of a sample stands in the row once; its last token sees it, and predicts what follows it."""
    samples = [
        {
            "input_ids": [token for token, _ in sample],
            "labels": [t if counts else -100 for t, counts in sample],
        }
        for sample in drawn
    ]
    row = SharedPrefixCollator(window=window, multiple=multiple)(samples)
    whole = SharedPrefixCollator(multiple=multiple)(samples)["attention_mask"][0, 0] == 0
    ids, positions, sees = row["input_ids"][0], row["position_ids"][0], row["attention_mask"][0, 0] == 0
    beginnings = {tuple(s["input_ids"][:end]) for s in samples for end in range(1, len(s["input_ids"]) + 1)}
    assert len(ids) == -(-len(beginnings) // multiple) * multiple
    found = {}
    for place in range(len(beginnings)):
        path = whole[place].nonzero().ravel()
        assert path[-1] == place
        assert positions[path].tolist() == list(range(len(path)))
        first = 0 if window is None else max(0, len(path) - window)
        assert sees[place].nonzero().ravel().tolist() == path[first:].tolist()
        found[place] = tuple(ids[path].tolist())
    assert set(found.values()) == beginnings
    for filled in range(len(beginnings), len(ids)):
        assert sees[filled].nonzero().ravel().tolist() == [filled]
        assert not sees[:filled, filled].any()
    predicted = zip(row["logits_to_keep"].tolist(), row["shift_labels"][0].tolist(), strict=True)
    assert Counter((found[place], label) for place, label in predicted) == Counter(
        (tuple(s["input_ids"][:end]), label)
        for s in samples
        for end, label in enumerate(s["labels"])
        if end and label != -100
    )


def test_the_mask_is_of_the_type_that_the_model_computes_in():
    mask = SharedPrefixCollator(dtype=torch.bfloat16)([{"input_ids": [1, 2], "labels": [-100, 2]}])
    assert mask["attention_mask"].dtype == torch.bfloat16
    assert mask["attention_mask"].tolist() == [[[[0, torch.finfo(torch.bfloat16).min], [0, 0]]]]


@pytest.mark.parametrize(
    ("config", "window", "packs"),
    [
        ({}, None, True),
        ({"sliding_window": None}, None, True),
        ({"sliding_window": 8}, 8, True),
        ({"sliding_window": 8, "use_sliding_window": False}, None, True),
        ({"sliding_window": 8, "layer_types": ["full_attention"] * 2}, None, True),
        ({"sliding_window": 8, "layer_types": ["sliding_attention"] * 2}, 8, True),
        ({"_attn_implementation": "flash_attention_2"}, None, False),
        ({"_attn_implementation": "eager"}, None, True),
        ({"output_router_logits": False}, None, False),  # a mixture of experts
    ],
)
def test_the_window_is_that_of_the_configuration(config, window, packs):
    made = SimpleNamespace(**{"_attn_implementation": "sdpa", **config})
    assert attention_window(made) == window
    assert can_pack(made) == packs


def test_a_model_says_whether_it_takes_places(architecture):
    assert takes_places(tiny_models.load(architecture).model)
    assert takes_places(
        get_peft_model(tiny_models.load(architecture).model, LoraConfig(target_modules=["o_proj"]))
    )
    assert not takes_places(SimpleNamespace(forward=lambda input_ids, labels: (input_ids, labels)))


def test_layers_of_several_kinds_are_not_packed():
    made = SimpleNamespace(
        _attn_implementation="sdpa", sliding_window=8, layer_types=["sliding_attention", "full_attention"]
    )
    assert not can_pack(made)
    with pytest.raises(ValueError, match="full_attention, sliding_attention"):
        attention_window(made)


@pytest.mark.parametrize("other", ["conv", "linear_attention", "hybrid", "mamba"])
@pytest.mark.parametrize("window", [None, 8])
def test_layers_that_are_no_attention_are_not_packed(other, window):
    made = SimpleNamespace(
        _attn_implementation="sdpa", sliding_window=window, layer_types=["full_attention", other]
    )
    assert not can_pack(made)
    with pytest.raises(ValueError, match=other):
        attention_window(made)


def train(folder, architecture, *, rows=24, **more):
    spec = tiny_models.experiment(
        **{"steps": 6, "batch_size": 2, "accumulation": 4, "optimiser": "adamw_torch", **more}
    )
    return train_adapter(
        tiny_models.labelled(tiny_models.statements(rows)),
        loaded=tiny_models.load(architecture, quantisation="none"),
        spec=spec, adapters=folder, name="toy",
    )  # fmt: skip


def test_over_a_whole_training_the_curves_coincide(tmp_path):
    packed, padded = (train(tmp_path, "mistral", packing=packing) for packing in (True, False))
    assert packed.samples == padded.samples == 48
    assert packed.steps == padded.steps == 6
    for name in ("loss", "grad_norm"):
        assert packed.log[name].to_pylist() == pytest.approx(padded.log[name].to_pylist(), rel=1e-3)
    assert packed.log["loss"][-1].as_py() < packed.log["loss"][0].as_py()


@pytest.fixture
def step_gradients(monkeypatch):
    """The gradients of each training's first optimiser step, with LoRA matrices that are not zero before it."""
    collected = []

    class Bar(trainer.ProgressBar):
        def on_train_begin(self, args, state, control, model=None, **more):
            super().on_train_begin(args, state, control, **more)
            torch.manual_seed(1)
            for name, parameter in model.named_parameters():
                if "lora_B" in name:
                    torch.nn.init.normal_(parameter, std=0.02)

        def on_pre_optimizer_step(self, *_, model, **__):
            collected.append({n: p.grad.clone() for n, p in model.named_parameters() if p.requires_grad})

    monkeypatch.setattr(trainer, "ProgressBar", Bar)
    return collected


@pytest.fixture
def passes(monkeypatch):
    """Whether each forward pass of each training was of a packed row."""
    seen = []
    original = transformers.Trainer.compute_loss

    def compute_loss(self, model, inputs, *args, **more):
        seen.append(inputs["attention_mask"].dim() == 4 and len(inputs["input_ids"]) == 1)
        return original(self, model, inputs, *args, **more)

    monkeypatch.setattr(transformers.Trainer, "compute_loss", compute_loss)
    return seen


@pytest.mark.parametrize(
    ("architecture_", "more", "packed_passes"),
    [
        ("llama", {"batch_size": 12, "accumulation": 3}, 3),
        ("mistral", {"batch_size": 2, "accumulation": 4, "gradient_checkpointing": True}, 1),
        ("phi3", {"batch_size": 9, "accumulation": 4, "gradient_checkpointing": True}, 2),
    ],
)
def test_an_optimiser_step_has_the_gradients_of_the_padded_one(
    tmp_path, architecture_, step_gradients, passes, more, packed_passes
):
    packed, padded = (
        train(tmp_path, architecture_, rows=36, steps=1, packing=packing, **more) for packing in (True, False)
    )
    assert passes == [True] * packed_passes + [False] * more["accumulation"]
    assert packed.log["loss"][0].as_py() == pytest.approx(padded.log["loss"][0].as_py(), rel=1e-5)
    assert packed.log["grad_norm"][0].as_py() == pytest.approx(padded.log["grad_norm"][0].as_py(), rel=1e-5)
    found, expected = step_gradients
    for name, gradient in expected.items():
        assert gradient.abs().max() > 0, name
        assert (found[name] - gradient).norm() <= 1e-5 * gradient.norm(), name


@pytest.mark.parametrize(
    ("more", "passes", "packs"),
    [
        ({}, (8, 1), True),
        ({"packing": False}, (2, 4), False),
        ({"loss": "full"}, (2, 4), False),
        ({"batch_size": 4, "accumulation": 16}, (32, 2), True),
        ({"batch_size": 2, "accumulation": 17}, (2, 17), True),
        ({"batch_size": 64, "accumulation": 2}, (64, 2), False),
        ({"dropout": 0.1}, (2, 4), False),
    ],
)
def test_packing_merges_passes_as_far_as_rows_stay_short(more, passes, packs):
    spec = tiny_models.experiment(**{"batch_size": 2, "accumulation": 4, **more})
    assert is_packed(spec, model=tiny_models.load("llama").model) == packs
    assert passes_of(spec, packs=packs) == passes
