"""From associations to one labelled dataset: positives, negatives, split, table.

Only the order of the steps and the making of the table belong here; each step has its own file.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bioalign_assets.curation.identity import pair_ids, statements
from bioalign_assets.curation.negatives import PUBLISHED, STABLE
from bioalign_assets.curation.positives import published_positives, stable_positives
from bioalign_assets.curation.quality import QUALITY_CHECKS
from bioalign_assets.curation.spec import DatasetSpec
from bioalign_assets.curation.splits import (
    Layout,
    published_entity_split,
    published_pair_split,
    stable_pair_split,
)
from bioalign_assets.curation.universe import Universe, universe_of
from bioalign_assets.errors import CurationError
from bioalign_assets.warehouse.schemas import TABLES

__all__ = ["build_dataset"]

Integers = npt.NDArray[np.int64]

_CHUNK = 1 << 20
"""Rows of the table that are made at once: an Arrow string array holds 2 GiB of text at most."""


def build_dataset(associations: pa.Table, *, spec: DatasetSpec) -> pa.Table:
    """Return ``curation.pairs`` of one dataset: as many negatives as positives, each in train or test.

    ``published``: train before test, each in the order of the paper's files. ``stable``: rows ordered by a
    hash of the pair, so that labels and splits are mixed; no pair stands twice and no text in both splits,
    which is verified before the table is returned.

    :param associations: ``ctd.associations``
    :return: schema ``TABLES["curation.pairs"].arrow``, rows by ``row_number``
    :raises CurationError: if nothing is curated, there are too few negatives or rows for the split, or the
        stable dataset breaks one of its promises
    """
    build = _published if spec.sampler == "published" else _stable
    pairs = build(associations, spec=spec)
    if spec.sampler == "stable":
        _verify(pairs, spec=spec)
    return pairs


def _published(associations: pa.Table, *, spec: DatasetSpec) -> pa.Table:
    positives = published_positives(associations)
    universe = universe_of(positives)
    # one generator for both: the entity split goes on where the draw of the negatives ended
    generator = np.random.default_rng(spec.seed)
    negatives = PUBLISHED[spec.negatives](universe, count=positives.num_rows, generator=generator)
    codes = np.concatenate([universe.positives, negatives])
    if spec.split == "entity":
        layout: Layout = published_entity_split(
            codes,
            n_genes=len(universe.genes),
            n_diseases=len(universe.diseases),
            held_out_share=spec.held_out_share,
            seed=spec.seed,
            generator=generator,
        )
    else:
        layout = published_pair_split(
            _labels(positives.num_rows, len(negatives)), test_share=spec.test_share, seed=spec.seed
        )
    return _table(positives, universe=universe, codes=codes, layout=layout, dataset=spec.name)


def _stable(associations: pa.Table, *, spec: DatasetSpec) -> pa.Table:
    positives = stable_positives(associations)
    universe = universe_of(positives)
    negatives = STABLE[spec.negatives](universe, count=positives.num_rows, seed=spec.seed)
    codes = np.concatenate([universe.positives, negatives])
    layout = stable_pair_split(
        _labels(positives.num_rows, len(negatives)),
        split_hashes=universe.pair_hashes(codes, purpose="split", seed=spec.seed),
        order_hashes=universe.pair_hashes(codes, purpose="order", seed=spec.seed),
        test_share=spec.test_share,
    )
    return _table(positives, universe=universe, codes=codes, layout=layout, dataset=spec.name)


def _labels(n_positives: int, n_negatives: int) -> npt.NDArray[np.int8]:
    return np.repeat(np.array([1, 0], dtype=np.int8), [n_positives, n_negatives])


def _table(
    positives: pa.Table, *, universe: Universe, codes: Integers, layout: Layout, dataset: str
) -> pa.Table:
    """Return the rows in the layout's order.

    :param codes: gene and disease of each row, positives first; shape: (n, 2)
    """
    return pa.Table.from_batches(
        _batches(positives, universe=universe, codes=codes, layout=layout, dataset=dataset),
        schema=TABLES["curation.pairs"].arrow,
    )


def _batches(
    positives: pa.Table, *, universe: Universe, codes: Integers, layout: Layout, dataset: str
) -> Iterator[pa.RecordBatch]:
    schema = TABLES["curation.pairs"].arrow
    # one empty list behind the positives' lists: what every negative takes
    evidence = pa.concat_arrays(
        [*positives["pubmed_ids"].chunks, pa.array([[]], type=positives["pubmed_ids"].type)]
    )
    for start in range(0, len(codes), _CHUNK):
        rows = layout.order[start : start + _CHUNK]
        is_positive = rows < positives.num_rows
        gene, disease = (pa.array(column) for column in codes[rows].T)
        genes, diseases = universe.genes.take(gene), universe.diseases.take(disease)
        columns = {
            "dataset": pa.repeat(dataset, len(rows)),
            "row_number": np.arange(start, start + len(rows)),
            "pair_id": pair_ids(genes.to_pylist(), diseases.to_pylist()),
            "gene_symbol": genes,
            "gene_id": universe.gene_ids.take(gene),
            "disease_name": diseases,
            "disease_id": universe.disease_ids.take(disease),
            "text": statements(genes, diseases),
            "pubmed_ids": evidence.take(pa.array(np.minimum(rows, positives.num_rows))),
            "label": is_positive.astype(np.int8),
            "label_source": _words(is_positive, "ctd", "generated"),
            "split": _words(layout.is_test[start : start + len(rows)], "test", "train"),
        }
        arrays = [
            array if isinstance(array, pa.Array) else pa.array(array, type=field.type)
            for field, array in ((field, columns[field.name]) for field in schema)
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _words(flags: npt.NDArray[np.bool_], yes: str, no: str) -> pa.Array:
    return pa.array([no, yes]).take(pa.array(flags.astype(np.int8)))


def _verify(pairs: pa.Table, *, spec: DatasetSpec) -> None:
    broken = [
        finding.summary
        for finding in (check(pairs) for check in QUALITY_CHECKS.values())
        if not finding.passed
    ]
    if broken:
        raise CurationError(
            f'stable dataset "{spec.name}"',
            found="; ".join(broken),
            expected="as many negatives as positives, each pair once, and each text in one split only",
            remedy="Look for names in the release that hold the words 'is associated with', or are empty: "
            "two pairs may read the same.",
        )
