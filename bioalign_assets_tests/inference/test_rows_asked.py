"""What a variant is asked: nothing that it was trained on through another dataset; names once each."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioalign_assets.inference.rows_asked import distinct_names, queries_of, samples_of
from bioalign_assets.study import load_study
from bioalign_assets_tests.evaluation._make import popular_pairs
from bioalign_assets_tests.micro import STUDY

ACROSS = STUDY.replace(
    '[experiments.paper]\ntrain_on = "published"\nevaluate_on = ["published"]',
    '[experiments.paper]\ntrain_on = "published"\nevaluate_on = ["published", "stable"]',
).replace(
    'evaluate_on = ["published"]\n\n[experiments.paper]', 'evaluate_on = ["stable"]\n\n[experiments.paper]'
)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    path = tmp_path_factory.mktemp("across") / "study.toml"
    path.write_text(ACROSS.replace("link_queries = 10", "link_queries = 100000"), encoding="utf-8")
    return load_study(str(path))


@pytest.fixture(scope="module")
def pairs():
    """Two datasets that share many pairs, divided differently."""
    one = popular_pairs(rows=2000, dataset="published")
    other = popular_pairs(rows=2000, dataset="stable")
    turned = other.set_column(
        other.schema.get_field_index("split"),
        other.schema.field("split"),
        pa.array(["test" if place % 5 < 2 else "train" for place in range(len(other))]),
    )
    return pa.concat_tables([one, turned])


def texts(rows, *, dataset, split):
    return {r["text"] for r in rows.to_pylist() if r["dataset"] == dataset and r["split"] == split}


def test_a_tuned_variant_is_asked_nothing_that_it_was_trained_on(study, pairs):
    variant = study.variant("tiny-llama@paper")
    trained = texts(pairs, dataset="published", split="train")
    queries = queries_of(variant, study=study, pairs=pairs)
    assert set(queries) == {"published", "stable"}
    for name in queries:
        assert trained.isdisjoint(queries[name].rows["text"].to_pylist())
        assert set(queries[name].rows["dataset"].to_pylist()) == {name}
    assert trained.isdisjoint(samples_of(variant, study=study, pairs=pairs)["stable"]["text"].to_pylist())
    assert trained & texts(pairs, dataset="stable", split="test")  # else nothing was left out


def test_an_untuned_variant_is_asked_every_new_true_pair(study, pairs):
    queries = queries_of(study.variant("tiny-llama@untuned"), study=study, pairs=pairs)["stable"]
    tuned = queries_of(study.variant("tiny-llama@paper"), study=study, pairs=pairs)["stable"]
    assert len(queries) > len(tuned)
    assert set(tuned.rows["pair_id"].to_pylist()) < set(queries.rows["pair_id"].to_pylist())
    # candidates of a query hang on the dataset alone
    place = queries.rows["pair_id"].to_pylist().index(tuned.rows["pair_id"][0].as_py())
    for target in ("gene", "disease"):
        assert (
            queries.candidates(place, target=target, size=7) == tuned.candidates(0, target=target, size=7)
        ).all()


# --- names ---

_names = st.sampled_from(["TNF", "NA", "nan", "BRCA1", "Flu", 'A "b", c', "#x", ""])


def sample(rows):
    return pa.table(
        {
            "gene_symbol": pa.array([gene for gene, _ in rows], pa.string()),
            "disease_name": pa.array([disease for _, disease in rows], pa.string()),
        }
    )


@given(st.lists(st.tuples(_names, _names), min_size=1, max_size=30))
def test_each_name_stands_once_by_kind_in_order_of_appearance(rows):
    found = [(row["kind"], row["name"]) for row in distinct_names(sample(rows)).to_pylist()]
    genes, diseases = dict.fromkeys(gene for gene, _ in rows), dict.fromkeys(disease for _, disease in rows)
    assert found == [("gene", name) for name in genes] + [("disease", name) for name in diseases]


def test_a_name_that_is_both_stands_twice_and_chunks_mean_nothing():
    rows = sample([("Flu", "Flu"), ("TNF", "Flu")])
    chunked = pa.concat_tables([rows.slice(0, 1), rows.slice(1)])
    expected = {"kind": ["gene", "gene", "disease"], "name": ["Flu", "TNF", "Flu"]}
    assert distinct_names(rows).to_pydict() == distinct_names(chunked).to_pydict() == expected
