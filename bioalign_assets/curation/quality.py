"""Checks of a dataset: what must hold for its rows, each a pure function that says what it found.

Checks only look; nothing is mended or raised here. The asset checks of the room call these.
"""

from collections.abc import Callable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.curation.identity import LINK, statements
from bioalign_assets.findings import Finding

__all__ = [
    "QUALITY_CHECKS",
    "label_balance",
    "no_positive_among_negatives",
    "no_text_in_both_splits",
    "text_form",
    "unique_pairs",
]


def label_balance(pairs: pa.Table) -> Finding:
    """Check that there are as many negatives as positives, and at least one of each.

    :param pairs: ``curation.pairs`` of one dataset
    """
    counts = {
        f"{split}_{name}": _rows_where(pairs, split=split, label=label)
        for split in ("train", "test")
        for name, label in (("positives", 1), ("negatives", 0))
    }
    positives = counts["train_positives"] + counts["test_positives"]
    negatives = pairs.num_rows - positives
    return Finding(
        passed=positives == negatives > 0,
        summary=f"{positives:,} positives and {negatives:,} negatives",
        counts={"positives": positives, "negatives": negatives, **counts},
    )


def unique_pairs(pairs: pa.Table) -> Finding:
    """Check that no gene-disease pair stands in the dataset twice; one that stands thrice is two repeats.

    :param pairs: ``curation.pairs`` of one dataset
    """
    distinct = pairs.group_by(["gene_symbol", "disease_name"]).aggregate([]).num_rows
    repeated = pairs.num_rows - distinct
    return Finding(
        passed=repeated == 0,
        summary=f"{repeated:,} of {pairs.num_rows:,} rows repeat a pair that stands before",
        counts={"rows": pairs.num_rows, "repeated": repeated},
    )


def no_positive_among_negatives(pairs: pa.Table) -> Finding:
    """Check that no negative has the text of a positive.

    :param pairs: ``curation.pairs`` of one dataset
    """
    is_positive = pc.equal(pairs["label"], 1)
    negatives = pairs["text"].filter(pc.invert(is_positive))
    mislabelled = _true(pc.is_in(negatives, value_set=pc.unique(pairs["text"].filter(is_positive))))
    return Finding(
        passed=mislabelled == 0,
        summary=f"{mislabelled:,} of {len(negatives):,} negatives have the text of a positive",
        counts={"negatives": len(negatives), "mislabelled": mislabelled},
    )


def no_text_in_both_splits(pairs: pa.Table) -> Finding:
    """Check that no text of the test split was there to be learnt by heart.

    :param pairs: ``curation.pairs`` of one dataset
    """
    test = pc.unique(pairs["text"].filter(pc.equal(pairs["split"], "test")))
    train = pc.unique(pairs["text"].filter(pc.equal(pairs["split"], "train")))
    shared = _true(pc.is_in(test, value_set=train))
    return Finding(
        passed=shared == 0,
        summary=f"{shared:,} of {len(test):,} test texts stand in train too",
        counts={"test_texts": len(test), "texts_in_both_splits": shared},
    )


def text_form(pairs: pa.Table) -> Finding:
    """Check that each text is ``{gene} is associated with {disease}`` and that neither name is blank.

    :param pairs: ``curation.pairs`` of one dataset
    """
    genes, diseases = pairs["gene_symbol"], pairs["disease_name"]
    malformed = _true(pc.not_equal(pairs["text"], statements(genes, diseases)))
    blank = _true(pc.or_(_is_blank(genes), _is_blank(diseases)))
    return Finding(
        passed=malformed == 0 and blank == 0,
        summary=f"{malformed:,} of {pairs.num_rows:,} texts are not '<gene>{LINK}<disease>', "
        f"{blank:,} rows have a blank name",
        counts={"rows": pairs.num_rows, "malformed": malformed, "blank": blank},
    )


def _rows_where(pairs: pa.Table, *, split: str, label: int) -> int:
    return _true(pc.and_(pc.equal(pairs["split"], split), pc.equal(pairs["label"], label)))


def _is_blank(names: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(names)), 0)


def _true(flags: pa.ChunkedArray) -> int:
    return int(pc.sum(flags, min_count=0).as_py())


QUALITY_CHECKS: Mapping[str, Callable[[pa.Table], Finding]] = {
    check.__name__: check
    for check in (label_balance, unique_pairs, no_positive_among_negatives, no_text_in_both_splits, text_form)
}
"""Every check by name. The published pair split fails unique_pairs and no_text_in_both_splits."""
