"""What of its test sets a variant is asked: rows, link queries, and the names that stand in the rows."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.inference.candidates import LinkQueries, link_queries
from bioalign_assets.inference.sample import evaluation_sample
from bioalign_assets.study import Study, Variant

__all__ = ["distinct_names", "queries_of", "samples_of"]


def samples_of(variant: Variant, *, study: Study, pairs: pa.Table) -> dict[str, pa.Table]:
    """Return the test rows that a variant is asked about, by test set.

    Rows whose text the variant was trained on through another dataset are left out; a dataset's own flaws
    (a text in both of its splits) stay, because the figures of that dataset are made with them.

    :param pairs: rows of ``curation.pairs`` of every dataset that the variant reads
    """
    return {
        name: evaluation_sample(
            rows,
            size=study.evaluation.most_rows,
            seed=study.evaluation.seed,
            sampler=study.datasets[name].sampler,
            seen_texts=seen,
        )
        for name, rows, seen in _test_sets(variant, study=study, pairs=pairs)
    }


def queries_of(variant: Variant, *, study: Study, pairs: pa.Table) -> dict[str, LinkQueries]:
    """Return the link queries that a variant is asked, by test set; pairs that it was trained on are left out.

    :param pairs: rows of ``curation.pairs`` of every dataset that the variant reads
    """
    spec = study.evaluation
    return {
        name: link_queries(rows, size=spec.link_queries, seed=spec.seed, seen_texts=seen)
        for name, rows, seen in _test_sets(variant, study=study, pairs=pairs)
    }


def distinct_names(sample: pa.Table) -> pa.Table:
    """Return the distinct genes, then the distinct diseases of some pairs, each in order of first appearance.

    A name that is both a gene's and a disease's stands twice.

    :param sample: with the columns gene_symbol and disease_name of ``curation.pairs``
    :returns: columns kind (gene or disease) and name
    """
    parts = [
        pa.table({"kind": [kind] * len(names), "name": names})
        for kind, names in (
            ("gene", pc.unique(sample["gene_symbol"])),
            ("disease", pc.unique(sample["disease_name"])),
        )
    ]
    return pa.concat_tables(parts)


def _test_sets(
    variant: Variant, *, study: Study, pairs: pa.Table
) -> Iterator[tuple[str, pa.Table, pa.ChunkedArray | None]]:
    """Give the name and rows of each test set of a variant, and the texts of another one that it was trained on."""
    trained_on = study.training_dataset(variant)
    seen = None
    if trained_on is not None:
        is_seen = pc.and_(pc.equal(pairs["dataset"], trained_on), pc.equal(pairs["split"], "train"))
        seen = pairs.filter(is_seen)["text"]
    for name in study.experiments[variant.experiment].evaluate_on:
        rows = pairs.filter(pc.equal(pairs["dataset"], name))
        yield name, rows, seen if name != trained_on else None
