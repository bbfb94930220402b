"""The names of a graph: a name without tokens stands at the mean of its kind, and moves no other."""

import numpy as np
import pytest

from bioalign_assets.errors import EvaluationError
from bioalign_assets.inference.names_of_graph import _with_silent


def test_a_name_that_the_tokenizer_turns_into_nothing_stands_at_the_mean():
    said = np.array([True, False, True, True, False])
    of_gene = np.array([True, True, True, False, False])
    vectors = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    found = _with_silent(vectors, said=said, of_gene=of_gene)
    assert (found[:, said] == vectors).all()
    assert np.allclose(found[:, 1], vectors[:, :2].mean(axis=1))
    assert (found[:, 4] == vectors[:, 2]).all()
    assert _with_silent(vectors, said=np.ones(3, bool), of_gene=of_gene[:3]) is vectors
    with pytest.raises(EvaluationError, match="names of the diseases"):
        _with_silent(
            vectors[:, :2], said=np.array([True, True, False]), of_gene=np.array([True, True, False])
        )
