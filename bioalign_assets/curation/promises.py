"""Checks of what a kind of dataset promises: equal frequencies, shared classes, names held out of training.

Each is a pure function of the stored rows that says what it found, also for datasets that make no such promise:
there it always passes, and the counts tell by how much they would fail. What every dataset must hold is in
``quality.py``.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.curation.classes import class_matrix
from bioalign_assets.findings import Finding
from bioalign_assets.study.datasets import DatasetSpec

__all__ = ["NAMES", "classes_shared", "entities_held_out", "frequencies_match", "promises_kept", "unmatched"]

NAMES: Mapping[str, str] = {"genes": "gene_symbol", "diseases": "disease_name"}
"""What pairs are made of, and the column that names it."""


def frequencies_match(pairs: pa.Table, *, spec: DatasetSpec) -> Finding:
    """Check that each gene and each disease stands in as many negatives as positives of each split.

    :param pairs: ``curation.pairs`` of one dataset
    """
    counts = {
        f"{split}_{kind}_unmatched": unmatched(
            pairs.filter(pc.equal(pairs["split"], split)), column=NAMES[kind]
        )
        for split in ("train", "test")
        for kind in NAMES
    }
    told = ", ".join(
        f"{count:,} by {name.split('_')[1]} in {name.split('_')[0]}" for name, count in counts.items()
    )
    return _finding(
        passed=not any(counts.values()),
        promised=spec.negatives == "degree-matched",
        summary=f"negatives beyond the number of positives with the same name: {told}",
        counts=counts,
    )


def classes_shared(pairs: pa.Table, *, spec: DatasetSpec, classes: pa.Table) -> Finding:
    """Check that each negative's disease shares a class with a true disease of its gene.

    :param pairs: ``curation.pairs`` of one dataset
    :param classes: ``curation.disease_classes`` of it; no row where the dataset needs none
    :raises CurationError: if none of the dataset's diseases has a class
    """
    if not len(classes):
        return _finding(
            passed=False, promised=spec.needs_classes, summary="no class of any disease", counts={}
        )
    genes, diseases = (_codes(pairs[column]) for column in ("gene_symbol", "disease_id"))
    ids = pc.unique(pairs["disease_id"])
    flags = class_matrix(classes, disease_ids=ids)
    is_positive = pairs["label"].to_numpy() == 1
    of_genes = np.zeros((int(genes.max()) + 1, flags.shape[1]), dtype=bool)
    np.logical_or.at(of_genes, genes[is_positive], flags[diseases[is_positive]])
    shares = (of_genes[genes[~is_positive]] & flags[diseases[~is_positive]]).any(axis=1)
    foreign = int((~shares).sum())
    return _finding(
        passed=not foreign,
        promised=spec.needs_classes,
        summary=f"{foreign:,} of {len(shares):,} negatives share no class with a true disease of their gene",
        counts={"negatives": len(shares), "without_shared_class": foreign, "classes": flags.shape[1]},
    )


def entities_held_out(pairs: pa.Table, *, spec: DatasetSpec) -> Finding:
    """Check that each test row names a gene or disease that no training row names, and says truly which.

    Counts of each part are there too, and in each there must be as many negatives as positives if the sampler is
    the stable one (the published one draws before it divides).

    :param pairs: ``curation.pairs`` of one dataset
    """
    is_test = pairs["split"].to_numpy(zero_copy_only=False) == "test"
    new_gene, new_disease = (
        ~np.isin(codes, codes[~is_test]) for codes in (_codes(pairs[column]) for column in NAMES.values())
    )
    names = np.array(["", "gene", "disease", "both"])
    true = np.where(is_test, names[new_gene + 2 * new_disease], "")
    said = pc.fill_null(pairs["unseen"], "").to_numpy(zero_copy_only=False).astype(str)
    labels = pairs["label"].to_numpy()
    counts = {
        "test_rows_with_both_seen": int((is_test & (true == "")).sum()),
        "rows_that_say_otherwise": int((said != true).sum()),
    }
    lopsided = 0
    for name in names[1:].tolist():
        of_part = labels[true == name]
        counts[f"unseen_{name}"] = len(of_part)
        lopsided += abs(int((of_part == 1).sum()) - int((of_part == 0).sum()))
    is_even = lopsided == 0 or spec.sampler == "published"
    return _finding(
        passed=not counts["test_rows_with_both_seen"] and not counts["rows_that_say_otherwise"] and is_even,
        promised=spec.split == "entity",
        summary=f"{counts['test_rows_with_both_seen']:,} of {int(is_test.sum()):,} test rows have a gene and a disease "
        f"of training rows; {counts['rows_that_say_otherwise']:,} rows say something else in unseen than holds; "
        f"unseen gene {counts['unseen_gene']:,}, disease {counts['unseen_disease']:,}, both "
        f"{counts['unseen_both']:,}, where one label has {lopsided:,} rows more",
        counts=counts,
    )


def promises_kept(pairs: pa.Table, *, spec: DatasetSpec, classes: pa.Table | None) -> Iterator[Finding]:
    """Give what was found about each promise that a dataset makes."""
    if spec.negatives == "degree-matched":
        yield frequencies_match(pairs, spec=spec)
    if spec.needs_classes and classes is not None:
        yield classes_shared(pairs, spec=spec, classes=classes)
    if spec.split == "entity":
        yield entities_held_out(pairs, spec=spec)


def unmatched(pairs: pa.Table, *, column: str) -> int:
    """Return how many negatives stand beyond the positives of the same name, or positives beyond the negatives.

    Summed over the names; the larger of the two sums (they are equal where there are as many of both labels).
    """
    codes, labels = _codes(pairs[column]), pairs["label"].to_numpy()
    size = int(codes.max(initial=-1)) + 1
    positives, negatives = (np.bincount(codes[labels == label], minlength=size) for label in (1, 0))
    return max(
        int(np.maximum(more - less, 0).sum())
        for more, less in ((negatives, positives), (positives, negatives))
    )


def _finding(*, passed: bool, promised: bool, summary: str, counts: dict[str, int]) -> Finding:
    if promised:
        return Finding(passed=passed, summary=summary, counts=counts)
    return Finding(passed=True, summary=f"Not promised by this dataset; {summary}", counts=counts)


def _codes(names: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Return each row's position among the distinct names. Shape: (rows,)."""
    return pc.index_in(names, value_set=pc.unique(names)).to_numpy().astype(np.int64)
