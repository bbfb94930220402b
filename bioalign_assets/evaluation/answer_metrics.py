"""Declarations: figures of answers and of p_true beside accuracy and AUROC."""

from bioalign_assets.evaluation.declaration import Metric

__all__ = ["ANSWER_METRICS"]

_RIJSBERGEN = "van Rijsbergen 1979, Information Retrieval, chapter 7"
_ONE_SIDED = "How the other label fares: it can be raised by giving this answer {} often."


def _of_label(label: str, *, right: str, said: str, there: str) -> tuple[Metric, ...]:
    """Return precision, recall and F1 of one label.

    :param right: rows that have the label and got it
    :param said: rows that got it
    :param there: rows that have it
    """
    return (
        Metric(
            name=f"precision_{label}",
            title=f"Precision of {label}",
            range=(0.0, 1.0),
            direction="higher",
            formula=f"{right} / ({said}); 0 where no answer was {label}",
            source=_RIJSBERGEN,
            cannot_tell=_ONE_SIDED.format("less"),
        ),
        Metric(
            name=f"recall_{label}",
            title=f"Recall of {label}",
            range=(0.0, 1.0),
            direction="higher",
            formula=f"{right} / ({there}); 0 where no statement is {label}",
            source=_RIJSBERGEN,
            cannot_tell=_ONE_SIDED.format("more"),
        ),
        Metric(
            name=f"f1_{label}",
            title=f"F1 of {label}",
            range=(0.0, 1.0),
            direction="higher",
            formula=f"2 {right} / (2 {right} + FP + FN), the harmonic mean of precision and recall of {label}; "
            "0 where its denominator is",
            source=_RIJSBERGEN,
            cannot_tell=f"Whether a model does better than answering {label} to everything: on balanced labels "
            "that gets 2/3.",
        ),
    )


ANSWER_METRICS = (
    Metric(
        name="auprc",
        title="AUPRC",
        range=(0.0, 1.0),
        direction="higher",
        formula="average precision: sum over distinct p_true, from the highest down, of (recall gained) x "
        "(precision so far); rows of equal p_true enter together",
        source="Davis and Goadrich 2006, https://doi.org/10.1145/1143844.1143874; as scikit-learn's "
        "average_precision_score",
        cannot_tell="How two test sets compare: chance is the share of true statements, which differs "
        "between them.",
    ),
    Metric(
        name="mcc",
        title="Matthews correlation",
        range=(-1.0, 1.0),
        direction="higher",
        formula="(TP TN - FP FN) / sqrt((TP + FP)(TP + FN)(TN + FP)(TN + FN)); 0 where the denominator is",
        source="Matthews 1975, https://doi.org/10.1016/0005-2795(75)90109-9",
        cannot_tell="Why it is 0: a model that always gives one answer gets the same 0 as one that guesses.",
    ),
    *_of_label("true", right="TP", said="TP + FP", there="TP + FN"),
    *_of_label("false", right="TN", said="TN + FN", there="TN + FP"),
    Metric(
        name="calibration_error",
        title="Calibration error",
        range=(0.0, 1.0),
        direction="lower",
        formula="sum over at most 15 bins of equally many rows, ordered by p_true, of (rows in it / n) x "
        "|mean p_true - share of true statements|; ties stay in one bin",
        source="Naeini, Cooper and Hauskrecht 2015, https://doi.org/10.1609/aaai.v29i1.9602; Guo et al. 2017, "
        "https://arxiv.org/abs/1706.04599; bins of equal mass: Nixon et al. 2019, https://arxiv.org/abs/1904.01685",
        cannot_tell="Whether p_true tells statements apart: saying the share of true statements each time is "
        "calibrated; and small samples lift it above 0 for any model.",
    ),
    Metric(
        name="brier",
        title="Brier score",
        range=(0.0, 1.0),
        direction="lower",
        formula="mean of (p_true - label)^2",
        source="Brier 1950, https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2",
        cannot_tell="Whether a high score comes from bad order or from bad calibration: it counts both.",
    ),
)
"""In the order of the page."""
