"""Link prediction's questions: held-out true pairs, and the candidates that each one's answer is ranked among.

A query is a true test pair with one side hidden: all diseases of the dataset are candidates for the gene, or all
genes for the disease. Candidates that are curated as true with the side that is shown, in any split, are taken out
but for the answer itself (the filtered setting of Bordes et al. 2013): a model is not blamed for ranking another
truth first. Ranking and figures are evaluation's work.

Queries and sampled candidates are drawn by hash, whatever the dataset's sampler: a release that changes 1% of the
pairs changes about 1% of them.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.curation.identity import mix64, name_hashes, statements
from bioalign_assets.errors import CurationError
from bioalign_assets.inference.sample import split_rows, stable_draw

__all__ = ["CANDIDATE_SETS", "TARGETS", "Candidates", "LinkQueries", "Target", "link_queries", "places_among"]

Integers = npt.NDArray[np.int64]
Target = Literal["disease", "gene"]
Candidates = Literal["exact", "sampled"]

TARGETS: tuple[Target, ...] = ("disease", "gene")
"""What is asked for; the other side of the pair is shown."""
CANDIDATE_SETS: tuple[Candidates, ...] = ("exact", "sampled")
"""exact: every candidate; sampled: so many of them, drawn uniformly."""

_NAMES: dict[Target, str] = {"gene": "gene_symbol", "disease": "disease_name"}


@dataclass(frozen=True, kw_only=True, eq=False)
class LinkQueries:
    """The queries of a dataset, and what they are ranked among."""

    rows: pa.Table
    """The true test pairs that are asked about, schema ``curation.pairs``, in the dataset's order"""
    names: dict[Target, pa.Array]
    """All genes and all diseases of the dataset's true pairs, by name, ascending"""
    answers: dict[Target, Integers]
    """Gene and disease of each query, as places in ``names``; shape (rows,) each"""
    positives: dict[Target, Integers]
    """Gene and disease of each distinct true pair of the dataset, shape (pairs,) each"""
    hashes: dict[Target, npt.NDArray[np.uint64]]
    """Of the names, for the draw of candidates"""

    def __len__(self) -> int:
        return len(self.rows)

    def candidates(self, query: int, *, target: Target, size: int | None) -> Integers:
        """Return the candidates of one query, its answer first, the others ascending.

        :param query: place in ``rows``
        :param size: wrong answers to draw, with the smallest hash of query and name; None for all of them
        :returns: places in ``names[target]``; shape (1 + min(size, those that there are),)
        """
        shown: Target = "gene" if target == "disease" else "disease"
        own, answer = self.answers[shown][query], self.answers[target][query]
        is_candidate = np.ones(len(self.names[target]), dtype=bool)
        is_candidate[self.positives[target][self.positives[shown] == own]] = False
        wrong = np.flatnonzero(is_candidate)  # the answer is a true one, so it is not among them
        if size is not None and size < len(wrong):
            key = mix64(self.hashes[shown][[own]] + self.hashes[target][[answer]])
            order = mix64(self.hashes[target][wrong] + key)
            wrong = np.sort(wrong[np.argpartition(order, size - 1)[:size]])
        return np.concatenate([[answer], wrong])

    def pairs(self, query: int, *, target: Target, candidates: Integers) -> pa.Table:
        """Return the statements that a query's candidates make: gene_symbol, disease_name, text.

        :param candidates: places in ``names[target]``
        """
        shown: Target = "gene" if target == "disease" else "disease"
        columns: dict[Target, pa.Array] = {
            target: self.names[target].take(pa.array(candidates)),
            shown: pa.repeat(self.names[shown][int(self.answers[shown][query])], len(candidates)),
        }
        return pa.table(
            {
                "gene_symbol": columns["gene"],
                "disease_name": columns["disease"],
                "text": statements(columns["gene"], columns["disease"]),
            }
        )


def link_queries(
    pairs: pa.Table,
    *,
    size: int,
    seed: int,
    seen_texts: pa.Array | pa.ChunkedArray | None = None,
) -> LinkQueries:
    """Draw the true test pairs to ask about.

    A pair counts once, and not at all where it stands among the training rows too (the published draw has such
    pairs): what was told is no prediction.

    :param pairs: one dataset, schema ``curation.pairs``
    :param size: pairs to draw; where there are no more, all are taken
    :param seed: of the draws
    :param seen_texts: texts of another dataset that the model was trained on; pairs that read so are left out
    :raises CurationError: if a split is empty or no true pair is left to ask about
    """
    if size < 1:
        raise ValueError(f"the number of queries must be at least 1, found {size}")
    test, train = split_rows(pairs, split="test"), split_rows(pairs, split="train")
    true = test.filter(pc.equal(test["label"], 1))
    asked = true.filter(pc.invert(pc.is_in(true["pair_id"], value_set=pc.unique(train["pair_id"]))))
    if seen_texts is not None and len(seen_texts):
        asked = asked.filter(pc.invert(pc.is_in(asked["text"], value_set=pc.unique(seen_texts))))
    asked = asked.take(_first_rows(asked["pair_id"]))
    if not len(asked):
        raise CurationError(
            f"link queries of {', '.join(pc.unique(pairs['dataset']).to_pylist())}",
            found=f"{len(true)} true test pairs, none of them new to the model",
            expected="true pairs that stand in no training row",
            remedy="Evaluate on a dataset whose test split the experiment was not trained on.",
        )
    asked = asked.take(stable_draw(asked["pair_id"], size=size, seed=seed))
    positives = pairs.filter(pc.equal(pairs["label"], 1)).group_by(list(_NAMES.values())).aggregate([])
    names = {kind: pc.unique(positives[column]).sort() for kind, column in _NAMES.items()}
    return LinkQueries(
        rows=asked,
        names=names,
        answers={kind: _places(asked[column], names=names[kind]) for kind, column in _NAMES.items()},
        positives={kind: _places(positives[column], names=names[kind]) for kind, column in _NAMES.items()},
        hashes={
            kind: name_hashes(names[kind].to_pylist(), kind=kind, purpose="candidates", seed=seed)
            for kind in _NAMES
        },
    )


def places_among(drawn: Integers, *, candidates: Integers) -> Integers:
    """Return where the drawn candidates of a query stand among all of them.

    :param drawn: what ``LinkQueries.candidates`` gave for a size
    :param candidates: what it gave for no size, for the same query and target
    :returns: places in ``candidates``, shape (len(drawn),); the answer's, 0, first
    """
    return np.concatenate([[0], 1 + np.searchsorted(candidates[1:], drawn[1:])])


def _first_rows(ids: pa.ChunkedArray) -> Integers:
    """Return where each id stands first, ascending."""
    _, first = np.unique(ids.to_numpy(), return_index=True)
    return np.sort(first)


def _places(column: pa.ChunkedArray, *, names: pa.Array) -> Integers:
    return pc.index_in(column, value_set=names).to_numpy().astype(np.int64)
