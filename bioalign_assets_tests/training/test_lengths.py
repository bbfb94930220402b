"""True lengths: what a forward pass takes, and that the built-in studies hold every sample that there can be."""

import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from bioalign_assets.ctd.release import read_associations
from bioalign_assets.curation.dataset import build_dataset
from bioalign_assets.curation.prompts import PROMPTS, VARIED_PROMPTS
from bioalign_assets.study import load_study
from bioalign_assets.training.lengths import SampleLengths, lengths_of
from bioalign_assets.training.samples import tokenise_samples, training_rows

TOKENIZERS = ("llama-3-8b", "mistral-7b-instruct-v0.3", "phi-3-mini-4k-instruct")


def sample(*ids):
    return {"input_ids": list(ids), "labels": list(ids)}


def test_what_all_begin_with_is_shared():
    found = lengths_of([sample(1, 2, 3), sample(1, 2, 4, 5), sample(1, 2, 3, 3, 3)])
    assert (found.longest, found.shared, found.mean) == (5, 2, 2.0)
    assert lengths_of([sample(7, 8)]) == SampleLengths(longest=2, shared=2, mean=0.0, sd=0.0)


@given(
    st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=9), min_size=1, max_size=9), st.integers(1, 12)
)
def test_a_pass_has_at_most_what_the_longest_would_need(rows, samples):
    found = lengths_of([sample(9, *row) for row in rows])
    assert found.tokens(samples, packs=False) == samples * found.longest
    packed = found.tokens(samples, packs=True)
    assert packed >= found.longest
    assert packed <= found.shared + samples * (found.longest - found.shared)


@pytest.fixture(scope="module")
def associations(real_data):
    return read_associations(real_data / "ctd" / "CTD_curated_genes_diseases.2025-08-27.csv").associations


def samples_of(texts, *, prompt, tokenizer):
    return tokenise_samples(
        texts, labels=[0] * len(texts), prompts=[prompt] * len(texts), tokenizer=tokenizer, loss="answer",
        max_tokens=10**6,
    )  # fmt: skip


@pytest.mark.parametrize("study", ["paper", "laptop"])
@pytest.mark.parametrize("name", TOKENIZERS)
def test_the_built_in_studies_hold_every_sample_that_a_dataset_can_have(real_data, associations, name, study):
    """Any gene beside any disease: whatever a dataset draws, and with whatever seed."""
    tokenizer = AutoTokenizer.from_pretrained(real_data / "tokenizers" / name)

    def longest(column, count):
        names = pc.unique(associations[column]).to_pylist()
        return sorted(names, key=lambda text: -len(tokenizer(text)["input_ids"]))[:count]

    texts = [
        f"{gene} is associated with {disease}"
        for gene in longest("gene_symbol", 5)
        for disease in longest("disease_name", 60)
    ]
    for prompts, limit in {
        (spec.prompts, spec.max_tokens) for spec in load_study(study).experiments.values() if spec.train_on
    }:
        for prompt in (PROMPTS["training"],) if prompts == "training" else VARIED_PROMPTS.values():
            samples = samples_of(texts, prompt=prompt, tokenizer=tokenizer)
            assert lengths_of(samples).longest <= limit


@pytest.mark.parametrize(("name", "cut"), [(TOKENIZERS[0], 0), (TOKENIZERS[1], 7), (TOKENIZERS[2], 66)])
def test_so_many_samples_the_paper_cut_in_silence(real_data, associations, name, cut):
    """Counted once by hand with the authors' tokenizers; docs/datasets.md says so."""
    tokenizer = AutoTokenizer.from_pretrained(real_data / "tokenizers" / name)
    spec = load_study("paper").datasets["published"]
    rows = training_rows(build_dataset(associations, spec=spec), dataset="published")
    long = rows.filter(pc.greater(pc.utf8_length(rows["text"]), 90))["text"].to_pylist()
    samples = samples_of(long, prompt=PROMPTS["training"], tokenizer=tokenizer)
    assert sum(len(sample["input_ids"]) > 128 for sample in samples) == cut
