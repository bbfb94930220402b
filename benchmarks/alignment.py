"""How far random vectors, names' spelling and TransE agree with a release's graph, against 200 rewirings; and the cost.

Two targets: the test edges of the stable pair split alone (diseases and genes with three test partners; TransE and the
Procrustes map are fitted on the training edges, which stay: only test edges are rewired), and all edges.
``--trust N`` asks whether p-values can be believed: N graphs with rewired test edges are each taken for the real one
and rewired anew, and no more than one p-value in twenty may be under 0.05; and random vectors are held against the
release itself. ``--changes`` holds tuned variants of ``--warehouse`` against the untuned ones. ``--sampling`` asks what
it costs to compare some genes in the place of all. Run ``python -m benchmarks.alignment``.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import binom

from benchmarks.baselines import read_release
from benchmarks.curation import default_source
from benchmarks.side_by_side import machine
from bioalign_assets.alignment.graph import MOST, Graph, graph_of_edges
from bioalign_assets.alignment.measures import MEASURES, Target, compared, measure, target_of
from bioalign_assets.alignment.nulls import Agreement, calibrated
from bioalign_assets.alignment.representations import (
    graph_factors,
    lsa_of_names,
    random_vectors,
    vectors_by_name,
)
from bioalign_assets.alignment.resampling import replicates
from bioalign_assets.alignment.rewiring import Rewirings, rewire
from bioalign_assets.alignment.targets import targets_of
from bioalign_assets.alignment.vectors import Representation, representation
from bioalign_assets.curation.dataset import build_dataset
from bioalign_assets.evaluation.graph_alignment import (
    aligned,
    change_rows,
    model_vectors,
    trained_edges,
)
from bioalign_assets.evaluation.intervals import percentile_ends
from bioalign_assets.evaluation.transe import fit_transe
from bioalign_assets.models.memory import peak_process_memory
from bioalign_assets.models.threads import one_thread
from bioalign_assets.study import UNTUNED
from bioalign_assets.study.datasets import DatasetSpec
from bioalign_assets.study.evaluation import EvaluationSpec
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets.warehouse.tables import Tables

__all__ = ["main"]

SEED = 42
SAMPLES = 12
SPLIT = DatasetSpec(name="stable", sampler="stable", split="pair")
PAIR = ["gene_symbol", "disease_name"]
HEADINGS = ("edges", "representation", "measure", "value", "null", "sd", "z", "p", "calibrated [95%]", "s")

Flags = npt.NDArray[np.bool_]


def split_graph(associations: pa.Table) -> tuple[Graph, Flags, pa.Table]:
    """Return the graph, which of its edges are test edges of the stable split, and the training pairs."""
    pairs = build_dataset(associations, spec=SPLIT)
    positives = pairs.filter(pc.equal(pairs["label"], 1)).select([*PAIR, "split"])
    train = positives.filter(pc.equal(positives["split"], "train")).select(PAIR)
    graph = graph_of_edges(positives)
    size = len(graph.diseases)
    gene, disease = (
        np.asarray(pc.index_in(train[name], value_set=names)).astype(np.int64)
        for name, names in zip(PAIR, (graph.genes, graph.diseases), strict=True)
    )
    return graph, ~np.isin(graph.gene.astype(np.int64) * size + graph.disease, gene * size + disease), train


def contestants(graph: Graph, *, train: pa.Table) -> Iterator[tuple[str, Representation]]:
    """Give the representations that stand beside models."""
    yield "random", random_vectors(graph, rng=np.random.default_rng(SEED))
    yield "names' LSA", lsa_of_names(graph)
    fitted = fit_transe(train, seed=SEED)
    genes, diseases = (
        vectors_by_name(names, known=known, vectors=vectors[:-1])
        for names, known, vectors in (
            (graph.genes, fitted.genes, fitted.heads),
            (graph.diseases, fitted.diseases, fitted.tails),
        )
    )
    yield "TransE", representation(graph, genes=genes, diseases=diseases)


def models(folders: Sequence[Path], *, graph: Graph) -> Iterator[tuple[str, Representation]]:
    """Give the vectors that the variants of some warehouses gave the names of this release.

    :raises EvaluationError: if a warehouse is of another release
    """
    schema = TABLES["inference.graph_names"]
    for folder in folders:
        names = Tables(folder).stored_rows(schema)
        for variant in sorted(set(names["variant"].to_pylist())):
            own = names.filter(pc.equal(names["variant"], variant))
            yield variant, model_vectors(own, graph=graph)


def changes(folders: Sequence[Path], *, graph: Graph, resamples: int, rewirings: int) -> Iterator[str]:
    """Give a line a measure of each tuned variant beside its model untuned: all edges, those trained on, the others."""
    spec = EvaluationSpec(resamples=resamples, seed=SEED)
    made = rewire(graph, count=rewirings, rng=np.random.default_rng(SEED))
    for folder in folders:
        tables = Tables(folder)
        adapters, pairs = (
            tables.stored_rows(TABLES[name]) for name in ("training.adapter", "curation.pairs")
        )
        vectors = dict(models([folder], graph=graph))
        for row in adapters.sort_by("variant").to_pylist():
            untuned = f"{row['model']}@{UNTUNED}"
            if row["experiment"] == UNTUNED or not {row["variant"], untuned} <= set(vectors):
                continue
            own = pairs.filter(pc.equal(pairs["dataset"], json.loads(row["provenance"])["dataset"]))
            targets = targets_of(made, trained=trained_edges(graph, pairs=own), seed=SEED)
            tuned, before = aligned([vectors[row["variant"]], vectors[untuned]], targets=targets, spec=spec)
            for each in change_rows(before, tuned, key={"variant": row["variant"]}):
                span = f"{each['change']:+.4f} [{each['change_ci_low']:+.4f}, {each['change_ci_high']:+.4f}]"
                scores = f"{each['untuned_calibrated']:.3f} -> {each['tuned_calibrated']:.3f}"
                yield (
                    f"| {each['variant']} | {each['edges']} | {each['kind']} {each['measure']} | "
                    f"{each['untuned']:.4f} | {each['tuned']:.4f} | {span} | {each['p_value']:.3f} | {scores} |"
                )


def figures(
    vectors: Representation, *, target: Target, resamples: int
) -> Iterator[tuple[str, Agreement, str, float]]:
    """Give each figure with its null, its calibrated form with an interval, and the seconds that it took."""
    drawn = replicates(vectors, target=target, resamples=resamples, rng=np.random.default_rng(SEED))
    for name in MEASURES:
        started = process_time()
        for found in measure(vectors, target=target, measures=[name]).values():
            took = process_time() - started
            low, high = percentile_ends(calibrated(drawn[name], null_mean=found.null_mean))
            yield name, found, f"{found.calibrated:.3f} [{low:.3f}, {high:.3f}]", took


def trust(graph: Graph, *, edges: Flags, train: pa.Table, count: int, rewirings: int) -> Iterator[str]:
    """Give a line a measure: how often p < 0.05 where there is nothing, and where there is."""
    made = dict(contestants(graph, train=train))

    def target(wired: Graph, *, rng: np.random.Generator) -> Target:
        return _target(rewire(wired, count=rewirings, rng=rng, moved=edges), test=edges, medic=None)

    own = target(graph, rng=np.random.default_rng(SEED))
    taken = rewire(graph, count=count, rng=np.random.default_rng(SEED + 1), moved=edges)
    hits: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for number in range(count):
        wired = Graph(
            genes=graph.genes, diseases=graph.diseases, gene=graph.gene, disease=taken.diseases[number]
        )
        rng = np.random.default_rng([SEED, number])
        against = target(wired, rng=rng)
        tried = {f"{name}, on a rewired graph": (vectors, against) for name, vectors in made.items()}
        tried["another random one, on the graph itself"] = (random_vectors(graph, rng=rng), own)
        tried["the rewired edges' own factors"] = (graph_factors(wired.of_edges(edges)), against)
        for title, (vectors, held_against) in tried.items():
            for name, found in measure(vectors, target=held_against).items():
                hits[title, name].append(found.p_value < 0.05)
    at_most = int(binom.ppf(0.975, count, 0.05))
    for (title, name), each in hits.items():
        note = (
            "" if "own" in title or sum(each) <= at_most else f"  more than {at_most}, the 97.5th percentile"
        )
        yield f"| {title} | {name} | {sum(each)} of {count} | {sum(each) / count:.3f} |{note}"


def sampling(graph: Graph, *, train: pa.Table) -> Iterator[str]:
    """Give a line a measure: how far a figure of genes varies with which of them are compared, and all of them."""
    made = dict(contestants(graph, train=train))
    alone = Rewirings(graph=graph, diseases=np.empty((0, len(graph.gene)), dtype=np.int32))
    measures = ("gene_rsa", "gene_partial_rsa", "gene_mutual_knn")
    for most in (1_000, MOST, 2_000, len(graph.genes)):
        found: dict[tuple[str, str], list[float]] = defaultdict(list)
        for seed in range(SAMPLES if most < len(graph.genes) else 1):
            target = target_of(alone, rng=np.random.default_rng(seed), most=most, seed=seed)
            (genes,) = (each for each in target.comparisons if each.kind == "gene")
            for name, vectors in made.items():
                figures = compared(vectors.genes[genes.core], comparison=genes, measures=measures)
                for measured, figure in figures.items():
                    found[name, measured].append(figure.value)
        for (name, measured), each in found.items():
            spread = f"{np.std(each, ddof=1):.4f}" if len(each) > 1 else ""
            yield f"| {len(genes.core):,} | {name} | {measured} | {np.mean(each):.4f} | {spread} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, or what p-values are worth."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alignment", description=__doc__)
    parser.add_argument("--release", default=default_source(), help="a CTD file, or the word synthetic")
    parser.add_argument("--diseases", type=Path, help="MEDIC, for the figures against its tree")
    parser.add_argument(
        "--warehouse", type=Path, action="append", default=[],
        help="of a study on this release: its variants are measured too; may be given several times",
    )  # fmt: skip
    parser.add_argument("--rewirings", type=int, default=200)
    parser.add_argument("--resamples", type=int, default=1_000, help="behind each interval")
    parser.add_argument(
        "--changes", action="store_true", help="tuned minus untuned, of the variants of --warehouse"
    )
    parser.add_argument("--trust", type=int, metavar="N", help="take N rewired graphs for the real one")
    parser.add_argument(
        "--sampling", action="store_true", help="compare draws of genes, for what it costs not to take all"
    )
    options = parser.parse_args(arguments)
    associations, medic = read_release(options.release, diseases=options.diseases)
    graph, is_test, train = split_graph(associations)
    print(f"{machine()}; {Path(options.release).name}, {len(graph.gene):,} edges\n")
    with one_thread():
        if options.trust:
            print(
                "| what is held against which graph | measure | p < 0.05 | share |\n| --- | --- | ---: | ---: |"
            )
            lines = trust(graph, edges=is_test, train=train, count=options.trust, rewirings=options.rewirings)
            for line in lines:
                print(line, flush=True)
        elif options.changes:
            print("| variant | edges | measure | untuned | tuned | change [95%] | p | calibrated |")
            print("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |")
            counts = {"resamples": options.resamples, "rewirings": options.rewirings}
            for line in changes(options.warehouse, graph=graph, **counts):
                print(line, flush=True)
        elif options.sampling:
            print(
                "| genes | representation | measure | mean | sd over draws |\n| ---: | --- | --- | ---: | ---: |"
            )
            for line in sampling(graph, train=train):
                print(line, flush=True)
        else:
            _compare(graph, is_test=is_test, train=train, medic=medic, options=options)
    print(f"\nmemory at most {peak_process_memory() / 2**30:.2f} GiB")


def _compare(
    graph: Graph, *, is_test: Flags, train: pa.Table, medic: pa.Table | None, options: argparse.Namespace
) -> None:
    made = dict(contestants(graph, train=train)) | dict(models(options.warehouse, graph=graph))
    print("| " + " | ".join(HEADINGS) + " |\n| --- | --- | --- |" + " ---: |" * (len(HEADINGS) - 3))
    for edges, chosen in (("test", is_test), ("all", None)):
        started = process_time()
        rng = np.random.default_rng(SEED)
        rewirings = rewire(graph, count=options.rewirings, rng=rng, moved=chosen)
        rewired = process_time() - started
        target = _target(rewirings, test=chosen, medic=medic)
        prepared = process_time() - started - rewired
        for name, vectors in made.items():
            wall = perf_counter()
            for measured, found, scaled, seconds in figures(
                vectors, target=target, resamples=options.resamples
            ):
                null = f"{found.null_mean:.4f} | {found.null_sd:.4f} | {found.z:.1f} | {found.p_value:.3f}"
                print(
                    f"| {edges} | {name} | {measured} | {found.value:.4f} | {null} | {scaled} | {seconds:.2f} |",
                    flush=True,
                )
            print(f"| {edges} | {name} | all, with intervals | | | | | | | {perf_counter() - wall:.1f} |")
        left = rewirings.share_left() if chosen is None else rewirings.of_edges(chosen).share_left()
        print(
            f"| {edges} | | {len(rewirings)} rewirings, {left:.1%} of the edges left | | | | | | | {rewired:.1f} |"
        )
        print(f"| {edges} | | preparing the graph's side | | | | | | | {prepared:.1f} |")


def _target(rewirings: Rewirings, *, test: Flags | None, medic: pa.Table | None) -> Target:
    rng = np.random.default_rng(SEED)
    fitted = None if test is None else ~test
    return target_of(rewirings, rng=rng, edges=test, fitted=fitted, medic=medic)


if __name__ == "__main__":
    main()
