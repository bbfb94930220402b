"""The character n-gram baseline: how far does spelling get, with no language model behind it?

TF-IDF of the runs of 3 to 5 characters of a statement (across word borders: ``associated with D`` tells where a name
begins) and a logistic regression on them. Families of genes share their first letters and families of diseases
their words, so this reads frequent families where popularity reads frequent names; unlike popularity, it knows
something of names that it never saw. Everything but the n-grams is scikit-learn's default.

n-grams: Cavnar and Trenkle 1994, N-Gram-Based Text Categorization; TF-IDF: Salton and Buckley 1988,
https://doi.org/10.1016/0306-4573(88)90021-0.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from bioalign_assets.evaluation.baseline import PairScorer, training_labels
from bioalign_assets.models.threads import one_thread

__all__ = ["character_ngrams"]

_LENGTHS = (3, 5)
_MOST_STEPS = 1000
_ROWS_AT_ONCE = 16_384  # n-grams of so many rows are in memory at once when they are scored: some 30 MiB


def character_ngrams(train: pa.Table, *, seed: int) -> PairScorer:  # noqa: ARG001 - nothing is drawn
    """Fit a logistic regression on the character n-grams of the training statements.

    :param train: training rows of ``curation.pairs``
    :raises EvaluationError: if the training rows hold one label only
    """
    labels = training_labels(train, baseline="character n-gram")
    model = make_pipeline(
        TfidfVectorizer(analyzer="char", ngram_range=_LENGTHS, dtype=np.float32),
        LogisticRegression(max_iter=_MOST_STEPS),
    )
    with one_thread():
        model.fit(train["text"].to_pylist(), labels)

    def score(rows: pa.Table) -> npt.NDArray[np.floating[Any]]:
        p_true = np.empty(len(rows), dtype=np.float64)
        with one_thread():
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                texts = rows["text"].slice(start, _ROWS_AT_ONCE).to_pylist()
                p_true[start : start + len(texts)] = model.predict_proba(texts)[:, 1]
        return p_true

    return score
