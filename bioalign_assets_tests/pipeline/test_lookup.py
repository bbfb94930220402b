"""``bioalign score`` and ``candidates`` over a study that ran: real models, real tables."""

import csv
import io

import numpy as np
import pyarrow.compute as pc
import pytest

from bioalign_assets.errors import BioAlignError, ProvenanceError, StudyError
from bioalign_assets.inference.embeddings import embed
from bioalign_assets.lookup.asking import asked_variant
from bioalign_assets.lookup.candidates import rank_candidates
from bioalign_assets.lookup.output import candidates_csv, pairs_csv
from bioalign_assets.lookup.score import score_pairs
from bioalign_assets.study import Study
from bioalign_assets.warehouse.schemas import TABLES

VARIANT = "tiny-llama@paper"


@pytest.fixture(scope="module")
def asked(micro):
    with asked_variant(VARIANT, study=micro.study, tables=micro.tables) as variant:
        yield variant


@pytest.fixture(scope="module")
def answers(micro):
    """Stored answers of the variant to the first prompt, with the names that were asked about."""
    rows = micro.tables.read(TABLES["inference.answers"], partitions=[VARIANT])
    rows = rows.filter(pc.equal(rows["prompt"], micro.study.evaluation.prompts[0])).to_pylist()
    names = {
        (pair["dataset"], pair["row_number"]): pair
        for pair in micro.tables.read(TABLES["curation.pairs"]).to_pylist()
    }
    return [row | names[row["test_set"], row["row_number"]] for row in rows]


def pair_of(row):
    return row["gene_symbol"], row["disease_name"]


def test_a_score_is_the_p_true_of_the_stored_answers(asked, answers):
    rows = answers[:20]
    scored = score_pairs([pair_of(row) for row in rows], asked=asked, nearest=0)
    np.testing.assert_allclose([pair.p_true for pair in scored], [row["p_true"] for row in rows], atol=1e-5)
    assert [pair.nearest for pair in scored] == [()] * len(rows)


def test_what_ctd_knows_stands_beside_it(asked, answers, micro):
    rows = [next(row for row in answers if row["label"] == label) for label in (1, 0)]
    true, false = score_pairs([pair_of(row) for row in rows], asked=asked)
    assert false.association is None
    assert true.association is not None
    curated = micro.tables.read(TABLES["ctd.associations"]).to_pylist()
    (row,) = [row for row in curated if pair_of(row) == pair_of(rows[0])]
    assert true.association.pubmed_ids == tuple(row["pubmed_ids"])
    assert true.gene.identifier == str(row["gene_id"])
    assert true.disease.identifier == row["disease_id"]


def test_it_is_told_what_the_variant_was_trained_on(asked, micro):
    pairs = micro.tables.read(TABLES["curation.pairs"], partitions=["published"]).to_pylist()
    in_test = {row["pair_id"] for row in pairs if row["split"] == "test"}
    for label in (1, 0):
        row = next(
            row
            for row in pairs
            if row["split"] == "train" and row["label"] == label and row["pair_id"] not in in_test
        )
        (scored,) = score_pairs([pair_of(row)], asked=asked, nearest=0)
        assert scored.trained_as == label
    in_train = {row["pair_id"] for row in pairs if row["split"] == "train"}
    row = next(row for row in pairs if row["pair_id"] not in in_train)
    (scored,) = score_pairs([pair_of(row)], asked=asked, nearest=0)
    assert scored.trained_as is None


def test_the_nearest_known_pairs_are_those_of_a_search_by_hand(asked, answers, micro):
    row = next(row for row in answers if row["label"] == 1)
    (scored,) = score_pairs([pair_of(row)], asked=asked, nearest=4)
    stored = micro.tables.read(TABLES["inference.embeddings"], partitions=[VARIANT]).to_pylist()
    (own,) = embed([row["text"]], loaded=asked.loaded, batch_size=1)
    found = {
        each["pair_id"]: float(
            np.dot(own, each["embedding"]) / np.linalg.norm(own) / np.linalg.norm(each["embedding"])
        )
        for each in stored
        if each["label"] == 1 and each["pair_id"] != row["pair_id"]
    }
    by_hand = sorted(found.values(), reverse=True)[:4]
    np.testing.assert_allclose([near.cosine for near in scored.nearest], by_hand, atol=1e-5)
    assert pair_of(row) not in [(near.gene_symbol, near.disease_name) for near in scored.nearest]
    for near in scored.nearest:
        assert (near.gene_symbol, near.disease_name) in asked.vocabulary.associations


def test_names_that_the_release_does_not_have_are_scored_as_typed(asked):
    (scored,) = score_pairs([("NOSUCHGENE", "No such disease")], asked=asked)
    assert 0 <= scored.p_true <= 1
    assert (scored.gene.identifier, scored.disease.identifier, scored.association) == (None, None, None)


def test_the_prompt_can_be_chosen(micro, answers, asked):
    row = answers[0]
    (first,) = score_pairs([pair_of(row)], asked=asked, nearest=0)
    with asked_variant(VARIANT, study=micro.study, tables=micro.tables, prompt="training") as other:
        (second,) = score_pairs([pair_of(row)], asked=other, nearest=0)
    assert first.p_true != second.p_true
    with (
        pytest.raises(StudyError, match="no such prompt"),
        asked_variant(VARIANT, study=micro.study, tables=micro.tables, prompt="other"),
    ):
        pass


def test_candidates_are_the_uncurated_genes_by_p_true(asked):
    vocabulary = asked.vocabulary
    disease = max(vocabulary.diseases, key=lambda name: sum(d == name for _, d in vocabulary.associations))
    found = rank_candidates(disease, asked=asked, top=10_000)
    curated = {gene for gene, name in vocabulary.associations if name == disease}
    names = [each.gene.name for each in found.best]
    assert set(names) == set(vocabulary.genes) - curated
    assert (found.candidates, found.curated) == (len(names), len(curated))
    chances = [each.p_true for each in found.best]
    assert chances == sorted(chances, reverse=True)
    assert [each.rank for each in found.best] == list(range(1, len(names) + 1))
    for each in found.best:
        more = sum(vocabulary.popularity[gene] > each.popularity for gene in names)
        assert each.popularity_rank == more + 1
    np.testing.assert_allclose(chances[:3], asked.p_true([(name, disease) for name in names[:3]]), atol=1e-5)
    top = rank_candidates(disease, asked=asked, top=3)
    assert [each.gene.name for each in top.best] == names[:3]


def test_a_drawn_negative_of_the_training_is_marked(asked, micro):
    pairs = micro.tables.read(TABLES["curation.pairs"], partitions=["published"]).to_pylist()
    negative = next(row for row in pairs if row["split"] == "train" and row["label"] == 0)
    found = rank_candidates(negative["disease_name"], asked=asked, top=10_000)
    marked = {each.gene.name for each in found.best if each.trained_as_false}
    assert marked == {
        row["gene_symbol"]
        for row in pairs
        if row["split"] == "train" and row["label"] == 0 and row["disease_name"] == negative["disease_name"]
    }


def test_candidates_of_an_unknown_disease_are_refused_with_a_suggestion(asked):
    name = next(iter(asked.vocabulary.diseases))
    with pytest.raises(BioAlignError, match="did you mean") as error:
        rank_candidates(name + "x", asked=asked, top=3)
    assert name in str(error.value)


def test_csv_has_every_field(asked, answers):
    pairs = [pair_of(row) for row in answers[:5]]
    rows = list(csv.DictReader(io.StringIO(pairs_csv(score_pairs(pairs, asked=asked)))))
    assert [(row["gene_symbol"], row["disease_name"]) for row in rows] == pairs
    assert all(row["gene_link"].startswith("https://ctdbase.org/detail.go?type=gene&acc=") for row in rows)
    assert {row["is_in_ctd"] for row in rows} <= {"true", "false"}
    found = rank_candidates(pairs[0][1], asked=asked, top=4)
    rows = list(csv.DictReader(io.StringIO(candidates_csv(found))))
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4"]


def test_an_untuned_variant_can_be_asked_too(micro, answers):
    with asked_variant("tiny-llama@untuned", study=micro.study, tables=micro.tables) as untuned:
        (scored,) = score_pairs([pair_of(answers[0])], asked=untuned)
    assert scored.trained_as is None


def test_what_is_not_there_is_told(micro, tmp_path):
    with (
        pytest.raises(StudyError, match="no such cell"),
        asked_variant("tiny-llama@no", study=micro.study, tables=micro.tables),
    ):
        pass
    with (
        pytest.raises(BioAlignError, match="bioalign demo"),
        asked_variant(VARIANT, study=micro.study, tables=type(micro.tables)(tmp_path / "empty")),
    ):
        pass


def test_an_adapter_of_other_settings_is_not_asked(micro):
    dumped = micro.study.model_dump(exclude={"datasets": {"__all__": {"name"}}})
    dumped["experiments"]["paper"]["rank"] = 3
    other = Study.model_validate(dumped)
    with pytest.raises(ProvenanceError), asked_variant(VARIANT, study=other, tables=micro.tables):
        pass


def test_the_commands_say_what_a_person_needs(bioalign, answers, tmp_path):
    row = next(row for row in answers if row["label"] == 1)
    told = bioalign("score", "--variant", VARIANT, *pair_of(row))
    assert told.status == 0, told.err
    for part in (
        "p_true",
        "known in CTD",
        "yes",
        "https://ctdbase.org/detail.go?type=gene",
        "nearest known pairs",
        "tiny",
    ):
        assert part in told.out
    ask = ("candidates", "--variant", VARIANT, "--disease", row["disease_name"], "--top", "5")
    told = bioalign(*ask)
    assert told.status == 0, told.err
    for part in ("Unseen is not false", "Popularity", "rank correlation with p_true"):
        assert part in told.out.replace("\n", " ")
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(f"gene,disease\n{row['gene_symbol']},{row['disease_name']}\n")
    told = bioalign("score", "--variant", VARIANT, "--file", str(pairs), "--csv")
    assert len(list(csv.DictReader(io.StringIO(told.out)))) == 1
    for wrong in (
        ["score", "--variant", VARIANT],
        ["score", "--variant", VARIANT, "--file", str(pairs), "A", "B"],
    ):
        told = bioalign(*wrong)
        assert told.status != 0
        assert "GENE and DISEASE" in told.err
