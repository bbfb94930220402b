"""Shared-prefix packing: the same loss and the same gradients as the padded batch, from fewer tokens."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from transformers import DataCollatorForSeq2Seq

from bioalign_assets.curation.prompts import PROMPTS
from bioalign_assets.training import qlora
from bioalign_assets.training.packing import SharedPrefixCollator, attention_window, can_pack
from bioalign_assets.training.qlora import lora_targets, train_adapter
from bioalign_assets.training.samples import sample_prompts, tokenise_samples
from bioalign_assets.training.spec import LINEAR_LAYERS
from bioalign_assets_tests import tiny_models


def samples_of(tokenizer, *, count=8, prompts="training"):
    rows = tiny_models.labelled(tiny_models.statements(count))
    return tokenise_samples(
        rows["text"].to_pylist(), labels=rows["label"].to_pylist(),
        prompts=sample_prompts(rows["pair_id"].to_pylist(), prompts=prompts, seed=1),
        tokenizer=tokenizer, loss="answer", max_tokens=512,
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


@pytest.mark.parametrize("prompts", ["training", "varied"])
@pytest.mark.parametrize("count", [1, 2, 8])
def test_loss_and_all_gradients_are_those_of_the_padded_batch(with_lora, prompts, count):
    model, loaded = with_lora
    samples = samples_of(loaded.tokenizer, count=count, prompts=prompts)
    packed = SharedPrefixCollator(window=attention_window(loaded.model.config))(samples)
    padded = DataCollatorForSeq2Seq(loaded.tokenizer, padding=True, label_pad_token_id=-100)(
        [dict(sample) for sample in samples]
    )
    loss, expected = gradients(model, padded)
    found_loss, found = gradients(model, packed)
    assert found_loss == pytest.approx(loss, rel=1e-5)
    for name, gradient in expected.items():
        assert gradient.abs().max() > 0, name
        assert (found[name] - gradient).norm() <= 1e-5 * gradient.norm(), name


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
    counted = row["labels"] != -100
    assert counted.sum() == sum(label != -100 for sample in samples for label in sample["labels"])
    assert torch.equal(row["labels"][counted], row["input_ids"][counted])


SAMPLES = st.lists(
    st.tuples(st.lists(st.integers(1, 3), min_size=1, max_size=9), st.integers(1, 2)), min_size=1, max_size=5
)


@settings(deadline=None)
@given(drawn=SAMPLES, window=st.none() | st.integers(1, 8))
def test_every_token_sees_what_it_sees_in_a_row_of_its_own(drawn, window):
    """For every sample, the tokens that its tokens see, and their positions, are those of the sample alone."""
    samples = [
        {"input_ids": [*prompt, *[7] * answers], "labels": [-100] * len(prompt) + [7] * answers}
        for prompt, answers in drawn
    ]
    row = SharedPrefixCollator(window=window)(samples)
    ids, positions, sees = row["input_ids"][0], row["position_ids"][0], row["attention_mask"][0, 0]
    shared = len(ids) - sum(len(sample["input_ids"]) for sample in samples)
    shared = -shared // (len(samples) - 1) if len(samples) > 1 else None
    end = len(ids)
    for sample in reversed(samples):
        length = len(sample["input_ids"])
        if shared is None:
            places = list(range(length))
        else:
            tail = length - shared
            places = [*range(shared), *range(end - tail, end)]
            end -= tail
        assert ids[places].tolist() == sample["input_ids"]
        assert positions[places].tolist() == list(range(length))
        for number, place in enumerate(places):
            first = 0 if window is None else max(0, number - window + 1)
            assert sees[place].nonzero().ravel().tolist() == sorted(places[first : number + 1])


def test_a_sample_whose_first_token_counts_is_refused():
    with pytest.raises(ValueError, match="first token of a sample counts"):
        SharedPrefixCollator()([{"input_ids": [1, 2], "labels": [1, 2]}])


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
        ({"_attn_implementation": "eager"}, None, False),
    ],
)
def test_the_window_is_that_of_the_configuration(config, window, packs):
    made = SimpleNamespace(**{"_attn_implementation": "sdpa", **config})
    assert attention_window(made) == window
    assert can_pack(made) == packs


def test_layers_of_several_kinds_are_not_packed():
    made = SimpleNamespace(
        _attn_implementation="sdpa", sliding_window=8, layer_types=["sliding_attention", "full_attention"]
    )
    assert not can_pack(made)
    with pytest.raises(ValueError, match="full_attention, sliding_attention"):
        attention_window(made)


def train(folder, architecture, *, rows=24, **more):
    spec = tiny_models.experiment(
        **{"steps": 12, "batch_size": 2, "accumulation": 4, "optimiser": "adamw_torch", **more}
    )
    return train_adapter(
        tiny_models.labelled(tiny_models.statements(rows)),
        loaded=tiny_models.load(architecture, quantisation="none"),
        spec=spec, adapters=folder, name="toy",
    )  # fmt: skip


def test_over_a_whole_training_the_curves_coincide(tmp_path, architecture):
    packed, padded = (train(tmp_path, architecture, packing=packing) for packing in (True, False))
    assert packed.samples == padded.samples == 96
    assert packed.steps == padded.steps == 12
    for name in ("loss", "grad_norm"):
        assert packed.log[name].to_pylist() == pytest.approx(padded.log[name].to_pylist(), rel=1e-3)
    assert packed.log["loss"][-1].as_py() < packed.log["loss"][0].as_py()


@pytest.fixture
def rows_seen(monkeypatch):
    shapes = []
    original = qlora.SFTTrainer.compute_loss

    def compute_loss(self, model, inputs, *args, **more):
        shapes.append((tuple(inputs["input_ids"].shape), tuple(inputs["attention_mask"].shape)))
        return original(self, model, inputs, *args, **more)

    monkeypatch.setattr(qlora.SFTTrainer, "compute_loss", compute_loss)
    return shapes


@pytest.mark.parametrize(
    ("more", "passes", "is_packed"),
    [
        ({}, 1, True),
        ({"packing": False}, 4, False),
        ({"loss": "full"}, 4, False),
        ({"batch_size": 4, "accumulation": 16}, 2, True),
        ({"batch_size": 2, "accumulation": 17}, 17, True),
        ({"batch_size": 64, "accumulation": 2}, 2, False),
        ({"dropout": 0.1}, 4, False),
    ],
)
def test_packing_merges_passes_as_far_as_rows_stay_short(tmp_path, rows_seen, more, passes, is_packed):
    train(tmp_path, "llama", rows=130, steps=1, **more)
    assert len(rows_seen) == passes
    assert all((len(mask) == 4 and ids[0] == 1) == is_packed for ids, mask in rows_seen)


def test_prompts_of_one_template_share_their_preamble():
    assert len(PROMPTS["training"].shared_prefix) > 200
