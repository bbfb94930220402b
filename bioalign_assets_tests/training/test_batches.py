"""What the trainer really sees: padding that is masked and not learned, and every sample once an epoch."""

from collections import Counter

import pytest
import torch
import trl

from bioalign_assets.training import trainer
from bioalign_assets.training.qlora import train_adapter
from bioalign_assets_tests import tiny_models


@pytest.fixture
def seen(monkeypatch):
    """The batches of each training, as they reach the model's forward pass."""
    batches = []
    original = trl.SFTTrainer.compute_loss

    def compute_loss(self, model, inputs, *args, **more):
        batches.append({name: value.clone() for name, value in inputs.items()})
        return original(self, model, inputs, *args, **more)

    monkeypatch.setattr(trl.SFTTrainer, "compute_loss", compute_loss)
    return batches


def train(tmp_path, architecture="llama", *, rows=18, loaded=None, **more):
    return train_adapter(
        tiny_models.training_rows(rows) if isinstance(rows, int) else rows,
        loaded=loaded or tiny_models.load(architecture),
        # test_packing.py has the packed rows; what is trained does not matter here
        spec=tiny_models.experiment(**{"packing": False, "targets": ["v_proj"], **more}),
        adapters=tmp_path / "adapters",
        name="toy",
    )


@pytest.mark.parametrize(
    ("architecture_", "loss", "pads_with_end"),
    [
        ("llama", "answer", False),
        ("mistral", "answer", True),
        ("phi3", "full", True),
        ("llama", "full", False),
    ],
)
def test_padding_is_masked_and_not_learned(tmp_path, seen, architecture_, loss, pads_with_end):
    loaded = tiny_models.load(architecture_)
    tokenizer = loaded.tokenizer
    if pads_with_end:
        tokenizer.pad_token = tokenizer.eos_token
    rows = tiny_models.labelled(tiny_models.statements(8))
    train(tmp_path, loaded=loaded, rows=rows, epochs=1, loss=loss, targets=["o_proj"])
    is_padded = False
    for batch in seen:
        ids, mask, labels = batch["input_ids"], batch["attention_mask"].bool(), batch["labels"]
        lengths = mask.sum(dim=1)
        is_padded |= bool((lengths < ids.shape[1]).any())
        assert lengths.max() == ids.shape[1]  # no longer than its longest sample
        for row, length in enumerate(lengths):
            assert mask[row, :length].all()  # padded on the right
            assert (ids[row, length:] == tokenizer.pad_token_id).all()
            assert (labels[row, length:] == -100).all()
            assert (
                labels[row, length - 1] == ids[row, length - 1] == tokenizer.eos_token_id
            )  # the end is learned
            counted = labels[row] != -100
            assert counted.sum() == (2 if loss == "answer" else length)
            assert torch.equal(labels[row][counted], ids[row][counted])
    assert is_padded


def test_every_sample_comes_once_an_epoch_in_an_order_of_the_seed(tmp_path, seen):
    def texts():
        tokenizer = tiny_models.load("llama").tokenizer
        return [
            t for batch in seen for t in tokenizer.batch_decode(batch["input_ids"], skip_special_tokens=True)
        ]

    train(tmp_path, rows=10, epochs=2)
    two_epochs = texts()
    assert set(Counter(two_epochs).values()) == {2}
    assert Counter(two_epochs[:10]) == Counter(two_epochs[10:])
    assert two_epochs[:10] != two_epochs[10:]
    seen.clear()
    train(tmp_path, rows=10, epochs=1, seed=7)
    assert texts() != two_epochs[:10]
    assert Counter(texts()) == Counter(two_epochs[:10])


@pytest.mark.parametrize(
    ("more", "steps"),
    [
        ({"steps": 5}, 5),  # more than two epochs: the last step of an epoch holds one sample only
        ({"steps": 3, "batch_size": 1, "accumulation": 3}, 3),
        ({"epochs": 2, "accumulation": 2}, 4),
        ({"epochs": 0.5}, 2),
        ({"epochs": 1, "batch_size": 64}, 1),
    ],
)
def test_steps_and_samples_are_those_that_were_made(tmp_path, seen, more, steps):
    training = train(tmp_path, rows=5, **{"batch_size": 2, **more})
    assert training.steps == steps
    assert training.samples == sum(len(batch["input_ids"]) for batch in seen)
    assert training.log["step"].to_pylist() == list(range(1, steps + 1))


def test_accumulation_is_one_larger_batch(tmp_path):
    """Two halves of a batch, accumulated, learn what the whole learns: the mean over all answers in it."""
    rows = tiny_models.labelled(tiny_models.statements(8))
    # over the full text, where the halves hold unequal numbers of tokens
    whole = train(tmp_path, rows=rows, batch_size=4, accumulation=1, loss="full", steps=2)
    halves = train(tmp_path, rows=rows, batch_size=2, accumulation=2, loss="full", steps=2)
    assert halves.log["loss"].to_pylist() == pytest.approx(whole.log["loss"].to_pylist(), rel=1e-3)
    assert halves.log["grad_norm"].to_pylist() == pytest.approx(whole.log["grad_norm"].to_pylist(), rel=1e-2)


def test_more_cards_do_not_make_larger_batches(tmp_path, seen, monkeypatch):
    class OfThreeCards(trl.SFTConfig):
        def __post_init__(self):
            super().__post_init__()
            self._n_gpu = 3

    monkeypatch.setattr(trainer, "SFTConfig", OfThreeCards)
    training = train(tmp_path, rows=8, steps=1)
    assert [len(batch["input_ids"]) for batch in seen] == [4]
    assert training.samples == 4
