"""What stands beside the language models: vectors of chance, of spelling alone, and of a graph."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import svds
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from bioalign_assets.alignment.graph import Graph
from bioalign_assets.alignment.similarities import NGRAMS
from bioalign_assets.alignment.vectors import Representation, representation

__all__ = ["graph_factors", "lsa_of_names", "random_vectors", "vectors_by_name"]

_LSA = 100  # dimensions, as latent semantic analysis is usually given (Deerwester et al. 1990)
_FACTORS = 32

Doubles = npt.NDArray[np.float64]


def random_vectors(graph: Graph, *, rng: np.random.Generator, width: int = 100) -> Representation:
    """Return a normal vector for each name: it knows nothing.

    :param width: dimensions
    """
    genes, diseases = (rng.normal(size=(len(names), width)) for names in (graph.genes, graph.diseases))
    return representation(graph, genes=genes, diseases=diseases)


def lsa_of_names(graph: Graph, *, seed: int = 0) -> Representation:
    """Return latent semantic analysis of the spelling of names: it knows the bare names.

    TF-IDF of character n-grams and its 100 first singular vectors (Deerwester, Dumais, Furnas, Landauer and Harshman
    1990), of genes and of diseases apart: a gene's symbol and a disease's words share no spelling that means a thing.

    :param seed: of the randomised decomposition
    """
    genes, diseases = (_lsa(names, seed=seed) for names in (graph.genes, graph.diseases))
    return representation(graph, genes=genes, diseases=diseases, share_space=False)


def graph_factors(graph: Graph, *, width: int = _FACTORS) -> Representation:
    """Return the first singular vectors of a graph's edges, each over the root of its ends' degrees: it knows them.

    The first pair of vectors, which is degree alone, is left out (spectral co-clustering: Dhillon 2001,
    https://doi.org/10.1145/502512.502550).

    :param width: dimensions, at most two below the number of genes and that of diseases
    """
    shape = (len(graph.genes), len(graph.diseases))
    weights = 1 / np.sqrt(graph.degrees("gene")[graph.gene] * graph.degrees("disease")[graph.disease])
    width = min(width, min(shape) - 2)
    left, sizes, right = svds(
        csr_matrix((weights, (graph.gene, graph.disease)), shape=shape), k=width + 1, v0=np.ones(min(shape))
    )
    order = np.argsort(-sizes)[1:]
    scale = np.sqrt(sizes[order])
    return representation(graph, genes=left[:, order] * scale, diseases=right[order].T * scale)


def vectors_by_name(names: pa.Array, *, known: pa.Array, vectors: npt.ArrayLike) -> Doubles:
    """Return the vectors of names of which some are known: the others stand at the mean of these.

    :param names: shape (names,)
    :param known: names with a vector, shape (known,)
    :param vectors: shape (known, width)
    :return: shape (names, width)
    """
    held = np.asarray(vectors, dtype=np.float64)
    place = pc.fill_null(pc.index_in(names, value_set=known), len(held))
    return np.vstack([held, held.mean(axis=0)])[np.asarray(place)]


def _lsa(names: pa.Array, *, seed: int) -> Doubles:
    grams = TfidfVectorizer(**NGRAMS).fit_transform(names.to_pylist())
    width = min(_LSA, *(size - 1 for size in grams.shape))
    return TruncatedSVD(max(1, width), random_state=seed).fit_transform(grams)
