"""Pre-training: learns names and sentence forms, and can't learn which pairs CTD has curated."""

import itertools
import re
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy import stats

from bioalign_assets.curation.prompts import PROMPTS
from bioalign_assets.errors import ModelError
from bioalign_assets.models.pretraining import pretrain, pretraining_texts
from bioalign_assets.models.tiny import build_tiny_model
from bioalign_assets_tests import tiny_models

# one gene and one disease have nearly all associations: what a leak would show
SKEWED = pa.table(
    {
        "gene_symbol": ["BIG"] * 96 + ["S1", "S2", "S3", "S4"],
        "disease_name": ["Common"] * 95 + ["Rare1", "Rare2", "Rare3", "Rare4", "Common"],
    }
)
COUNT = 12_000
STATEMENT = re.compile(r"(\S+) is associated with (\S+)")


@pytest.fixture(scope="module")
def drawn():
    """Per text: gene, disease, form (the prompt's name or plain), answer."""
    texts = itertools.islice(
        pretraining_texts(SKEWED, rng=np.random.default_rng(5), end_of_text="<END>"), COUNT
    )
    rows = []
    for text in texts:
        gene, disease = STATEMENT.search(text).groups()
        disease = disease.removesuffix("<END>")
        statement = f"{gene} is associated with {disease}"
        forms = {
            prompt.render(statement) + prompt.answer(label) + "<END>": (name, label)
            for name, prompt in PROMPTS.items()
            for label in (0, 1)
        } | {statement: ("plain", None)}
        rows.append((gene, disease, *forms[text]))
    return rows


def p_independent(first, second):
    table = Counter(zip(first, second, strict=True))
    grid = [[table[a, b] for b in sorted(set(second))] for a in sorted(set(first))]
    return stats.chi2_contingency(grid).pvalue


def test_every_form_comes_equally_often(drawn):
    counts = Counter(form for _, _, form, _ in drawn)
    assert set(counts) == {"plain", *PROMPTS}
    assert stats.chisquare(list(counts.values())).pvalue > 1e-3


def test_genes_and_diseases_come_equally_often_whatever_their_degree(drawn):
    for column, names in (
        (0, {"BIG", "S1", "S2", "S3", "S4"}),
        (1, {"Common", "Rare1", "Rare2", "Rare3", "Rare4"}),
    ):
        counts = Counter(row[column] for row in drawn)
        assert set(counts) == names
        assert stats.chisquare(list(counts.values())).pvalue > 1e-3


def test_genes_and_diseases_are_drawn_independently(drawn):
    genes, diseases, *_ = zip(*drawn, strict=True)
    assert p_independent(genes, diseases) > 1e-3


def test_the_answer_is_a_coin_that_knows_neither_pair_nor_name_nor_form(drawn):
    asked = [row for row in drawn if row[3] is not None]
    answers = [row[3] for row in asked]
    assert stats.binomtest(sum(answers), len(answers)).pvalue > 1e-3
    curated = set(zip(SKEWED["gene_symbol"].to_pylist(), SKEWED["disease_name"].to_pylist(), strict=True))
    is_curated = [(gene, disease) in curated for gene, disease, *_ in asked]
    assert 0 < sum(is_curated) < len(asked)
    for what in (is_curated, [r[0] for r in asked], [r[1] for r in asked], [r[2] for r in asked]):
        assert p_independent(what, answers) > 1e-3


def test_the_test_sees_a_leak(drawn):
    """The same test on answers that follow the pair: it must fail there, or it proves nothing."""
    curated = set(zip(SKEWED["gene_symbol"].to_pylist(), SKEWED["disease_name"].to_pylist(), strict=True))
    is_curated = [(gene, disease) in curated for gene, disease, *_ in drawn]
    rng = np.random.default_rng(0)
    leaked = [int(rng.random() < 0.55) if known else int(rng.random() < 0.5) for known in is_curated]
    assert p_independent(is_curated, leaked) < 1e-3


def test_texts_depend_on_nothing_but_the_distinct_names():
    def first(table):
        texts = pretraining_texts(table, rng=np.random.default_rng(1))
        return [next(texts) for _ in range(50)]

    other = pa.table(
        {
            "gene_symbol": ["S4", "S3", "BIG", "S2", "S1"],
            "disease_name": sorted(set(SKEWED["disease_name"].to_pylist())),
        }
    )
    assert first(SKEWED) == first(other)


def loss_of(model, tokenizer, **more):
    return pretrain(
        model,
        tokenizer=tokenizer,
        associations=tiny_models.associations(),
        rng=np.random.default_rng(0),
        name="x",
        **more,
    )


def test_the_loss_falls_and_zero_steps_change_nothing():
    tokenizer = tiny_models.load("llama").tokenizer
    model = build_tiny_model("llama", tokenizer=tokenizer, seed=0)
    before = model.lm_head.weight.clone()
    assert loss_of(model, tokenizer, steps=0) == []
    assert torch.equal(model.lm_head.weight, before)
    losses = loss_of(model, tokenizer, steps=8)
    assert len(losses) == 8
    assert losses[0] == pytest.approx(np.log(len(tokenizer)), rel=0.1)  # random weights: as good as guessing
    assert losses[-1] < 0.8 * losses[0]
    assert not model.training


def test_a_loss_that_is_no_number_is_told():
    tokenizer = tiny_models.load("llama").tokenizer
    model = build_tiny_model("llama", tokenizer=tokenizer, seed=0)
    with torch.no_grad():
        model.lm_head.weight[0, 0] = float("inf")
    with pytest.raises(ModelError, match="loss that is no number"):
        loss_of(model, tokenizer, steps=1)
