"""The page of all metrics, ``docs/metrics.md``, made from their declarations."""

from bioalign_assets.evaluation.metric import METRICS, Metric

__all__ = ["metric_page"]

_HEAD = """# Metrics

Generated from `bioalign_assets/evaluation/metric.py` by `bioalign docs`; do not edit it by hand.

Every figure stands with n, the number of rows behind it, and a 95% bootstrap interval (percentiles of resampled rows;
for KG separation the bias of the resampling is taken off first, see `evaluation/kg_separation.py`; for the probe and
the clusters the interval is for the fitted probe and the drawn map, not for fitting them again). All models are scored
on the same rows of a test set.
"""


def metric_page() -> str:
    """Return the page as Markdown."""
    return "\n".join([_HEAD, *(_section(metric) for metric in METRICS.values())])


def _section(metric: Metric) -> str:
    better = {"higher": "higher is better", "lower": "lower is better", "none": "neither end is better"}
    low, high = metric.range
    return "\n".join(
        [
            f"## {metric.title} (`{metric.name}`)",
            "",
            f"- Formula: {metric.formula}",
            f"- Range: {low:g} to {high:g}; {better[metric.direction]}",
            f"- Source: {metric.source}",
            f"- What it can't tell: {metric.cannot_tell}",
            "",
        ]
    )
