"""Every figure, of the graph and of each rewiring, against a naive version; what it doesn't hang on; bad input."""

from collections import defaultdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import orthogonal_procrustes
from scipy.stats import pearsonr, rankdata, spearmanr
from sklearn.feature_extraction.text import TfidfVectorizer

from bioalign_assets.alignment.graph import graph_of_pairs
from bioalign_assets.alignment.measures import MEASURES, measure, target_of
from bioalign_assets.alignment.neighbours import tie_order
from bioalign_assets.alignment.rewiring import Rewirings, rewire
from bioalign_assets.alignment.similarities import tree_overlaps
from bioalign_assets.alignment.vectors import representation
from bioalign_assets.errors import EvaluationError
from bioalign_assets_tests.alignment._make import random_graph

COUNT = 6
WIDTH = 5


def made(seed, *, medic=False):
    graph = random_graph(seed)
    rng = np.random.default_rng(seed)
    held = rng.random(len(graph.gene)) < 0.7
    rewirings = rewire(graph, count=COUNT, rng=rng)
    genes, diseases = (rng.normal(size=(len(names), WIDTH)) for names in (graph.genes, graph.diseases))
    numbers = [
        [f"C{place % 3}.{place % 2}.{place}", f"F{place % 4}/C{place}"][: 1 + place % 2]
        for place in range(25)
    ]
    table = pa.table({"disease_name": graph.diseases, "tree_numbers": numbers[: len(graph.diseases)]})
    target = target_of(
        rewirings, rng=np.random.default_rng(seed), edges=held, fitted=~held, medic=table if medic else None
    )
    return graph, rewirings, held, (genes, diseases), target


def partners_of(graph, diseases, *, kind, held):
    found = defaultdict(set)  # some of the edges of a rewiring may leave a name without a partner
    for gene, disease in zip(graph.gene[held].tolist(), diseases[held].tolist(), strict=True):
        mine, other = (gene, disease) if kind == "gene" else (disease, gene)
        found[mine].add(other)
    return found


def profile_cosines(graph, diseases, *, kind, held, core):
    partners = partners_of(graph, diseases, kind=kind, held=held)
    return np.array(
        [
            [len(partners[a] & partners[b]) / np.sqrt(len(partners[a]) * len(partners[b]) or 1) for b in core]
            for a in core
        ]
    )


def unit(vectors):
    centred = vectors - vectors.mean(axis=0)
    return centred / np.linalg.norm(centred, axis=1, keepdims=True)


def naive_partial(first, second, covariates):
    def rest(values):
        ranks = rankdata(values)
        columns = np.column_stack([np.ones(len(ranks)), *(rankdata(each) for each in covariates)])
        return ranks - columns @ np.linalg.lstsq(columns, ranks, rcond=None)[0]

    return pearsonr(rest(first), rest(second))[0]


@pytest.mark.parametrize("kind", ["gene", "disease"])
@pytest.mark.parametrize("seed", range(3))
def test_rsa_partial_rsa_and_neighbours_are_the_naive_ones(kind, seed):
    graph, rewirings, held, vectors, target = made(seed)
    found = measure(representation(graph, genes=vectors[0], diseases=vectors[1]), target=target)
    comparison = next(each for each in target.comparisons if each.name == kind)
    core = comparison.core.tolist()
    degrees = {
        name: len(others) for name, others in partners_of(graph, graph.disease, kind=kind, held=held).items()
    }
    assert core == sorted(name for name, degree in degrees.items() if degree >= 3)

    similar = unit(vectors[kind == "disease"])[core]
    similar = similar @ similar.T
    pairs = np.triu_indices(len(core), 1)
    names = graph.names(kind).take(pa.array(core))
    grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5)).fit_transform(names.to_pylist()).toarray()
    logs = np.log([degrees[name] for name in core])
    covariates = [
        np.round((grams @ grams.T)[pairs].astype(np.float32), 6),
        np.abs(logs[pairs[0]] - logs[pairs[1]]),
        logs[pairs[0]] + logs[pairs[1]],
    ]
    order = tie_order(names, kind=kind, seed=0)
    for number, diseases in enumerate([graph.disease, *rewirings.diseases]):
        profiles = profile_cosines(graph, diseases, kind=kind, held=held, core=core)
        profiles = np.round(profiles, 12)

        def figure(name, number=number):
            agreement = found[f"{kind}_{name}"]
            return [agreement.value, *agreement.null][number]

        assert figure("rsa") == pytest.approx(spearmanr(similar[pairs], profiles[pairs])[0], abs=1e-6)
        assert figure("partial_rsa") == pytest.approx(
            naive_partial(similar[pairs], profiles[pairs], covariates), abs=1e-4
        )
        shares = []
        for name in range(len(core)):
            others = [other for other in range(len(core)) if other != name]
            near = sorted(others, key=lambda other, name=name: -similar[name, other])[:10]
            linked = sorted(others, key=lambda other, name=name: (-profiles[name, other], order[other]))[:10]
            shares.append(len(set(near) & set(linked)) / min(10, len(others)))
        assert figure("mutual_knn") == pytest.approx(np.mean(shares))


@pytest.mark.parametrize("seed", range(3))
def test_edges_as_they_are_and_through_a_map_are_the_naive_ones(seed):
    graph, rewirings, held, (genes, diseases), target = made(seed)
    found = measure(representation(graph, genes=genes, diseases=diseases), target=target)
    genes, diseases = unit(genes), unit(diseases)
    for number, wired in enumerate([graph.disease, *rewirings.diseases]):
        edges = [genes[g] @ diseases[d] for g, d in zip(graph.gene[held], wired[held], strict=True)]
        agreement = found["edge_cosine"]
        assert [agreement.value, *agreement.null][number] == pytest.approx(np.mean(edges), abs=1e-6)
        turn, _ = orthogonal_procrustes(genes[graph.gene[~held]], diseases[wired[~held]])
        turned = [genes[g] @ turn @ diseases[d] for g, d in zip(graph.gene[held], wired[held], strict=True)]
        agreement = found["edge_procrustes"]
        assert [agreement.value, *agreement.null][number] == pytest.approx(np.mean(turned), abs=1e-5)


def test_the_tree_is_jaccard_s_index_of_ancestors_and_its_null_deals_the_diseases_out_anew():
    assert tree_overlaps([["C1.2", "F3"], ["C1.2.5/C9"], ["F3"], ["Z"]]).levels.tolist() == pytest.approx(
        [1 / 3, 2 / 5]
    )
    graph, _, _, (genes, diseases), target = made(0, medic=True)
    comparison = target.comparisons[2]
    found = measure(representation(graph, genes=genes, diseases=diseases), target=target)["tree_rsa"]
    units = unit(diseases)[comparison.core]
    place = np.arange(25)[comparison.core]
    nodes = [
        {f"C{p % 3}", f"C{p % 3}.{p % 2}", f"C{p % 3}.{p % 2}.{p}"}
        | ({f"F{p % 4}", f"F{p % 4}.C{p}"} if p % 2 else set())
        for p in place
    ]
    pairs = np.triu_indices(len(place), 1)
    overlap = [len(nodes[a] & nodes[b]) / len(nodes[a] | nodes[b]) for a, b in zip(*pairs, strict=True)]
    assert found.value == pytest.approx(spearmanr((units @ units.T)[pairs], overlap)[0], abs=1e-6)
    assert len(found.null) == COUNT
    assert len(np.unique(found.null)) == COUNT


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 1000), scale=st.floats(1e-3, 1e3), shift=st.floats(-5, 5))
def test_nothing_hangs_on_rotation_scale_place_or_the_order_of_rows(seed, scale, shift):
    graph, _, _, (genes, diseases), target = made(seed % 3)
    before = measure(representation(graph, genes=genes, diseases=diseases), target=target)
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(WIDTH, WIDTH)))[0]
    moved = representation(
        graph, genes=scale * genes @ turn + shift, diseases=scale * diseases @ turn - shift
    )
    after = measure(moved, target=target)
    assert list(after) == list(before) == [name for name in MEASURES if not name.startswith("tree")]
    for name, figure in before.items():
        assert after[name].value == pytest.approx(figure.value, abs=1e-4)
        assert after[name].null == pytest.approx(figure.null, abs=1e-4)


def test_shuffled_associations_make_the_same_target():
    graph = random_graph(0)
    order = np.random.default_rng(0).permutation(len(graph.gene))
    again = graph_of_pairs(
        graph.genes.take(pa.array(graph.gene[order])),
        diseases=graph.diseases.take(pa.array(graph.disease[order])),
    )
    vectors = [
        np.random.default_rng(1).normal(size=(len(names), 4)) for names in (graph.genes, graph.diseases)
    ]
    one, other = (
        measure(
            representation(each, genes=vectors[0], diseases=vectors[1]),
            target=target_of(
                rewire(each, count=4, rng=np.random.default_rng(2)), rng=np.random.default_rng(3)
            ),
        )
        for each in (graph, again)
    )
    assert {name: each.value for name, each in one.items()} == {
        name: each.value for name, each in other.items()
    }


def test_only_what_is_asked_and_what_means_something_is_measured():
    graph, _, _, (genes, diseases), target = made(0)
    apart = representation(graph, genes=genes, diseases=diseases[:, :3], share_space=False)
    assert "edge_cosine" not in measure(apart, target=target)
    assert list(measure(apart, target=target, measures=["gene_rsa", "edge_procrustes"])) == [
        "gene_rsa",
        "edge_procrustes",
    ]


def test_names_that_stand_at_the_mean_are_like_no_other():
    graph, _, _, (genes, diseases), target = made(0)
    genes[:5] = genes[5:].mean(axis=0)
    vectors = representation(graph, genes=genes, diseases=diseases)
    assert not vectors.genes[:5].any()
    assert all(np.isfinite(each.value) for each in measure(vectors, target=target).values())


@pytest.mark.parametrize(
    ("broken", "found"),
    [
        (lambda genes: genes[:-1], r"an array of shape \(\d+, 5\) for \d+ names"),
        (np.zeros_like, r"the same vector for all \d+ names"),
        (lambda genes: np.ones_like(genes) * 3.7, r"the same vector for all \d+ names"),
        (
            lambda genes: np.where(np.arange(len(genes))[:, None] == 2, np.nan, genes),
            r"1 of \d+ with NaN .*\(G002\)",
        ),
        (
            lambda genes: np.where(np.arange(len(genes))[:, None] < 9, np.inf, genes),
            "9 of .*G000, G001, G002, …",
        ),
    ],
    ids=["missing", "zero", "constant", "NaN", "infinite"],
)
def test_vectors_that_mean_nothing_are_told(broken, found):
    graph, _, _, (genes, diseases), _ = made(0)
    with pytest.raises(EvaluationError, match=f"vectors of the genes: found {found}"):
        representation(graph, genes=broken(genes), diseases=diseases)


def test_names_that_share_nothing_cannot_be_ordered():
    pairs = [(3 * place + step, place) for place in range(10) for step in range(3)]
    gene, disease = np.array(pairs).T
    graph = graph_of_pairs(pa.array(gene.astype(str)), diseases=pa.array(disease.astype(str)))
    wired = Rewirings(graph=graph, diseases=graph.disease[None, :])
    with pytest.raises(EvaluationError, match="partners of the diseases: found 0 of 45 pairs above zero"):
        target_of(wired, rng=np.random.default_rng(0))
