"""Where a scorer of statements ranks the answers to link queries: one row a query, target and set of candidates."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bioalign_assets.errors import EvaluationError
from bioalign_assets.inference.candidates import TARGETS, LinkQueries, Target, places_among

__all__ = ["answer_rank", "rankings"]

Integers = npt.NDArray[np.int64]
_TEXTS_AT_ONCE = 20_000  # scored together, so that batches are of like length and memory stays bounded
_SCHEMA = pa.schema(
    {
        "row_number": pa.int64(), "pair_id": pa.string(), "target": pa.string(), "candidates": pa.string(),
        "n_candidates": pa.int64(), "rank": pa.float64(),
    }
)  # fmt: skip


def rankings(
    queries: LinkQueries,
    *,
    score: Callable[[Sequence[str]], npt.NDArray[np.floating[Any]]],
    sampled: int,
    with_exact: bool,
) -> pa.Table:
    """Rank the answer to each query by the scores of the statements that its candidates make.

    :param score: from n statements to n finite scores, higher for what is rather true
    :param sampled: wrong answers to draw for each query and target
    :param with_exact: whether to rank among all candidates too; the drawn ones are among them and scored once
    :returns: row_number, pair_id, target, candidates, n_candidates, rank
    :raises EvaluationError: if a score is not a finite number
    """
    rows: list[dict[str, Any]] = []
    numbers, ids = (queries.rows[name].to_pylist() for name in ("row_number", "pair_id"))
    for asked in _together(queries, size=None if with_exact else sampled):
        texts = [
            text
            for query, target, candidates in asked
            for text in queries.pairs(query, target=target, candidates=candidates)["text"].to_pylist()
        ]
        scores = score(texts)
        for query, target, candidates in asked:
            own, scores = scores[: len(candidates)], scores[len(candidates) :]
            drawn = own
            if with_exact:
                few = queries.candidates(query, target=target, size=sampled)
                drawn = own[places_among(few, candidates=candidates)]
            kinds = {"sampled": drawn} | ({"exact": own} if with_exact else {})
            rows += [
                {
                    "row_number": numbers[query],
                    "pair_id": ids[query],
                    "target": target,
                    "candidates": kind,
                    "n_candidates": len(found),
                    "rank": answer_rank(found),
                }
                for kind, found in kinds.items()
            ]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def answer_rank(scores: npt.NDArray[np.floating[Any]]) -> float:
    """Return the rank of the answer among its candidates, from 1 (best), ties at their mean.

    The mean of the best and the worst rank that a tie allows ("realistic" in Berrendorf et al. 2020,
    https://arxiv.org/abs/2002.06914): a scorer that gives all candidates one score gets the middle rank and not the
    first, which ranking it before its ties would give (Sun et al. 2020,
    https://doi.org/10.18653/v1/2020.acl-main.489).

    :param scores: the answer's first, then the other candidates'; shape (n,), n >= 1, higher is better
    :returns: 1 to n, in halves
    :raises EvaluationError: if a score is not a finite number
    """
    if scores.ndim != 1 or not len(scores):
        raise ValueError(f"scores must be a vector with at least the answer's, found shape {scores.shape}")
    bad = int(np.count_nonzero(~np.isfinite(scores)))
    if bad:
        raise EvaluationError(
            "scores of candidates",
            found=f"{bad} of {len(scores)} that are not finite numbers",
            expected="a number for every candidate",
            remedy="Score them again; if it stays, the model overflows in its number type (try bfloat16).",
        )
    above = int(np.count_nonzero(scores[1:] > scores[0]))
    equal = int(np.count_nonzero(scores[1:] == scores[0]))
    return 1 + above + equal / 2


def _together(queries: LinkQueries, *, size: int | None) -> Iterator[list[tuple[int, Target, Integers]]]:
    """Give queries, targets and candidates, as many at a time as make some thousand statements."""
    asked: list[tuple[int, Target, Integers]] = []
    count = 0
    for query in range(len(queries)):
        for target in TARGETS:
            candidates = queries.candidates(query, target=target, size=size)
            if asked and count + len(candidates) > _TEXTS_AT_ONCE:
                yield asked
                asked, count = [], 0
            asked.append((query, target, candidates))
            count += len(candidates)
    if asked:
        yield asked
