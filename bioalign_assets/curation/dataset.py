"""From associations to one labelled dataset: positives, negatives, split, table.

Only the order of the steps and the making of the table belong here; each step has its own file.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bioalign_assets.curation.classes import class_matrix, no_classes
from bioalign_assets.curation.identity import pair_ids, statements
from bioalign_assets.curation.negatives import PUBLISHED, STABLE, Draw, stable_uniform
from bioalign_assets.curation.positives import published_positives, stable_positives
from bioalign_assets.curation.promises import promises_kept
from bioalign_assets.curation.quality import QUALITY_CHECKS
from bioalign_assets.curation.splits import (
    Layout,
    entity_parts,
    pair_parts,
    published_entity_split,
    published_pair_split,
    stable_pair_split,
)
from bioalign_assets.curation.universe import Universe, universe_of
from bioalign_assets.errors import CurationError
from bioalign_assets.study.datasets import DatasetSpec
from bioalign_assets.warehouse.schemas import TABLES

__all__ = ["build_dataset"]

Integers = npt.NDArray[np.int64]

_CHUNK = 1 << 20
"""Rows of the table that are made at once: an Arrow string array holds 2 GiB of text at most."""


def build_dataset(associations: pa.Table, *, spec: DatasetSpec, classes: pa.Table | None = None) -> pa.Table:
    """Return ``curation.pairs`` of one dataset: as many negatives as positives, each in train or test.

    ``published``: train before test, each in the order of the paper's files. ``stable``: rows ordered by a
    hash of the pair, so that labels and splits are mixed; no pair stands twice and no text in both splits,
    which is verified before the table is returned.

    :param associations: ``ctd.associations``
    :param classes: ``curation.disease_classes`` of the dataset, which same-class negatives need
    :return: schema ``TABLES["curation.pairs"].arrow``, rows by ``row_number``
    :raises CurationError: if nothing is curated, there are too few negatives or rows for the split, classes are
        needed and not there, or the stable dataset breaks one of its promises
    """
    if spec.sampler == "published":
        return _published(associations, spec=spec)
    pairs = _stable(associations, spec=spec, classes=classes)
    _verify(pairs, spec=spec, classes=classes)
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
    return _table(positives, universe=universe, codes=codes, layout=layout, spec=spec)


def _stable(associations: pa.Table, *, spec: DatasetSpec, classes: pa.Table | None) -> pa.Table:
    positives = stable_positives(associations)
    universe = universe_of(positives)
    if spec.negatives == "uniform" and spec.split == "pair":
        # drawn over all, then divided: each negative keeps its split whatever the other rows are
        negatives = stable_uniform(universe, count=positives.num_rows, seed=spec.seed)
        codes = np.concatenate([universe.positives, negatives])
        layout = stable_pair_split(
            _labels(positives.num_rows, len(negatives)),
            split_hashes=universe.pair_hashes(codes, purpose="split", seed=spec.seed),
            order_hashes=universe.pair_hashes(codes, purpose="order", seed=spec.seed),
            test_share=spec.test_share,
        )
    else:
        codes, layout = _by_parts(universe, spec=spec, classes=classes)
    return _table(positives, universe=universe, codes=codes, layout=layout, spec=spec)


def _by_parts(universe: Universe, *, spec: DatasetSpec, classes: pa.Table | None) -> tuple[Integers, Layout]:
    """Draw the negatives of each part by itself; return gene and disease of each row, and the layout."""
    flags = None
    if spec.needs_classes:
        if classes is None or not len(classes):
            raise no_classes("none")
        flags = class_matrix(classes, disease_ids=universe.disease_ids)
    if spec.split == "entity":
        parts = entity_parts(universe, held_out_share=spec.held_out_share, seed=spec.seed)
    else:
        parts = pair_parts(universe, test_share=spec.test_share, seed=spec.seed)
    codes = [universe.positives]
    is_test = [np.zeros(len(universe.positives), dtype=bool)]
    taken = np.empty(0, dtype=np.int64)
    for part in parts:
        drawn = STABLE[spec.negatives](
            Draw(
                universe=universe,
                positives=universe.positives[part.positives],
                taken=taken,
                classes=flags,
                seed=spec.seed,
            )
        )
        codes.append(drawn)
        is_test[0][part.positives] = part.split == "test"
        is_test.append(np.full(len(drawn), part.split == "test"))
        taken = np.union1d(taken, drawn @ [len(universe.diseases), 1])
    rows = np.concatenate(codes)
    order = np.argsort(universe.pair_hashes(rows, purpose="order", seed=spec.seed), kind="stable")
    return rows, Layout(order=order, is_test=np.concatenate(is_test)[order])


def _labels(n_positives: int, n_negatives: int) -> npt.NDArray[np.int8]:
    return np.repeat(np.array([1, 0], dtype=np.int8), [n_positives, n_negatives])


def _table(
    positives: pa.Table, *, universe: Universe, codes: Integers, layout: Layout, spec: DatasetSpec
) -> pa.Table:
    """Return the rows in the layout's order.

    :param codes: gene and disease of each row, positives first; shape: (n, 2)
    """
    return pa.Table.from_batches(
        _batches(positives, universe=universe, codes=codes, layout=layout, spec=spec),
        schema=TABLES["curation.pairs"].arrow,
    )


def _batches(
    positives: pa.Table, *, universe: Universe, codes: Integers, layout: Layout, spec: DatasetSpec
) -> Iterator[pa.RecordBatch]:
    schema = TABLES["curation.pairs"].arrow
    unseen = _unseen(codes[layout.order], is_test=layout.is_test) if spec.split == "entity" else None
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
            "dataset": pa.repeat(spec.name, len(rows)),
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
            "unseen": pa.nulls(len(rows), pa.string())
            if unseen is None
            else unseen[start : start + len(rows)],
        }
        arrays = [
            array if isinstance(array, pa.Array) else pa.array(array, type=field.type)
            for field, array in ((field, columns[field.name]) for field in schema)
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _unseen(pairs: Integers, *, is_test: npt.NDArray[np.bool_]) -> pa.Array:
    """Return which of a test row's names stands in no training row; null for training rows."""
    new_gene, new_disease = (~np.isin(column, column[~is_test]) for column in pairs.T)
    # 0 for neither: in a test row, that can't be
    kind = new_gene + 2 * new_disease
    return pa.array([None, "gene", "disease", "both"]).take(pa.array(np.where(is_test, kind, 0)))


def _words(flags: npt.NDArray[np.bool_], yes: str, no: str) -> pa.Array:
    return pa.array([no, yes]).take(pa.array(flags.astype(np.int8)))


def _verify(pairs: pa.Table, *, spec: DatasetSpec, classes: pa.Table | None) -> None:
    findings = [check(pairs) for check in QUALITY_CHECKS.values()]
    findings += promises_kept(pairs, spec=spec, classes=classes)
    broken = [finding.summary for finding in findings if not finding.passed]
    if broken:
        raise CurationError(
            f'stable dataset "{spec.name}"',
            found="; ".join(broken),
            expected="as many negatives as positives, each pair once, each text in one split only, and what its "
            f'negatives = "{spec.negatives}" and split = "{spec.split}" promise',
            remedy="Look for names in the release that hold the words 'is associated with', or are empty: "
            "two pairs may read the same.",
        )
