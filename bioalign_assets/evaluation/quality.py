"""Checks on what evaluation writes: figures in their metric's range and interval, changes that fit their figures."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.evaluation.metrics import METRICS
from bioalign_assets.findings import Finding

__all__ = ["changes_are_in_range", "metrics_are_in_range"]

_TOLERANCE = 1e-9

Floats = npt.NDArray[np.float64]


def metrics_are_in_range(metrics: pa.Table) -> Finding:
    """Check every figure against its metric's declared range, and that its interval holds it.

    :param metrics: any evaluation table of figures
    """
    low, high, undeclared = _ranges(metrics)
    value, ci_low, ci_high = _numbers(metrics, "value", "ci_low", "ci_high")
    has_interval = ~(np.isnan(ci_low) & np.isnan(ci_high))
    # written so that NaN fails
    holds = (ci_low - _TOLERANCE <= value) & (value <= ci_high + _TOLERANCE)
    interval_inside = (low <= ci_low) & (ci_high <= high)
    counts = {
        "rows": len(metrics),
        "undeclared": undeclared,
        "not_finite": int(np.count_nonzero(~np.isfinite(value))),
        "out_of_range": int(np.count_nonzero((value < low) | (value > high))),
        "interval_out_of_range": int(np.count_nonzero(has_interval & ~interval_inside)),
        "outside_interval": int(np.count_nonzero(has_interval & np.isfinite(value) & ~holds)),
    }
    return Finding.of_rows(
        counts, good="figures lie in their metric's range and interval", bad="figures can't be right"
    )


def changes_are_in_range(comparisons: pa.Table) -> Finding:
    """Check both figures of every comparison against their metric's range, and the change against both.

    :param comparisons: schema ``evaluation.comparisons``
    """
    low, high, undeclared = _ranges(comparisons)
    untuned, tuned, change = _numbers(comparisons, "untuned", "tuned", "change")
    change_low, change_high, p_value = _numbers(comparisons, "change_ci_low", "change_ci_high", "p_value")
    # written so that NaN fails
    inside = (low <= untuned) & (untuned <= high) & (low <= tuned) & (tuned <= high)
    is_difference = np.abs(tuned - untuned - change) <= _TOLERANCE
    holds = (change_low - _TOLERANCE <= change) & (change <= change_high + _TOLERANCE)
    is_probability = (p_value >= 0) & (p_value <= 1)
    counts = {
        "rows": len(comparisons),
        "undeclared": undeclared,
        "out_of_range": int(np.count_nonzero(~inside)),
        "not_the_difference": int(np.count_nonzero(~is_difference)),
        "outside_interval": int(np.count_nonzero(~holds)),
        "p_value_no_probability": int(np.count_nonzero(~is_probability)),
    }
    return Finding.of_rows(
        counts, good="changes fit their figures and intervals", bad="comparisons can't be right"
    )


def _ranges(rows: pa.Table) -> tuple[Floats, Floats, int]:
    """Return the least and the greatest value that each row's metric may have, and how many rows have none."""
    declared = [METRICS.get(name) for name in rows["metric"].to_pylist()]
    low = np.array([each.range[0] if each else -np.inf for each in declared]) - _TOLERANCE
    high = np.array([each.range[1] if each else np.inf for each in declared]) + _TOLERANCE
    return low, high, sum(each is None for each in declared)


def _numbers(rows: pa.Table, *columns: str) -> list[Floats]:
    return [pc.fill_null(rows[name], float("nan")).to_numpy().astype(np.float64) for name in columns]
