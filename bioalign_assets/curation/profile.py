"""The figures that describe a dataset: Table 1 of the paper, for every dataset on every release.

Each figure is computed from ``curation.pairs`` alone, so that it says what the rows are, not what was asked
for. Pictures of the same figures are in ``figures.py``.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.curation.classes import class_matrix
from bioalign_assets.curation.promises import NAMES, unmatched
from bioalign_assets.curation.splits import UNSEEN
from bioalign_assets.warehouse.schemas import TABLES

__all__ = ["TOP", "evidence_counts", "most_frequent", "profile_dataset", "text_lengths"]

TOP = 20
"""How many of the most frequent genes and diseases are listed."""

Figure = tuple[str, str, float, str]


def profile_dataset(pairs: pa.Table, *, classes: pa.Table | None = None) -> pa.Table:
    """Return ``curation.profile`` of one dataset: section, name, value, unit of each figure.

    Sections: ``size``; ``text_length`` (``sd`` with n - 1 in the denominator, as pandas has it: 15.4 on the
    published dataset, where n would give the same to three decimals); ``evidence``; ``split``, where
    ``…_only_in_test`` counts genes or diseases that no train row names, and ``test_rows_with_unseen_…`` the
    test rows that hold one; ``frequency``, where ``…_unmatched`` counts the negatives that a name has beyond its
    positives within a split (0 in degree-matched datasets); ``unseen``, the test rows of an entity split by what
    of them stands in no training row; ``classes``, only where the dataset has them; ``most_frequent_gene`` and
    ``most_frequent_disease``, counted over all rows.

    :param pairs: ``curation.pairs`` of one dataset
    :param classes: ``curation.disease_classes`` of it, where it has same-class negatives
    :raises ValueError: if the table holds no positive, or rows of several datasets
    """
    datasets = pc.unique(pairs["dataset"]).to_pylist()
    if len(datasets) != 1:
        raise ValueError(f"a profile describes one dataset, the table holds {len(datasets)}: {datasets}")
    if not pc.any(pc.equal(pairs["label"], 1)).as_py():
        raise ValueError(f"dataset {datasets[0]!r} holds no positive")
    figures = [*_size(pairs), *_text_length(pairs), *_evidence(pairs), *_split(pairs)]
    figures += [*_frequency(pairs), *_unseen(pairs)]
    if classes is not None and len(classes):
        figures += _classes(pairs, classes=classes)
    for kind, column in (("gene", "gene_symbol"), ("disease", "disease_name")):
        figures += [
            (f"most_frequent_{kind}", name, count, "rows")
            for name, count in most_frequent(pairs, column=column)
        ]
    section, name, value, unit = zip(*figures, strict=True)
    return pa.table(
        [datasets * len(figures), section, name, list(map(float, value)), unit],
        schema=TABLES["curation.profile"].arrow,
    )


def text_lengths(pairs: pa.Table) -> npt.NDArray[np.int64]:
    """Return the number of characters of each text. Shape: (rows,)."""
    return pc.utf8_length(pairs["text"]).to_numpy().astype(np.int64)


def evidence_counts(pairs: pa.Table) -> npt.NDArray[np.int64]:
    """Return the number of PubMed ids of each positive. Shape: (positives,)."""
    positives = pairs["pubmed_ids"].filter(pc.equal(pairs["label"], 1))
    return pc.list_value_length(positives).to_numpy().astype(np.int64)


def most_frequent(pairs: pa.Table, *, column: str, top: int = TOP) -> list[tuple[str, int]]:
    """Return the names that stand in most rows, and in how many; equals by their positives, then by name.

    :param column: ``gene_symbol`` or ``disease_name``
    """
    counts = pairs.group_by(column).aggregate([("label", "count"), ("label", "sum")])
    order = [("label_count", "descending"), ("label_sum", "descending"), (column, "ascending")]
    chosen = counts.sort_by(order).slice(0, top)
    return list(zip(chosen[column].to_pylist(), chosen["label_count"].to_pylist(), strict=True))


def _size(pairs: pa.Table) -> Iterator[Figure]:
    positives = _count(pc.equal(pairs["label"], 1))
    yield "size", "rows", pairs.num_rows, "rows"
    yield "size", "positives", positives, "rows"
    yield "size", "negatives", pairs.num_rows - positives, "rows"
    yield "size", "genes", pc.count_distinct(pairs["gene_symbol"]).as_py(), "genes"
    yield "size", "diseases", pc.count_distinct(pairs["disease_name"]).as_py(), "diseases"


def _text_length(pairs: pa.Table) -> Iterator[Figure]:
    lengths = text_lengths(pairs)
    spread = lengths.std(ddof=1) if len(lengths) > 1 else 0.0
    for name, value in (
        ("mean", lengths.mean()),
        ("median", np.median(lengths)),
        ("min", lengths.min()),
        ("max", lengths.max()),
        ("sd", spread),
    ):
        yield "text_length", name, float(value), "characters"


def _evidence(pairs: pa.Table) -> Iterator[Figure]:
    counts = evidence_counts(pairs)
    yield "evidence", "mean", float(counts.mean()), "PubMed ids per positive"
    yield "evidence", "median", float(np.median(counts)), "PubMed ids per positive"
    yield "evidence", "max", int(counts.max()), "PubMed ids per positive"
    yield "evidence", "more_than_one", int((counts > 1).sum()), "positives"
    yield "evidence", "none", int((counts == 0).sum()), "positives"


def _split(pairs: pa.Table) -> Iterator[Figure]:
    is_positive = pc.equal(pairs["label"], 1)
    for split in ("train", "test"):
        rows = pc.equal(pairs["split"], split)
        positives = _count(pc.and_(rows, is_positive))
        yield "split", f"{split}_rows", _count(rows), "rows"
        yield "split", f"{split}_positives", positives, "rows"
        yield "split", f"{split}_negatives", _count(rows) - positives, "rows"
    test, train = (pairs.filter(pc.equal(pairs["split"], split)) for split in ("test", "train"))
    unseen = []
    for kind, kinds, column in (("gene", "genes", "gene_symbol"), ("disease", "diseases", "disease_name")):
        is_unseen = pc.invert(pc.is_in(test[column], value_set=pc.unique(train[column])))
        only_in_test = pc.count_distinct(test[column].filter(is_unseen)).as_py()
        yield "split", f"{kinds}_only_in_test", only_in_test, kinds
        yield "split", f"test_rows_with_unseen_{kind}", _count(is_unseen), "rows"
        unseen.append(is_unseen)
    yield "split", "test_rows_with_unseen_gene_or_disease", _count(pc.or_(*unseen)), "rows"


def _frequency(pairs: pa.Table) -> Iterator[Figure]:
    for split in ("train", "test"):
        rows = pairs.filter(pc.equal(pairs["split"], split))
        for kinds, column in NAMES.items():
            yield "frequency", f"{split}_{kinds}_unmatched", unmatched(rows, column=column), "negatives"


def _unseen(pairs: pa.Table) -> Iterator[Figure]:
    if pairs["unseen"].null_count == len(pairs):
        return
    for kind in UNSEEN:
        for label, name in ((1, "positives"), (0, "negatives")):
            rows = pc.and_(pc.equal(pairs["unseen"], kind), pc.equal(pairs["label"], label))
            yield "unseen", f"{kind}_{name}", _count(rows), "rows"
    yield "unseen", "test_share", 100 * _count(pc.equal(pairs["split"], "test")) / len(pairs), "% of rows"


def _classes(pairs: pa.Table, *, classes: pa.Table) -> Iterator[Figure]:
    flags = class_matrix(classes, disease_ids=pairs["disease_id"])
    labels = pairs["label"].to_numpy()
    yield "classes", "classes", flags.shape[1], "classes"
    for label, name in ((1, "positives"), (0, "negatives")):
        without = int((~flags[labels == label].any(axis=1)).sum())
        yield "classes", f"{name}_without_class", without, "rows"


def _count(flags: pa.ChunkedArray) -> int:
    return int(pc.sum(flags, min_count=0).as_py())
