"""Checks on what inference writes: embeddings, probabilities, ranks."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.findings import Finding
from bioalign_assets.inference.vectors import embedding_faults

__all__ = ["embeddings_are_finite", "probabilities_are_in_range", "ranks_are_in_range"]


def embeddings_are_finite(embeddings: pa.Table) -> Finding:
    """Check that every embedding is finite and not zero, and as long as the others of its variant.

    :param embeddings: schema ``inference.embeddings``
    """
    counts = {
        "rows": len(embeddings),
        "missing": 0,
        "not_finite": 0,
        "zero_norm": 0,
        "variants_of_several_dimensions": 0,
    }
    for variant in pc.unique(embeddings["variant"]):
        faults = embedding_faults(embeddings.filter(pc.equal(embeddings["variant"], variant))["embedding"])
        for name in ("missing", "not_finite", "zero_norm"):
            counts[name] += faults[name]
        counts["variants_of_several_dimensions"] += faults["dimensions"] > 1
    return Finding.of_rows(
        counts, good="embeddings are finite vectors of one length", bad="embeddings can't be used"
    )


def probabilities_are_in_range(answers: pa.Table) -> Finding:
    """Check that every p_true is a probability.

    :param answers: any table with a column p_true, such as ``inference.answers``
    """
    p_true = answers["p_true"]
    values = pc.fill_null(p_true, 0.0).to_numpy()
    counts = {
        "rows": len(answers),
        "missing": p_true.null_count,
        "not_finite": int(np.count_nonzero(~np.isfinite(values))),
        "out_of_range": int(np.count_nonzero((values < 0) | (values > 1))),
    }
    return Finding.of_rows(
        counts, good="values of p_true lie in 0 to 1", bad="values of p_true are no probabilities"
    )


def ranks_are_in_range(rankings: pa.Table) -> Finding:
    """Check that every rank lies between 1 and the number of candidates, in halves as ties at their mean do.

    :param rankings: schema ``inference.rankings``
    """
    rank = pc.fill_null(rankings["rank"], float("nan")).to_numpy()
    candidates = pc.fill_null(rankings["n_candidates"], 0).to_numpy()
    counts = {
        "rows": len(rankings),
        "not_finite": int(np.count_nonzero(~np.isfinite(rank))),
        "out_of_range": int(np.count_nonzero((rank < 1) | (rank > candidates))),
        "not_in_halves": int(np.count_nonzero((2 * rank[np.isfinite(rank)]) % 1)),
    }
    return Finding.of_rows(counts, good="ranks lie among their candidates", bad="ranks can't be right")
