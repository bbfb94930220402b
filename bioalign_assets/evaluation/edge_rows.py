"""From embeddings of names to the rows of edge separation, in ``evaluation.kg_separation``.

Which statements were sampled stands in ``inference.embeddings``, their gene and disease in ``curation.pairs``,
the vectors of the bare names in ``inference.names``.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.evaluation.edges import edge_cosines, edge_separation
from bioalign_assets.evaluation.errors import EvaluationError
from bioalign_assets.evaluation.rows import _GROUP, _groups, _metric_rows, _table, metric_generator
from bioalign_assets.evaluation.vectors import embedding_matrix, labels_of
from bioalign_assets.study.evaluation import EvaluationSpec

__all__ = ["cosines_of_rows", "edge_rows"]


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
    for key, group, subject in _groups(sampled, _GROUP, table="inference.embeddings"):
        labels = labels_of(group, subject=subject)
        test_set = key["test_set"]
        cosines = cosines_of_rows(group, names=_of(names, key), pairs=pairs, test_set=test_set)
        estimates = edge_separation(
            cosines,
            labels,
            resamples=spec.resamples,
            rng_separation=metric_generator(spec, test_set=test_set, metric="edge_separation"),
            rng_auroc=metric_generator(spec, test_set=test_set, metric="edge_auroc"),
        )
        rows += _metric_rows(key, estimates, spec=spec)
    return _table(rows, "evaluation.kg_separation")


def cosines_of_rows(
    rows: pa.Table, *, names: pa.Table, pairs: pa.Table, test_set: str
) -> npt.NDArray[np.float64]:
    """Return the cosine of gene and disease of each row.

    :param rows: with row_number and pair_id, of one test set
    :param names: schema ``inference.names``, of one variant on this test set
    :param pairs: schema ``curation.pairs``
    :returns: in [-1, 1], shape (rows,)
    :raises EvaluationError: if a pair or a name is not there, or a vector can't be used
    """
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
        _vectors(names, wanted=statements[column], kind=kind, test_set=test_set)
        for kind, column in (("gene", "gene_symbol"), ("disease", "disease_name"))
    ]
    (genes, gene), (diseases, disease) = found
    return edge_cosines(genes, diseases, gene=gene, disease=disease)


def _vectors(
    names: pa.Table, *, wanted: pa.ChunkedArray, kind: str, test_set: str
) -> tuple[npt.NDArray[np.floating[Any]], npt.NDArray[np.int64]]:
    """Return the embeddings of one kind of names, and the place of each wanted name among them."""
    subject = f"inference.names ({kind}) on {test_set}"
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


def _of(names: pa.Table, key: dict[str, str]) -> pa.Table:
    chosen = pc.and_(pc.equal(names["variant"], key["variant"]), pc.equal(names["test_set"], key["test_set"]))
    return names.filter(chosen)
