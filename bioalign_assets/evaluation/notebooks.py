"""The study's probe and silhouette, as its published notebooks compute them: to compare with its figures.

What they do that ours don't (``probe.py``, ``clusters.py``): the split of the probe leaves the labels' shares to
chance, dimensions are as large as the model makes them, the regression stops at 1,000 steps, and the t-SNE map is of
the first 400 rows. Both hang on the order in which the sample was drawn, so they are made where a test set is drawn as
theirs (``sampler = "published"``), and nowhere else. Their random state is 42, whatever the study's seed.
"""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_samples
from sklearn.model_selection import train_test_split

from bioalign_assets.errors import EvaluationError
from bioalign_assets.evaluation.metric import Family, Metric
from bioalign_assets.evaluation.statistic import Mean, Share
from bioalign_assets.inference.sample import Sampler, evaluation_sample
from bioalign_assets.models.threads import one_thread
from bioalign_assets.study.evaluation import EvaluationSpec

__all__ = [
    "PROBE_NOTEBOOK",
    "SILHOUETTE_NOTEBOOK",
    "drawn_rows",
    "order_drawn",
    "probe_notebook",
    "silhouette_notebook",
]

_RANDOM_STATE = 42
_TEST_SHARE = 0.3
_MOST_STEPS = 1_000
_MAPPED = 400
_PERPLEXITY = 30  # TSNE's default; it needs more rows than that

Floats = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.integer[Any]]


def drawn_rows(
    pairs: pa.Table, *, samplers: Mapping[str, Sampler], spec: EvaluationSpec
) -> dict[str, npt.NDArray[np.int64]]:
    """Return the row numbers of each sample that is drawn as the notebooks', in the order in which they are drawn.

    :param pairs: schema ``curation.pairs``
    :param samplers: of each dataset that may be among them
    :returns: by dataset; those with another sampler are not there
    """
    return {
        name: evaluation_sample(
            pairs.filter(pc.equal(pairs["dataset"], name)),
            size=spec.most_rows,
            seed=spec.seed,
            sampler="published",
        )["row_number"].to_numpy()
        for name in pc.unique(pairs["dataset"]).to_pylist()
        if samplers[name] == "published"
    }


def order_drawn(
    rows: pa.Table, *, drawn: npt.NDArray[np.int64], subject: str
) -> npt.NDArray[np.integer[Any]]:
    """Return the places of rows of a sample (all or some of it) in the order in which they were drawn.

    :param rows: with the column row_number
    :param drawn: row numbers of the whole sample, in that order
    :raises EvaluationError: if a row is none of the sample
    """
    places = pc.index_in(rows["row_number"], value_set=pa.array(drawn))
    if places.null_count:
        raise EvaluationError(
            subject,
            found=f"{places.null_count} of {len(rows)} rows that are not in the sample of the present dataset",
            expected="rows of it",
            remedy="Materialise inference/embeddings again: the dataset was built anew since.",
        )
    return np.argsort(places.to_numpy())


def probe_notebook(embeddings: Floats, *, labels: Labels) -> dict[str, Share]:
    """Return the accuracy of the notebooks' probe.

    :param embeddings: shape (n, d), finite, as the model gave them, in the order drawn
    :param labels: 1 or 0, shape (n,)
    :returns: ``probe_accuracy_notebook`` in [0, 1]; n counts the scored rows. Nothing where chance put one label alone
        into the 70%: no regression can be fitted there
    """
    train, test, of_train, of_test = train_test_split(
        embeddings, labels, test_size=_TEST_SHARE, random_state=_RANDOM_STATE
    )
    if len(np.unique(of_train)) < 2:
        return {}
    model = LogisticRegression(random_state=_RANDOM_STATE, max_iter=_MOST_STEPS)
    with one_thread(), warnings.catch_warnings():
        # on unscaled embeddings it may stop before it has converged, there as here
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(train, of_train)
    return {"probe_accuracy_notebook": Share(model.predict(test) == of_test)}


def silhouette_notebook(embeddings: Floats, *, labels: Labels) -> dict[str, Mean]:
    """Return the silhouette by label of the notebooks' t-SNE map. The interval is conditional on the map.

    :param embeddings: shape (n, d), finite, in the order drawn
    :param labels: 1 or 0, shape (n,)
    :returns: ``silhouette_notebook`` in [-1, 1]. Nothing where the first 400 rows hold one label alone, or there are
        no more rows than neighbours that t-SNE looks at (30): theirs ends in an error there
    """
    mapped, label = embeddings[:_MAPPED], labels[:_MAPPED]
    if len(mapped) <= _PERPLEXITY or len(np.unique(label)) < 2:
        return {}
    # t-SNE is chaotic: a last bit that hangs on the number of threads could become another map
    with one_thread():
        places = TSNE(n_components=2, random_state=_RANDOM_STATE).fit_transform(mapped)
    return {"silhouette_notebook": Mean(silhouette_samples(places, label))}


_STUDY = (
    "Ziad, Khan and Karim 2025, Quantifying the Structural Alignment of LLM Embeddings, published notebooks"
)

PROBE_NOTEBOOK = Family(
    metrics=(
        Metric(
            name="probe_accuracy_notebook",
            title="Probe accuracy, the notebooks'",
            range=(0.0, 1.0),
            direction="higher",
            formula="share of right predictions of a logistic regression (at most 1,000 steps) on embeddings as they "
            "are, fitted on 70% and scored on 30% of the rows as drawn: not stratified, not scaled, random state 42; "
            "on test sets with the sampler published",
            source=_STUDY,
            cannot_tell="How much the label can be read from the embeddings: one draw of few rows decides it, the "
            "penalty weighs large dimensions less than small ones, and popular names give the label away.",
        ),
    ),
    table="evaluation.embedding_probe",
    reads="drawn",
    statistics=probe_notebook,
)

SILHOUETTE_NOTEBOOK = Family(
    metrics=(
        Metric(
            name="silhouette_notebook",
            title="Silhouette of the t-SNE map, the notebooks'",
            range=(-1.0, 1.0),
            direction="higher",
            formula="mean over the first 400 rows as drawn of (b - a) / max(a, b); a, b: mean distance on their t-SNE "
            "map (perplexity 30, random state 42) to the own and to the other label; on test sets with the sampler "
            "published",
            source=_STUDY,
            cannot_tell="How the classes lie in the full space: t-SNE keeps neighbourhoods, not distances, and "
            "another 400 rows or another random state give another map.",
        ),
    ),
    table="evaluation.cluster_quality",
    reads="drawn",
    statistics=silhouette_notebook,
)
