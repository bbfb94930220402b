"""Edge separation: do a gene and a disease that belong together lie closer than two that don't?

The cosine of the embeddings of the bare names, over the pairs of the test set: what link prediction with a dot
product asks of node embeddings (Nickel, Murphy, Tresp and Gabrilovich 2016 review these), here of a language
model's. Which statements were sampled stands in ``inference.embeddings``, their gene and disease in
``curation.pairs``, the vectors of the bare names in ``inference.names``.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.errors import EvaluationError
from bioalign_assets.evaluation.metric import Family, Metric
from bioalign_assets.evaluation.rows import BY_TEST_SET, as_table, groups, labels_of, metric_rows
from bioalign_assets.evaluation.statistic import Mean, Statistic, auroc
from bioalign_assets.inference.vectors import embedding_matrix, unit_vectors
from bioalign_assets.study.evaluation import EvaluationSpec

__all__ = ["EDGE_SEPARATION", "cosines_of_rows", "edge_cosines", "edge_rows", "edge_separation"]

_ROWS_AT_ONCE = 1024

Floats = npt.NDArray[np.floating[Any]]
Places = npt.NDArray[np.integer[Any]]


def edge_rows(embeddings: pa.Table, *, names: pa.Table, pairs: pa.Table, spec: EvaluationSpec) -> pa.Table:
    """Return edge separation and edge AUROC by test set, over the rows that the statements' figures are of.

    :param embeddings: schema ``inference.embeddings``: says which rows were sampled (its vectors are not read)
    :param names: schema ``inference.names``, of the same variants
    :param pairs: schema ``curation.pairs``, every test set's dataset
    :returns: schema ``evaluation.kg_separation``
    :raises EvaluationError: if there are no rows, one label only, unusable vectors, or a row whose pair or whose
        names are not there
    """
    rows: list[dict[str, Any]] = []
    sampled = embeddings.drop_columns(["embedding"])
    for key, group, subject in groups(sampled, by=BY_TEST_SET, table="inference.embeddings"):
        labels = labels_of(group, subject=subject)
        cosines = cosines_of_rows(group, names=names, pairs=pairs)
        statistics = edge_separation(cosines, labels=labels)
        rows += metric_rows(EDGE_SEPARATION, statistics=statistics, key=key, spec=spec)
    return as_table(rows, name=EDGE_SEPARATION.table)


def cosines_of_rows(rows: pa.Table, *, names: pa.Table, pairs: pa.Table) -> npt.NDArray[np.float64]:
    """Return the cosine of gene and disease of each row.

    :param rows: with row_number and pair_id, of one variant on one test set, at least one
    :param names: schema ``inference.names``, that variant's on that test set among them
    :param pairs: schema ``curation.pairs``, that test set's dataset among them
    :returns: in [-1, 1], shape (rows,)
    :raises EvaluationError: if a pair or a name is not there, or a vector can't be used
    """
    variant, test_set = (rows[name][0].as_py() for name in ("variant", "test_set"))
    own = names.filter(pc.and_(pc.equal(names["variant"], variant), pc.equal(names["test_set"], test_set)))
    dataset = pairs.filter(pc.equal(pairs["dataset"], test_set))
    places = pc.index_in(rows["row_number"], value_set=dataset["row_number"].combine_chunks())
    statements = dataset.select(["pair_id", "gene_symbol", "disease_name"]).take(places)
    # a place that is not there gives an empty pair_id
    same = pc.fill_null(pc.equal(statements["pair_id"], rows["pair_id"]), False)  # noqa: FBT003 - Arrow's
    if strange := len(rows) - pc.sum(same).as_py():
        raise EvaluationError(
            f"inference.embeddings on {test_set}",
            found=f"{strange} of {len(rows)} rows that are other pairs in curation.pairs, or none",
            expected="the rows of the present dataset",
            remedy=f"Materialise inference/embeddings and inference/names again: {test_set} was built anew since.",
        )
    found = [
        _vectors(own, wanted=statements[column], kind=kind, subject=f"inference.names ({kind}) on {test_set}")
        for kind, column in (("gene", "gene_symbol"), ("disease", "disease_name"))
    ]
    (genes, gene), (diseases, disease) = found
    return edge_cosines(genes, diseases=diseases, gene=gene, disease=disease)


def _vectors(
    names: pa.Table, *, wanted: pa.ChunkedArray, kind: str, subject: str
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return the embeddings of one kind of names, and the place of each wanted name among them."""
    of_kind = names.filter(pc.equal(names["kind"], kind))
    places = pc.index_in(wanted, value_set=of_kind["name"].combine_chunks())
    if places.null_count:
        missing = pc.unique(wanted.filter(pc.is_null(places)))
        raise EvaluationError(
            subject,
            found=f"no embedding of {len(missing)} names, such as {missing[0].as_py()!r}",
            expected="one of every name in the sample",
            remedy="Materialise inference/names again.",
        )
    return embedding_matrix(of_kind["embedding"], subject=subject), places.to_numpy().astype(np.int64)


def edge_cosines(
    genes: Floats, *, diseases: Floats, gene: Places, disease: Places
) -> npt.NDArray[np.float64]:
    """Return the cosine of each pair's two names.

    :param genes: embeddings of distinct genes, shape (g, d), finite, no row all zero
    :param diseases: embeddings of distinct diseases, shape (e, d), likewise
    :param gene: each pair's gene, a row of ``genes``, shape (n,)
    :param disease: each pair's disease, a row of ``diseases``, shape (n,)
    :returns: in [-1, 1], shape (n,)
    :raises EvaluationError: if a vector is not finite or has no length
    """
    if gene.shape != disease.shape:
        raise ValueError(f"shapes differ: {gene.shape} genes, {disease.shape} diseases")
    left, right = unit_vectors(genes), unit_vectors(diseases)
    cosines = np.empty(len(gene))
    # some rows at a time: the two gathered blocks are as wide as the model
    for start in range(0, len(gene), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        cosines[part] = np.einsum("nd,nd->n", left[gene[part]], right[disease[part]])
    return np.clip(cosines, -1.0, 1.0)


class _DifferenceOfMeans(Statistic):
    """The mean cosine of true minus that of false pairs; rows are drawn anew within each label."""

    def __init__(self, cosines: Floats, *, labels: npt.ArrayLike) -> None:
        label = np.asarray(labels)
        self.true, self.false = Mean(cosines[label == 1]), Mean(cosines[label == 0])
        self.n = len(label)
        self.value = self.true.value - self.false.value

    def replicates(self, *, resamples: int, rng: np.random.Generator) -> Floats:
        true = self.true.replicates(resamples=resamples, rng=rng)
        return true - self.false.replicates(resamples=resamples, rng=rng)


def edge_separation(cosines: Floats, *, labels: npt.ArrayLike) -> dict[str, Statistic]:
    """Return how far the cosines of true and false pairs lie apart.

    Intervals: bootstrap over pairs. Pairs share genes and diseases, which the resampling takes for independent:
    where few names stand in many pairs the intervals are too narrow.

    :param cosines: in [-1, 1], shape (n,)
    :param labels: 1 or 0, shape (n,), both present
    :returns: ``edge_separation`` in [-2, 2] and ``edge_auroc`` in [0, 1]
    :raises EvaluationError: if only one label is present
    """
    area = auroc(labels, scores=cosines)
    return {"edge_separation": _DifferenceOfMeans(cosines, labels=labels), "edge_auroc": area}


_NICKEL = "Nickel et al. 2016, https://doi.org/10.1109/JPROC.2015.2483592 (scores of edges from embeddings of nodes)"

EDGE_SEPARATION = Family(
    metrics=(
        Metric(
            name="edge_separation",
            title="Edge separation",
            range=(-2.0, 2.0),
            direction="higher",
            formula="mean over true pairs of cos(embedding of the gene's name, embedding of the disease's name) - "
            "the same over false pairs",
            source=f"Ours, after {_NICKEL}",
            cannot_tell="Whether associations are known: names that CTD has often may lie closer to everything, and "
            "the size of the figure depends on how narrow a cone the model's embeddings fill.",
        ),
        Metric(
            name="edge_auroc",
            title="Edge AUROC",
            range=(0.0, 1.0),
            direction="higher",
            formula="P(cosine of a true pair's names > cosine of a false pair's) + P(equal)/2",
            source=f"Fawcett 2006, https://doi.org/10.1016/j.patrec.2005.10.010, after {_NICKEL}",
            cannot_tell="Whether associations are known: how often a name stands in CTD can order the pairs as well.",
        ),
    ),
    table="evaluation.kg_separation",
    reads="names",
    statistics=edge_separation,
)
