"""The genes and diseases of a dataset, and which of their pairs are known to be true.

A pair is coded as ``gene * number of diseases + disease``, so that a set of pairs is one array of integers.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.curation.identity import LINK, Purpose, mix64, name_hashes

__all__ = ["Universe", "holds", "universe_of"]

Integers = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Universe:
    """All genes and diseases that positives name, in the order in which the positives name them."""

    genes: pa.Array
    """Gene symbols; shape: (n_genes,)"""
    gene_ids: pa.Array
    """NCBI Gene identifiers, one per symbol: that of its first positive; shape: (n_genes,)"""
    diseases: pa.Array
    """Disease names; shape: (n_diseases,)"""
    disease_ids: pa.Array
    """MESH or OMIM identifiers, one per name: that of its first positive; shape: (n_diseases,)"""
    positives: Integers
    """Gene and disease of each positive, by position in the arrays above; shape: (n_positives, 2)"""
    true_codes: Integers
    """Codes of all pairs whose text is a positive's, ascending and distinct; shape: (n_true,)"""

    @property
    def n_negatives(self) -> int:
        """How many pairs can be drawn as negatives."""
        return len(self.genes) * len(self.diseases) - len(self.true_codes)

    def is_true(self, codes: Integers) -> npt.NDArray[np.bool_]:
        """Return whether each pair's text is a positive's. Shape: as ``codes``."""
        return holds(self.true_codes, codes)

    def hashes(self, *, purpose: Purpose, seed: int) -> tuple[Hashes, Hashes]:
        """Return one hash per gene, shape (n_genes,), and one per disease, shape (n_diseases,)."""
        return (
            name_hashes(self.genes.to_pylist(), kind="gene", purpose=purpose, seed=seed),
            name_hashes(self.diseases.to_pylist(), kind="disease", purpose=purpose, seed=seed),
        )

    def pair_hashes(self, pairs: Integers, *, purpose: Purpose, seed: int) -> Hashes:
        """Return one hash per pair.

        :param pairs: gene and disease of each; shape: (n, 2)
        :return: shape: (n,)
        """
        of_genes, of_diseases = self.hashes(purpose=purpose, seed=seed)
        return mix64(of_genes[pairs[:, 0]] + of_diseases[pairs[:, 1]])


def holds(ascending: Integers, values: Integers) -> npt.NDArray[np.bool_]:
    """Return whether each value stands in a sorted array. Shape: as ``values``."""
    if not len(ascending):
        return np.zeros(values.shape, dtype=bool)
    nearest = np.searchsorted(ascending, values)
    nearest[nearest == len(ascending)] = 0
    return np.equal(ascending[nearest], values)


def universe_of(positives: pa.Table) -> Universe:
    """Return the universe that positives span.

    :param positives: gene_symbol, gene_id, disease_name, disease_id; at least one row
    """
    gene_of, genes, gene_ids = _named(positives["gene_symbol"], positives["gene_id"])
    disease_of, diseases, disease_ids = _named(positives["disease_name"], positives["disease_id"])
    codes = gene_of * len(diseases) + disease_of
    twins = list(_same_text(positives, genes=genes, diseases=diseases))
    return Universe(
        genes=genes,
        gene_ids=gene_ids,
        diseases=diseases,
        disease_ids=disease_ids,
        positives=np.stack([gene_of, disease_of], axis=1),
        true_codes=np.unique(np.concatenate([codes, np.array(twins, dtype=np.int64)])),
    )


def _named(names: pa.ChunkedArray, ids: pa.ChunkedArray) -> tuple[Integers, pa.Array, pa.Array]:
    """Return each row's position among the distinct names, the names by first appearance, and their ids."""
    encoded = pa.concat_arrays(names.chunks).dictionary_encode()
    codes = encoded.indices.to_numpy().astype(np.int64)
    _, first = np.unique(codes, return_index=True)
    return codes, encoded.dictionary, pa.concat_arrays(ids.chunks).take(pa.array(first))


def _same_text(positives: pa.Table, *, genes: pa.Array, diseases: pa.Array) -> Iterator[int]:
    """Yield codes of pairs that read like a positive though they are divided elsewhere.

    "A is associated with B is associated with C" is the text of two pairs. That needs a name which holds the
    link's words itself, so only such rows are looked at.
    """
    words = LINK.strip()
    holds = pc.or_(
        pc.match_substring(positives["gene_symbol"], words),
        pc.match_substring(positives["disease_name"], words),
    )
    suspects = positives.select(["gene_symbol", "disease_name"]).filter(holds)
    if not suspects.num_rows:
        return
    gene_at = {name: position for position, name in enumerate(genes.to_pylist())}
    disease_at = {name: position for position, name in enumerate(diseases.to_pylist())}
    for row in suspects.to_pylist():
        text = row["gene_symbol"] + LINK + row["disease_name"]
        at = text.find(LINK)
        while at >= 0:
            gene, disease = text[:at], text[at + len(LINK) :]
            if gene in gene_at and disease in disease_at:
                yield gene_at[gene] * len(diseases) + disease_at[disease]
            at = text.find(LINK, at + 1)
