"""The table of link prediction on the report page."""

from types import SimpleNamespace

import pyarrow as pa

from bioalign_assets.evaluation.link_prediction import link_metric
from bioalign_assets.evaluation.metrics import METRICS
from bioalign_assets.report.score_sections import link_prediction_section

IN_FULL, DRAWN = (link_metric("mrr", target="disease", is_sampled=each) for each in (False, True))


def rows(model, experiment, metrics):
    return [
        {
            "model": model, "experiment": experiment, "test_set": "one", "prompt": None, "metric": metric,
            "value": 0.5, "ci_low": 0.4, "ci_high": 0.6, "n": 20,
        }
        for metric in metrics
    ]  # fmt: skip


def section(**tables):
    found = {f"evaluation.{name}": pa.Table.from_pylist(each) for name, each in tables.items()}
    reading = SimpleNamespace(all_rows=lambda name, of: found[name])  # noqa: ARG005 - the real one's form
    return link_prediction_section(reading, variants=["m@untuned", "n@untuned"], datasets=["one"])


def test_what_most_contestants_have_comes_first():
    found = section(
        link_prediction=rows("m", "untuned", [DRAWN]) + rows("n", "untuned", [DRAWN]),
        baselines=rows("popularity", "baseline", [IN_FULL, DRAWN]),
    )
    table = found.blocks[0]
    assert table.columns[:3] == ("contestant", "test set", "queries")
    assert table.columns[3:] == (METRICS[DRAWN].title, METRICS[IN_FULL].title)
    assert [row[3] for row in table.rows] == ["0.500 [0.400, 0.600]"] * 3
    assert [row[4] for row in table.rows] == ["–", "–", "0.500 [0.400, 0.600]"]


def test_without_figures_there_is_no_section():
    assert (
        section(link_prediction=rows("m", "untuned", []), baselines=rows("popularity", "baseline", ["auroc"]))
        is None
    )
