"""Where a scorer of statements ranks the answers to link queries: one row a query, target and set of candidates."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bioalign_assets.evaluation.link_prediction import answer_rank
from bioalign_assets.inference.candidates import TARGETS, LinkQueries, Target, places_among

__all__ = ["rankings"]

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
