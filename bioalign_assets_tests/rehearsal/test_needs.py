"""What the real study needs: true lengths over all samples, and memory from the real shape."""

import pyarrow as pa
import pytest

from bioalign_assets.errors import ModelError
from bioalign_assets.models.architecture import PUBLISHED
from bioalign_assets.rehearsal import needs
from bioalign_assets.rehearsal.needs import lengths_over, real_needs
from bioalign_assets.rehearsal.originals import Original
from bioalign_assets.study import load_study
from bioalign_assets.training.lengths import SampleLengths, lengths_of
from bioalign_assets.training.samples import experiment_samples
from bioalign_assets_tests import tiny_models


@pytest.fixture
def rows():
    texts = [text + " of the left hand" * (i % 11 == 5) for i, text in enumerate(tiny_models.statements(60))]
    return tiny_models.labelled(texts)


def test_the_longest_sample_is_found_though_few_are_looked_at(rows, monkeypatch, architecture):
    monkeypatch.setattr(needs, "_SAMPLED", 3)
    monkeypatch.setattr(needs, "_AT_ONCE", 2)
    tokenizer = tiny_models.load(architecture).tokenizer
    spec = tiny_models.experiment(max_tokens=512)
    found = lengths_over(rows, spec=spec, tokenizer=tokenizer, model="m")
    every = lengths_of(experiment_samples(rows, spec=spec, tokenizer=tokenizer, model="m"))
    assert found.longest == every.longest
    with pytest.raises(
        ModelError, match=rf"toy by the tokenizer of m.*of 60 with more.*longest with {every.longest}"
    ):
        lengths_over(
            rows,
            spec=spec.model_copy(update={"max_tokens": every.longest - 1}),
            tokenizer=tokenizer,
            model="m",
        )


def test_a_short_statement_in_a_long_template_is_found_too(rows, monkeypatch):
    monkeypatch.setattr(needs, "_SAMPLED", 8)
    spec = tiny_models.experiment(max_tokens=512, prompts="varied")
    tokenizer = tiny_models.load("llama").tokenizer
    for seed in range(5):
        of_seed = spec.model_copy(update={"seed": seed})
        found = lengths_over(rows, spec=of_seed, tokenizer=tokenizer, model="m")
        every = lengths_of(experiment_samples(rows, spec=of_seed, tokenizer=tokenizer, model="m"))
        assert found.longest == every.longest


def test_needs_are_of_the_real_shape_and_of_true_lengths(tmp_path):
    study = load_study("paper")
    known = PUBLISHED[study.models["llama-3-8b"].repo_id]
    original = Original(
        config=known.config, tokenizer=tmp_path, is_nf4=True, is_pickled=False, fetched_bytes=known.file_bytes
    )

    def of(lengths):
        return real_needs("llama-3-8b", study=study, original=original, lengths=lengths)

    typical = of({})
    assert typical.fetched_bytes == known.file_bytes > 5e9
    assert typical.scoring_bytes < typical.training_bytes < typical.roomy_bytes < 16e9
    longer = SampleLengths(longest=600, shared=62, mean=400.0, sd=10.0)
    assert of(dict.fromkeys(study.experiments, longer)).training_bytes > typical.training_bytes
    assert of({"paper": longer}).roomy_bytes > typical.roomy_bytes


def test_an_unknown_kind_has_unknown_needs(tmp_path):
    study = load_study("paper")
    original = Original(
        config={"model_type": "mamba"}, tokenizer=tmp_path, is_nf4=False, is_pickled=False, fetched_bytes=None
    )
    found = real_needs("llama-3-8b", study=study, original=original, lengths={})
    assert (found.training_bytes, found.scoring_bytes) == (None, None)


def test_rows_of_one_statement_have_a_length():
    spec = tiny_models.experiment(max_tokens=512)
    rows = pa.table({"pair_id": ["0" * 16], "text": ["A is associated with B"], "label": [1]})
    found = lengths_over(rows, spec=spec, tokenizer=tiny_models.load("llama").tokenizer, model="m")
    assert found.longest == found.shared
