"""Graph alignment of models and of what stands beside them, as rows of its tables.

The measures are the alignment room's; here is which edges they are of, and with what they are compared.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.alignment.graph import Graph, edge_hashes
from bioalign_assets.alignment.layers import LAYER_MEASURES
from bioalign_assets.alignment.measures import MEASURES, Target, compared, measure, tree_of
from bioalign_assets.alignment.nulls import Agreement, best_layer, calibrated
from bioalign_assets.alignment.representations import lsa_of_names, random_vectors, vectors_by_name
from bioalign_assets.alignment.resampling import replicates, replicates_of
from bioalign_assets.alignment.rewiring import Rewirings
from bioalign_assets.alignment.targets import Edges, targets_of
from bioalign_assets.alignment.vectors import Representation, representation
from bioalign_assets.errors import EvaluationError
from bioalign_assets.evaluation.intervals import percentile_ends
from bioalign_assets.evaluation.transe import fit_transe
from bioalign_assets.inference.vectors import embedding_matrix
from bioalign_assets.study.evaluation import EvaluationSpec
from bioalign_assets.warehouse.schemas import TABLES

__all__ = [
    "Aligned",
    "aligned",
    "alignment_rows",
    "baseline_alignment_rows",
    "change_rows",
    "layer_rows",
    "medic_rows",
    "model_vectors",
    "trained_edges",
]

Flags = npt.NDArray[np.bool_]

_DEALT = 200  # times, MEDIC's diseases
_FITTED = 0.8  # of the edges TransE is fitted on, in the baselines


def model_vectors(names: pa.Table, *, graph: Graph) -> Representation:
    """Return a model's vectors of all names of a graph.

    :param names: rows of ``inference.graph_names`` of one variant
    :raises EvaluationError: if a name of the graph has no vector, or vectors can't be used
    """
    found = {}
    for kind, wanted in (("gene", graph.genes), ("disease", graph.diseases)):
        own = names.filter(pc.equal(names["kind"], kind))
        places = pc.index_in(wanted, value_set=own["name"].combine_chunks())
        subject = f"inference.graph_names ({kind})"
        if places.null_count:
            missing = wanted.filter(pc.is_null(places))
            raise EvaluationError(
                subject,
                found=f"no vector of {len(missing):,} names, such as {missing[0].as_py()!r}",
                expected="one of every name of the release's graph",
                remedy="Materialise inference/graph_names again: the release was changed since.",
            )
        found[kind] = embedding_matrix(own["embedding"], subject=subject)[np.asarray(places)]
    return representation(graph, genes=found["gene"], diseases=found["disease"])


def trained_edges(graph: Graph, *, pairs: pa.Table) -> Flags:
    """Return which edges of a graph a variant was trained on; shape (edges,).

    :param pairs: ``curation.pairs`` of the dataset that it was trained on
    """
    is_trained = pc.and_(pc.equal(pairs["split"], "train"), pc.equal(pairs["label"], 1))
    rows = pairs.filter(is_trained)
    size = len(graph.diseases)
    gene, disease = (
        np.asarray(pc.fill_null(pc.index_in(rows[column], value_set=names), -1)).astype(np.int64)
        for column, names in (("gene_symbol", graph.genes), ("disease_name", graph.diseases))
    )
    known = (gene >= 0) & (disease >= 0)
    codes = gene[known] * size + disease[known]
    return np.isin(graph.gene.astype(np.int64) * size + graph.disease, codes)


@dataclass(frozen=True, kw_only=True, eq=False)
class Aligned:
    """A representation's figures of some edges: with their nulls, and over resampled names."""

    figures: Mapping[str, Agreement]
    drawn: Mapping[str, npt.NDArray[np.float64]]
    """The same draws of names for any representation; shape (resamples,) each"""
    n: Mapping[str, int]
    """Names, or edges, that each figure is of"""
    seed: int


def aligned(
    representations: Sequence[Representation],
    *,
    targets: Iterable[tuple[Edges, Target]],
    spec: EvaluationSpec,
) -> list[dict[Edges, Aligned]]:
    """Return the figures of each representation against each target."""
    found: list[dict[Edges, Aligned]] = [{} for _ in representations]
    for edges, target in targets:
        for own, vectors in zip(found, representations, strict=True):
            rng = np.random.default_rng(spec.seed)
            figures = measure(vectors, target=target)
            own[edges] = Aligned(
                figures=figures,
                drawn=replicates(vectors, target=target, resamples=spec.resamples, rng=rng),
                n={name: _compared(name, target=target) for name in figures},
                seed=spec.seed,
            )
        del target  # before the next one is made
    return found


def alignment_rows(found: Mapping[Edges, Aligned], *, key: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a representation, without a table's partition.

    :param key: columns that say whose they are
    """
    for edges, own in found.items():
        for name, figure in own.figures.items():
            told = _row(name, found=figure, drawn=own.drawn[name], n=own.n[name], seed=own.seed)
            yield {**key, "edges": edges, **told}


def change_rows(
    untuned: Mapping[Edges, Aligned], tuned: Mapping[Edges, Aligned], *, key: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a tuned variant beside the same model untuned, paired over entities.

    :param untuned: against the same targets as ``tuned``
    """
    for edges, after in tuned.items():
        before = untuned[edges]
        for name, figure in after.figures.items():
            earlier = before.figures[name]
            changes = after.drawn[name] - before.drawn[name]
            low, high = percentile_ends(changes)
            # two-sided: twice the smaller share of resamples on either side of no change
            side = min((changes <= 0).sum(), (changes >= 0).sum())
            yield {
                **key, **_named(name), "edges": edges, "untuned": earlier.value, "tuned": figure.value,
                "change": figure.value - earlier.value, "change_ci_low": low, "change_ci_high": high,
                "p_value": min(1.0, 2 * (1 + int(side)) / (1 + len(changes))),
                "untuned_calibrated": _or_none(earlier.calibrated),
                "tuned_calibrated": _or_none(figure.calibrated),
                "n": after.n[name], "seed": after.seed,
            }  # fmt: skip


def layer_rows(layers: pa.Table) -> pa.Table:
    """Return the figures after each layer with what their nulls say, and which layer is best.

    :param layers: rows of ``inference.layer_alignment`` of one variant
    :returns: schema ``evaluation.graph_alignment_layers``
    """
    rows = []
    ordered = layers.sort_by(
        [("measure", "ascending"), ("kind", "ascending"), ("layer", "ascending")]
    ).to_pylist()
    for measured in LAYER_MEASURES:
        for kind in ("gene", "disease"):
            own = [row for row in ordered if (row["measure"], row["kind"]) == (measured, kind)]
            figures = [Agreement(value=row["value"], null=np.array(row["null_values"])) for row in own]
            if not figures:
                continue
            best = best_layer(figures)
            rows += [
                {
                    **{
                        name: row[name]
                        for name in ("variant", "model", "experiment", "measure", "kind", "layer")
                    },
                    **_against_null(found),
                    **_ends(row["resampled"], null_mean=found.null_mean),
                    "n": row["n"],
                    "is_best": place == best.layer,
                    "best_p_value": best.p_value if place == best.layer else None,
                }
                for place, (row, found) in enumerate(zip(own, figures, strict=True))
            ]
    return pa.Table.from_pylist(rows, schema=TABLES["evaluation.graph_alignment_layers"].arrow)


def baseline_alignment_rows(rewirings: Rewirings, *, spec: EvaluationSpec) -> pa.Table:
    """Return the rows of random vectors, of the bare names' spelling, and of TransE.

    TransE is fitted on four in five edges, by hash; held out from it, and from the map of either, is the fifth.

    :returns: schema ``evaluation.graph_alignment_baselines``
    """
    graph = rewirings.graph
    # another seed than the one by which the map's edges are drawn: else those would be just these
    fitted = edge_hashes(graph, seed=spec.seed + 1) < np.uint64(_FITTED * 2.0**64)
    targets = targets_of(rewirings, trained=fitted, seed=spec.seed)
    made = {
        "random": random_vectors(graph, rng=np.random.default_rng(spec.seed)),
        "names-lsa": lsa_of_names(graph, seed=spec.seed),
        "transe": _transe(graph, fitted=fitted, seed=spec.seed),
    }
    found = aligned(list(made.values()), targets=targets, spec=spec)
    rows = [
        row for name, own in zip(made, found, strict=True) for row in alignment_rows(own, key={"model": name})
    ]
    return pa.Table.from_pylist(rows, schema=TABLES["evaluation.graph_alignment_baselines"].arrow)


def medic_rows(
    vectors: Representation, *, graph: Graph, medic: pa.Table, key: Mapping[str, str], spec: EvaluationSpec
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a representation against MEDIC's tree, without a table's partition.

    None where fewer than ten of the graph's core diseases stand in the tree.

    :param medic: ``ctd.diseases``
    """
    rng = np.random.default_rng(spec.seed)
    tree = tree_of(graph, medic=medic, permutations=_DEALT, rng=rng, seed=spec.seed)
    if tree is None:
        return
    drawn = replicates_of(vectors.diseases[tree.core], comparison=tree, resamples=spec.resamples, rng=rng)
    for name, found in compared(vectors.diseases[tree.core], comparison=tree, measures=MEASURES).items():
        yield {**key, **_row(name, found=found, drawn=drawn[name], n=len(tree.core), seed=spec.seed)}


def _transe(graph: Graph, *, fitted: Flags, seed: int) -> Representation:
    pairs = pa.table(
        {
            "gene_symbol": graph.genes.take(pa.array(graph.gene[fitted])),
            "disease_name": graph.diseases.take(pa.array(graph.disease[fitted])),
        }
    )
    model = fit_transe(pairs, seed=seed)
    genes, diseases = (
        vectors_by_name(names, known=known, vectors=vectors[:-1])
        for names, known, vectors in (
            (graph.genes, model.genes, model.heads),
            (graph.diseases, model.diseases, model.tails),
        )
    )
    return representation(graph, genes=genes, diseases=diseases)


def _row(name: str, *, found: Agreement, drawn: npt.NDArray[np.float64], n: int, seed: int) -> dict[str, Any]:
    return {
        **_named(name), **_against_null(found), **_ends(drawn, null_mean=found.null_mean),
        "rewirings": len(found.null), "n": n, "seed": seed,
    }  # fmt: skip


def _ends(drawn: npt.ArrayLike | None, *, null_mean: float) -> dict[str, float | None]:
    """Return the ends of a figure's interval, and of the calibrated score's; None where nothing was resampled."""
    if drawn is None:
        return dict.fromkeys(("ci_low", "ci_high", "calibrated_ci_low", "calibrated_ci_high"))
    figures = np.asarray(drawn, dtype=np.float64)
    low, high = percentile_ends(figures)
    scaled = percentile_ends(calibrated(figures, null_mean=null_mean))
    return {
        "ci_low": low, "ci_high": high,
        "calibrated_ci_low": _or_none(scaled[0]), "calibrated_ci_high": _or_none(scaled[1]),
    }  # fmt: skip


def _named(name: str) -> dict[str, str]:
    """Return measure and kind of a figure: ``gene_rsa`` is RSA of genes, ``tree_rsa`` that of diseases and MEDIC."""
    of, _, measured = name.partition("_")
    if of == "edge":
        return {"measure": name, "kind": "edge"}
    return {
        "measure": f"medic_{measured}" if of == "tree" else measured,
        "kind": "gene" if of == "gene" else "disease",
    }


def _compared(name: str, *, target: Target) -> int:
    """Return how many names, or edges, a figure is of."""
    if name == "edge_procrustes":
        return len(target.held_out.graph.gene)
    if name == "edge_cosine":
        return len(target.rewirings.graph.gene)
    (core,) = (each.core for each in target.comparisons if name.startswith(f"{each.name}_"))
    return len(core)


def _or_none(score: float) -> float | None:
    """Return a calibrated score; None where the null is the best possible, as where all names are neighbours."""
    return score if np.isfinite(score) else None


def _against_null(found: Agreement) -> dict[str, float | None]:
    return {
        "value": found.value, "null_mean": found.null_mean, "null_sd": found.null_sd, "z": found.z,
        "p_value": found.p_value, "calibrated": _or_none(found.calibrated),
    }  # fmt: skip
