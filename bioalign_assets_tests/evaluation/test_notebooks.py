"""The notebooks' probe and silhouette: their recipe step by step, in the order drawn, and nothing where it fails."""

import warnings

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from sklearn.model_selection import train_test_split

from bioalign_assets.errors import EvaluationError
from bioalign_assets.evaluation.metrics import embedding_rows
from bioalign_assets.evaluation.notebooks import drawn_rows, order_drawn, probe_notebook, silhouette_notebook
from bioalign_assets.evaluation.probe import probe
from bioalign_assets.models.threads import one_thread
from bioalign_assets.study.evaluation import EvaluationSpec
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.evaluation._make import embeddings, popular_pairs

SPEC = EvaluationSpec(sample_size=150, resamples=100, seed=7)
SAMPLERS = {"paper": "published", "fair": "stable"}


def clouds(rows, *, width=6, seed=0, scale=3):
    """Two clouds in an order of chance; dimensions are of very different size."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, size=rows)
    matrix = rng.normal(size=(rows, width)) + labels[:, None]
    return (matrix * np.logspace(-scale, scale, width)).astype(np.float32), labels


def recipe_of_the_probe(vectors, labels):
    """As REFERENCE has it: 70/30 with random state 42, neither stratified nor scaled, 1,000 steps."""
    fit_on, score_on, y, y_score = train_test_split(vectors, labels, test_size=0.3, random_state=42)
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return LogisticRegression(random_state=42, max_iter=1000).fit(fit_on, y).score(score_on, y_score)


def recipe_of_the_silhouette(vectors, labels):
    """The map of the first 400 rows, all else by default."""
    with one_thread():
        places = TSNE(n_components=2, random_state=42).fit_transform(vectors[:400])
    return silhouette_score(places, labels[:400])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("scale", [0, 3])
def test_the_probe_is_the_recipe_to_the_last_bit_and_not_ours(seed, scale):
    matrix, labels = clouds(201, seed=seed, scale=scale)
    found = probe_notebook(matrix, labels=labels)["probe_accuracy_notebook"]
    assert found.value == recipe_of_the_probe(matrix, labels)
    assert found.n == 61
    ours = probe(matrix, labels=labels, seed=42)["probe_accuracy"]
    assert not np.array_equal(ours.hits, found.hits)


@pytest.mark.parametrize("rows", [31, 60, 450])
def test_the_silhouette_is_the_recipe_of_the_first_400_rows(rows):
    matrix, labels = clouds(rows, scale=0)
    found = silhouette_notebook(matrix, labels=labels)["silhouette_notebook"]
    assert found.value == pytest.approx(
        recipe_of_the_silhouette(matrix, labels), abs=1e-6
    )  # float32's digits
    assert found.n == min(rows, 400)


def test_there_is_no_figure_where_the_notebooks_end_in_an_error():
    matrix, labels = clouds(30)
    assert silhouette_notebook(matrix, labels=labels) == {}
    with pytest.raises(ValueError, match="perplexity"):
        recipe_of_the_silhouette(matrix, labels)
    matrix, late = clouds(420)[0], (np.arange(420) >= 400).astype(int)
    assert silhouette_notebook(matrix, labels=late) == {}
    _, tested = train_test_split(np.arange(30), test_size=0.3, random_state=42)
    alone = np.isin(np.arange(30), tested).astype(int)  # all true ones are to be scored
    assert probe_notebook(clouds(30)[0], labels=alone) == {}
    with pytest.raises(ValueError, match="class"):
        recipe_of_the_probe(clouds(30)[0], alone)


@pytest.fixture
def paper():
    """Pairs of two datasets, and embeddings of the samples that are drawn of them."""
    pairs = pa.concat_tables([popular_pairs(dataset=name, rows=1000, seed=3) for name in SAMPLERS])
    test = pairs.to_pandas().query("dataset == 'paper' and split == 'test'").sort_values("row_number")
    sample = test.sample(n=150, random_state=7)
    vectors = dict(zip(sample["row_number"], clouds(150)[0], strict=True))
    stored = sorted(vectors)
    rows = embeddings(rows=150, test_set="paper").to_pydict() | {
        "row_number": stored,
        "label": test.set_index("row_number")["label"][stored].to_list(),
        "embedding": [vectors[row] for row in stored],
    }
    rows = pa.Table.from_pydict(rows, schema=TABLES["inference.embeddings"].arrow)
    return pairs, sample, rows


def figures(rows, *, drawn):
    found = {}
    for table in ("evaluation.embedding_probe", "evaluation.cluster_quality"):
        for row in embedding_rows(rows, table=table, spec=SPEC, drawn=drawn).to_pylist():
            found[row["metric"]] = row["value"]
    return found


def test_rows_are_taken_in_the_order_in_which_pandas_draws_them_however_they_are_stored(paper):
    pairs, sample, rows = paper
    drawn = drawn_rows(pairs, samplers=SAMPLERS, spec=SPEC)
    assert list(drawn) == ["paper"]
    assert drawn["paper"].tolist() == sample["row_number"].to_list()
    inside = rows.to_pandas().set_index("row_number").loc[sample["row_number"]]
    matrix, labels = np.stack(inside["embedding"].to_list()), inside["label"].to_numpy()
    shuffled = rows.take(np.random.default_rng(0).permutation(len(rows)))
    for each in (rows, shuffled):
        found = figures(each, drawn=drawn)
        assert found["probe_accuracy_notebook"] == recipe_of_the_probe(matrix, labels)
        assert found["silhouette_notebook"] == pytest.approx(
            recipe_of_the_silhouette(matrix, labels), abs=1e-6
        )
    assert not {"probe_accuracy_notebook", "silhouette_notebook"} & set(figures(rows, drawn={}))


def test_a_part_of_the_sample_keeps_its_order_and_strange_rows_raise():
    part = pa.table({"row_number": [2, 5, 9]})
    assert order_drawn(part, drawn=np.array([9, 1, 5, 2]), subject="t").tolist() == [2, 1, 0]
    with pytest.raises(EvaluationError, match=r"2 of 3 rows.*sample of the present dataset"):
        order_drawn(part, drawn=np.array([5, 1]), subject="t")
