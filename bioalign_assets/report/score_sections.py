"""The report's sections of figures: the rankings, tuned against untuned (Table 2), seeds pooled, link prediction."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from bioalign_assets.evaluation.link_prediction import link_metric
from bioalign_assets.evaluation.metrics import METRICS
from bioalign_assets.report.blocks import Album, Block, Details, Section, Table, Text
from bioalign_assets.report.figures import leaderboard_figure
from bioalign_assets.report.numbers import interval, p_value, percent, real
from bioalign_assets.report.reading import Reading

_LINKS = tuple(
    link_metric(name, target=target, is_sampled=is_sampled)
    for is_sampled in (False, True)
    for target in ("disease", "gene")
    for name in ("mrr", "hits_at_10")
)

__all__ = [
    "HEADLINE",
    "improvement_section",
    "leaderboard_section",
    "link_prediction_section",
    "seed_section",
    "separation_section",
]

HEADLINE = (
    "kg_separation",
    "probe_accuracy_notebook",
    "probe_accuracy",
    "accuracy",
    "auroc",
    "silhouette_notebook",
    "silhouette_tsne",
)
"""What is shown of each variant at first: the paper's figures, ours in the place of two that hang on the paper's own
draw, and AUROC."""

Row = Mapping[str, Any]


def leaderboard_section(leaderboard: pa.Table, *, album: Album) -> Section:
    """Return each ranking: a picture (figure 10), and all contestants with intervals and lift.

    :param leaderboard: schema ``report.leaderboard``
    """
    rankings: dict[tuple[str, str | None], list[Row]] = {}
    for row in leaderboard.to_pylist():
        rankings.setdefault((row["test_set"], row["prompt"]), []).append(row)
    blocks: list[Block] = []
    for (test_set, prompt), rows in rankings.items():
        named = f"{test_set}, {prompt} prompt" if prompt else f"{test_set}, no model asked yet"
        if prompt:
            figure = leaderboard_figure(leaderboard, test_set=test_set, prompt=prompt)
            caption = f"Ranking by AUROC on {named}; dashed lines are baselines (figure 10 of the paper)."
            blocks.append(album.picture(figure, caption=caption, width=6.2))
        blocks.append(
            Table(
                caption=f"Ranking on {named}",
                columns=("rank", "contestant", "role", "AUROC [95%]", "accuracy [95%]",
                         "lift over the best baseline [95%]", "beats popularity", "n"),
                rows=[_contestant(row) for row in rows],
                numeric=frozenset({0, 3, 4, 5, 7}),
                names=frozenset({1}),
            )
        )  # fmt: skip
    if not blocks:
        blocks = [Text(parts=("Nothing has been ranked yet.",), warning=True)]
    note = (
        "Lift: AUROC minus that of the best baseline on the same test set. Its interval takes the two as "
        "independent, which is usually too wide. Nothing is corrected for how many contestants there are."
    )
    return Section(key="leaderboard", title="Leaderboard", blocks=[*blocks, Text(parts=(note,))])


def _contestant(row: Row) -> list[str]:
    name = row["model"] if row["role"] == "baseline" else f"{row['model']}@{row['experiment']}"
    return [
        str(row["rank"]),
        f"{name} (tiny)" if row["is_tiny"] else name,
        row["role"],
        interval(row["auroc"], row["auroc_ci_low"], row["auroc_ci_high"]),
        interval(row["accuracy"], row["accuracy_ci_low"], row["accuracy_ci_high"]),
        interval(row["lift"], row["lift_ci_low"], row["lift_ci_high"], is_change=True),
        {True: "yes", False: "no", None: ""}[row["is_above_popularity"]],
        f"{row['n']:,}",
    ]


def improvement_section(improvements: pa.Table) -> Section:
    """Return Table 2: untuned, tuned and the change, the headline metrics first and all others on demand.

    :param improvements: schema ``report.improvements``; ``change_ci_low``, ``change_ci_high``, ``p_value`` and
        ``test`` are shown where the table has them
    """
    rows = improvements.to_pylist()
    if not rows:
        told = "No model has been evaluated both untuned and tuned yet."
        return Section(
            key="improvements", title="What tuning changed", blocks=[Text(parts=(told,), warning=True)]
        )
    headline = [row for row in rows if row["metric"] in HEADLINE]
    others = [row for row in rows if row["metric"] not in HEADLINE]
    blocks: list[Block] = [_improvements(headline, caption="Table 2. Untuned and tuned")]
    if others:
        table = _improvements(others, caption="Further metrics, untuned and tuned")
        blocks.append(Details(title=f"Further metrics ({len(others)} rows)", blocks=[table]))
    note = (
        "A change counts as more than chance only where its own interval leaves out 0. It has a percentage only where "
        "the figure can't be negative and the lower end of its untuned interval is known and more than half of it: "
        "there is none of a figure near 0. The intervals of the two figures are of the test rows alone: another "
        "training would give another figure."
    )
    return Section(key="improvements", title="What tuning changed", blocks=[*blocks, Text(parts=(note,))])


def separation_section(reading: Reading, *, variants: Sequence[str]) -> Section | None:
    """Return the paper's KG separation beside what chance gives; None where no variant has one.

    :param variants: those of the study, in its order
    """
    rows = [
        row
        for row in reading.all_rows("evaluation.kg_separation", of=list(variants)).to_pylist()
        if row["metric"] == "kg_separation" and row["scope"] == "sample"
    ]
    if not rows:
        return None
    table = Table(
        caption="KG separation, and its mean over random permutations of the labels",
        columns=("variant", "test set", "KG separation [95%]", "by chance", "p", "true", "false"),
        rows=[
            [
                row["variant"],
                row["test_set"],
                interval(row["value"], row["ci_low"], row["ci_high"]),
                real(row["null_mean"]),
                p_value(row["p_value"]),
                *(real(None) if row[name] is None else f"{row[name]:,}" for name in ("n_true", "n_false")),
            ]
            for row in rows
        ],
        numeric=frozenset(range(2, 7)),
        names=frozenset({0}),
    )
    note = (
        "The paper's measure: how much tighter one of the two groups of statements is than the other. It is never "
        "below 0, so chance alone gives more than 0, the more the fewer statements there are. p is the share of "
        "permutations that give at least as much, not corrected for how many are looked at. Neither says how far the "
        "two groups lie apart: the measure sees the direction that all embeddings share, and nothing across it."
    )
    return Section(
        key="separation", title="KG separation against chance", blocks=[table, Text(parts=(note,))]
    )


def _improvements(rows: Sequence[Row], *, caption: str) -> Table:
    has_test = any(row.get("p_value") is not None for row in rows)
    return Table(
        caption=caption,
        columns=("model", "metric", "test set", "untuned [95%]", "tuned [95%]", "change", "change %",
                 *(("p", "test") if has_test else ()), "n"),
        rows=[
            [
                f"{row['model']}@{row['experiment']}",
                _title(row["metric"]),
                _asked(row),
                interval(row["untuned"], row["untuned_ci_low"], row["untuned_ci_high"]),
                interval(row["tuned"], row["tuned_ci_low"], row["tuned_ci_high"]),
                interval(row["change"], row.get("change_ci_low"), row.get("change_ci_high"), is_change=True),
                percent(row["change_percent"]),
                *((p_value(row.get("p_value")), row.get("test") or "") if has_test else ()),
                f"{row['n']:,}",
            ]
            for row in rows
        ],
        numeric=frozenset({3, 4, 5, 6, 7, 9} if has_test else {3, 4, 5, 6, 7}),
        names=frozenset({0}),
    )  # fmt: skip


def seed_section(seeds: pa.Table) -> Section | None:
    """Return the means over seeds; None where no experiments differ in their seed alone.

    :param seeds: schema ``report.seeds``
    """
    rows = seeds.to_pylist()
    if not rows:
        return None
    table = Table(
        caption="Means over experiments that differ in their seed alone",
        columns=("model", "metric", "test set", "seeds", "mean [95%]", "sd between seeds", "n"),
        rows=[
            [
                f"{row['model']}@{row['experiment']}",
                _title(row["metric"]),
                _asked(row) + ("" if row["scope"] == "sample" else ", full"),
                str(row["seeds"]),
                interval(row["mean"], row["ci_low"], row["ci_high"]),
                real(row["sd"]),
                f"{row['n']:,}",
            ]
            for row in rows
        ],
        numeric=frozenset({3, 4, 5, 6}),
        names=frozenset({0}),
    )
    groups = sorted({(row["experiment"], ", ".join(row["experiments"])) for row in rows})
    note = (
        "The interval is of the mean: over seeds (Student's t) and over test rows, which all seeds share. "
        + " ".join(f"{group}: {names}." for group, names in groups)
    )
    return Section(key="seeds", title="Seeds pooled", blocks=[table, Text(parts=(note,))])


def link_prediction_section(
    reading: Reading, *, variants: Sequence[str], datasets: Sequence[str]
) -> Section | None:
    """Return how high models and baselines rank true links; None where the warehouse has no such figures.

    :param variants: those of the study, in its order
    :param datasets: those of the study, in its order
    """
    rows = reading.all_rows("evaluation.link_prediction", of=list(variants)).to_pylist()
    asked = {row["test_set"] for row in rows}
    baselines = reading.all_rows("evaluation.baselines", of=list(datasets)).to_pylist()
    rows += [row for row in baselines if row["metric"] in _LINKS and row["test_set"] in asked]
    known = Counter(row["metric"] for row in rows)
    # first what most contestants have: a model is seldom asked to rank among all names
    metrics = sorted((name for name in _LINKS if known[name]), key=lambda name: -known[name])
    if not metrics:
        return None
    contestants: dict[tuple[str, ...], dict[str, Row]] = {}
    for row in sorted(rows, key=lambda row: row["test_set"]):
        is_baseline = row["experiment"] == "baseline"
        name = f"{row['model']} (baseline)" if is_baseline else f"{row['model']}@{row['experiment']}"
        contestants.setdefault((name, _asked(row)), {})[row["metric"]] = row
    table = Table(
        caption="Link prediction: how high the true disease or gene ranks",
        columns=("contestant", "test set", "queries", *map(_title, metrics)),
        rows=[
            [
                *key,
                f"{max(row['n'] for row in found.values()):,}",
                *(_with_interval(found.get(metric)) for metric in metrics),
            ]
            for key, found in contestants.items()
        ],
        numeric=frozenset(range(2, 3 + len(metrics))),
        names=frozenset({0}),
    )
    note = (
        "Drawn candidates: the answer among a few wrong ones, where every contestant looks far better than among all. "
        "A model that was trained on another dataset is not asked about pairs that it was trained on, so its queries "
        "are fewer. All figures, Hits@1 and Hits@3 too, are in evaluation.link_prediction and evaluation.baselines."
    )
    return Section(key="links", title="Link prediction", blocks=[table, Text(parts=(note,))])


def _with_interval(row: Row | None) -> str:
    return real(None) if row is None else interval(row["value"], row.get("ci_low"), row.get("ci_high"))


def _title(metric: str) -> str:
    return METRICS[metric].title if metric in METRICS else metric.replace("_", " ")


def _asked(row: Row) -> str:
    return f"{row['test_set']}, {row['prompt']} prompt" if row.get("prompt") else str(row["test_set"])
