"""Checks on what evaluation reads and writes: embeddings, probabilities, figures."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.evaluation.metric import METRICS
from bioalign_assets.evaluation.vectors import embedding_faults
from bioalign_assets.findings import Finding

__all__ = [
    "changes_are_in_range",
    "embeddings_are_finite",
    "metrics_are_in_range",
    "probabilities_are_in_range",
    "ranks_are_in_range",
]

_TOLERANCE = 1e-9


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
    return _finding(
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
    return _finding(
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
    return _finding(counts, good="ranks lie among their candidates", bad="ranks can't be right")


def metrics_are_in_range(metrics: pa.Table) -> Finding:
    """Check every figure against its metric's declared range, and that its interval holds it.

    :param metrics: any evaluation table of figures
    """
    names = metrics["metric"].to_pylist()
    declared = [METRICS.get(name) for name in names]
    low = np.array([each.range[0] if each else -np.inf for each in declared]) - _TOLERANCE
    high = np.array([each.range[1] if each else np.inf for each in declared]) + _TOLERANCE
    value, ci_low, ci_high = (
        pc.fill_null(metrics[name], float("nan")).to_numpy().astype(np.float64)
        for name in ("value", "ci_low", "ci_high")
    )
    has_interval = ~(np.isnan(ci_low) & np.isnan(ci_high))
    # written so that NaN fails
    holds = (ci_low - _TOLERANCE <= value) & (value <= ci_high + _TOLERANCE)
    interval_inside = (low <= ci_low) & (ci_high <= high)
    counts = {
        "rows": len(metrics),
        "undeclared": sum(each is None for each in declared),
        "not_finite": int(np.count_nonzero(~np.isfinite(value))),
        "out_of_range": int(np.count_nonzero((value < low) | (value > high))),
        "interval_out_of_range": int(np.count_nonzero(has_interval & ~interval_inside)),
        "outside_interval": int(np.count_nonzero(has_interval & np.isfinite(value) & ~holds)),
    }
    return _finding(
        counts, good="figures lie in their metric's range and interval", bad="figures can't be right"
    )


def changes_are_in_range(comparisons: pa.Table) -> Finding:
    """Check both figures of every comparison against their metric's range, and the change against both.

    :param comparisons: schema ``evaluation.comparisons``
    """
    declared = [METRICS.get(name) for name in comparisons["metric"].to_pylist()]
    low = np.array([each.range[0] if each else -np.inf for each in declared]) - _TOLERANCE
    high = np.array([each.range[1] if each else np.inf for each in declared]) + _TOLERANCE
    figures = {
        name: pc.fill_null(comparisons[name], float("nan")).to_numpy().astype(np.float64)
        for name in ("untuned", "tuned", "change", "change_ci_low", "change_ci_high", "p_value")
    }
    untuned, tuned, change = figures["untuned"], figures["tuned"], figures["change"]
    # written so that NaN fails
    inside = (low <= untuned) & (untuned <= high) & (low <= tuned) & (tuned <= high)
    is_difference = np.abs(tuned - untuned - change) <= _TOLERANCE
    holds = (figures["change_ci_low"] - _TOLERANCE <= change) & (
        change <= figures["change_ci_high"] + _TOLERANCE
    )
    is_probability = (figures["p_value"] >= 0) & (figures["p_value"] <= 1)
    counts = {
        "rows": len(comparisons),
        "undeclared": sum(each is None for each in declared),
        "out_of_range": int(np.count_nonzero(~inside)),
        "not_the_difference": int(np.count_nonzero(~is_difference)),
        "outside_interval": int(np.count_nonzero(~holds)),
        "p_value_no_probability": int(np.count_nonzero(~is_probability)),
    }
    return _finding(counts, good="changes fit their figures and intervals", bad="comparisons can't be right")


def _finding(counts: dict[str, int], *, good: str, bad: str) -> Finding:
    wrong = {name: count for name, count in counts.items() if name != "rows" and count}
    rows = counts["rows"]
    if rows == 0:
        return Finding(passed=False, summary="There are no rows to check.", counts=counts)
    if not wrong:
        return Finding(passed=True, summary=f"All {rows:,} {good}.", counts=counts)
    told = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in wrong.items())
    return Finding(passed=False, summary=f"Among {rows:,} rows some {bad}: {told}.", counts=counts)
