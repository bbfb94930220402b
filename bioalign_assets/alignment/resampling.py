"""How far a figure could be another one over other names: bootstrap replicates, the same draws for any representation.

Names are drawn with replacement (entities, not pairs: pairs that share a name vary together), and a pair counts as
often as both of its names were drawn, a name with itself never. Ranks, neighbours and maps are held as they are over
all names: a correlation of held ranks is a ratio of quadratic forms w'Sw of how often each name was drawn (w), so all
replicates are a few products of matrices. For edges, genes and diseases are drawn independently, and an edge counts as
the product of its ends (pigeonhole bootstrap: Owen 2007, https://doi.org/10.1214/07-AOAS122), which errs on the wide
side. The graph is held; its chance is what the nulls are for.

Two representations are compared by the differences of their replicates, made with generators in the same state.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from bioalign_assets.alignment.edges import cosines_of_edges, fitted_map
from bioalign_assets.alignment.graph import Places
from bioalign_assets.alignment.measures import MEASURES, Comparison, Target
from bioalign_assets.alignment.neighbours import mutual_shares
from bioalign_assets.alignment.vectors import Representation
from bioalign_assets.models.threads import in_threads

__all__ = ["replicates", "replicates_of"]

Floats = npt.NDArray[np.floating[Any]]
Doubles = npt.NDArray[np.float64]

_RESAMPLES_AT_ONCE = 64


def replicates(
    vectors: Representation, *, target: Target, resamples: int = 1_000, rng: np.random.Generator
) -> dict[str, Doubles]:
    """Return the figures of a representation over resampled names; shape (resamples,) each.

    :param rng: what is drawn hangs on it and the target alone: pass one in the same state for each representation
    """
    found: dict[str, Doubles] = {}
    for each in target.comparisons:
        units = vectors.of(each.kind)[each.core]
        found |= replicates_of(units, comparison=each, resamples=resamples, rng=rng)
    edges, held_out = target.rewirings.graph, target.held_out.graph
    if vectors.share_space:
        cosine = cosines_of_edges(vectors, gene=edges.gene, disease=edges.disease)
        found["edge_cosine"] = _mean_of_edges(
            cosine, gene=edges.gene, disease=edges.disease, resamples=resamples, rng=rng.spawn(1)[0]
        )
    turned = fitted_map(vectors, gene=target.fitted.graph.gene, disease=target.fitted.graph.disease)
    cosine = cosines_of_edges(turned, gene=held_out.gene, disease=held_out.disease)
    found["edge_procrustes"] = _mean_of_edges(
        cosine, gene=held_out.gene, disease=held_out.disease, resamples=resamples, rng=rng
    )
    return {name: found[name] for name in MEASURES if name in found}


def replicates_of(
    units: Floats, *, comparison: Comparison, resamples: int, rng: np.random.Generator
) -> dict[str, Doubles]:
    """Return the same of one comparison alone; shape (resamples,) each.

    :param units: of the comparison's names, centred and at length one; shape (names, width)
    """
    drawn = _drawn(len(comparison.core), resamples=resamples, rng=rng)
    vectors, rest = comparison.columns_of(units)
    graph = comparison.ranks.dense()
    found = {
        f"{comparison.name}_rsa": _correlations(vectors, graph, drawn=drawn),
        f"{comparison.name}_partial_rsa": _correlations(
            rest, comparison.covariates.rest_of(graph), drawn=drawn
        ),
    }
    if comparison.neighbours is not None:
        shares = mutual_shares(units, neighbours=comparison.neighbours[:1])[0]
        found[f"{comparison.name}_mutual_knn"] = drawn @ shares / len(shares)
    return found


def _correlations(first: Doubles, second: Doubles, *, drawn: Floats) -> Doubles:
    """Return Pearson's r of two figures of pairs on each resample of names; 0 where one of them does not vary.

    :param first: of mean zero, shape (pairs,)
    :param second: of mean zero, shape (pairs,)
    :param drawn: how often each name was drawn, shape (resamples, names)
    """
    first, second = (each / (each.std() or 1.0) for each in (first, second))
    pairs = (drawn.sum(axis=1, dtype=np.float64) ** 2 - (drawn**2).sum(axis=1, dtype=np.float64)) / 2
    mean_1, mean_2, square_1, square_2, both = (
        sums / pairs
        for sums in in_threads(
            lambda each: _sums(each, drawn=drawn), (first, second, first**2, second**2, first * second)
        )
    )
    spread = np.sqrt(np.maximum((square_1 - mean_1**2) * (square_2 - mean_2**2), 0.0))
    return np.divide(both - mean_1 * mean_2, spread, out=np.zeros(len(drawn)), where=spread > 1e-9)


def _sums(figure: Doubles, *, drawn: Floats) -> Doubles:
    """Return the sum of a figure of pairs over each resample's pairs; shape (resamples,)."""
    size = drawn.shape[1]
    square = np.zeros((size, size), dtype=np.float32)
    square[np.triu_indices(size, 1)] = figure
    # one triangle is enough: w'Sw of both counts each pair twice
    return np.einsum("bn,bn->b", drawn @ square, drawn, dtype=np.float64)


def _drawn(names: int, *, resamples: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return how often each name is drawn; shape (resamples, names)."""
    # as a multinomial of equal chances, in a tenth of its time
    draws = rng.integers(names, size=(resamples, names)) + np.arange(resamples)[:, None] * names
    return (
        np.bincount(draws.ravel(), minlength=resamples * names).reshape(resamples, names).astype(np.float32)
    )


def _mean_of_edges(
    cosine: Doubles, *, gene: Places, disease: Places, resamples: int, rng: np.random.Generator
) -> Doubles:
    """Return the mean over each resample's edges; that over all where a resample has none; shape (resamples,)."""
    ends = [np.unique(each, return_inverse=True)[1] for each in (gene, disease)]
    found = []
    for start in range(0, resamples, _RESAMPLES_AT_ONCE):
        count = min(_RESAMPLES_AT_ONCE, resamples - start)
        of_gene, of_disease = (_drawn(each.max() + 1, resamples=count, rng=rng)[:, each] for each in ends)
        weights = of_gene * of_disease
        total = weights.sum(axis=1, dtype=np.float64)
        found.append(np.divide(weights @ cosine, total, out=np.full(count, cosine.mean()), where=total > 0))
    return np.concatenate(found)
