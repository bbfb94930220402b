"""The report's section of pictures of models: compared (9, 12), t-SNE maps (11), confusion matrices (13), losses (14).

Pictures of a single variant are closed until a reader opens them, and no more than ``MOST_OF_A_KIND`` of a kind
are on the page, so that a study of many variants stays a page that a phone can open.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import pyarrow as pa
from matplotlib.figure import Figure

from bioalign_assets.evaluation.figures import confusion_matrix, tsne_pair
from bioalign_assets.report.blocks import Album, Block, Details, Section, Text
from bioalign_assets.report.figures import COMPARED, by_model, improvement_bars
from bioalign_assets.report.reading import Reading
from bioalign_assets.report.score_sections import HEADLINE
from bioalign_assets.report.tables import METRIC_TABLES
from bioalign_assets.study import UNTUNED
from bioalign_assets.training.figures import loss_curves
from bioalign_assets.warehouse.groups import grouped

__all__ = ["MOST_OF_A_KIND", "comparison_pictures", "picture_section"]

MOST_OF_A_KIND = 24

Named = tuple[str, Callable[[], Figure]]


def comparison_pictures(
    figures: pa.Table, improvements: pa.Table, *, roles: Mapping[str, str]
) -> Iterator[tuple[str, str, Figure]]:
    """Give the pictures that compare models (figures 9 and 12): a name, a caption and the figure of each.

    :param figures: rows as of the metric tables
    :param improvements: schema ``report.improvements``
    :param roles: ``tuned`` or ``benchmark`` by model
    """
    keys = dict.fromkeys(
        (row["test_set"], row["prompt"]) for row in figures.to_pylist() if row["metric"] == COMPARED[0]
    )
    for test_set, prompt in sorted(keys, key=lambda key: (key[0], key[1] or "")):
        caption = (
            f"Zero-shot accuracy ({prompt} prompt) and KG separation on {test_set} by model, with the benchmark's "
            "line (figure 9 of the paper)."
        )
        figure = by_model(figures, test_set=test_set, prompt=prompt, roles=roles)
        yield f"models_{test_set}_{prompt}", caption, figure
    changed = {row["test_set"] for row in improvements.to_pylist() if row["metric"] in HEADLINE}
    for test_set in sorted(changed):
        caption = f"What tuning changed on {test_set}, by metric and variant (figure 12 of the paper)."
        figure = improvement_bars(improvements, test_set=test_set, metrics=HEADLINE)
        yield f"changes_{test_set}", caption, figure


def picture_section(
    reading: Reading,
    improvements: pa.Table,
    *,
    variants: Sequence[str],
    roles: Mapping[str, str],
    album: Album,
) -> Section:
    """Return all pictures of models.

    :param improvements: schema ``report.improvements``
    :param variants: partition keys of the study, in its order
    :param roles: ``tuned`` or ``benchmark`` by model
    """
    blocks: list[Block] = [
        album.picture(figure, caption=caption)
        for _, caption, figure in comparison_pictures(
            _metric_rows(reading, variants=variants), improvements, roles=roles
        )
    ]
    log = reading.all_rows("training.log", of=list(variants))
    models = dict.fromkeys(variant.split("@")[0] for variant in log["variant"].to_pylist())
    blocks += [
        album.picture(figure, caption=f"Training losses of {model} by experiment (figure 14 of the paper).")
        for model in models
        for figure in loss_curves(log, model=model)
    ]
    maps = _kind(
        _maps(reading, variants=variants),
        title="t-SNE maps",
        paper=11,
        album=album,
        shown_in="report.improvements",
    )
    matrices = _kind(
        _matrices(reading, variants=variants), title="Confusion matrices", paper=13, album=album,
        shown_in="evaluation.zero_shot",
    )  # fmt: skip
    blocks += [*maps, *matrices]
    if not blocks:
        blocks = [Text(parts=("No model has been evaluated yet.",), warning=True)]
    return Section(key="pictures", title="Pictures of the models", blocks=blocks)


def _metric_rows(reading: Reading, *, variants: Sequence[str]) -> pa.Table:
    names = [
        "model",
        "experiment",
        "test_set",
        "prompt",
        "scope",
        "metric",
        "value",
        "ci_low",
        "ci_high",
        "n",
    ]
    return pa.concat_tables(
        [reading.all_rows(name, of=list(variants)).select(names) for name in METRIC_TABLES]
    )


def _kind(
    figures: Iterator[Named], *, title: str, paper: int, album: Album, shown_in: str
) -> Iterator[Details]:
    """Give the pictures of one kind as one part that opens, if there are any; each is drawn when it is due."""
    pictures: list[Block] = []
    left = 0
    for caption, draw in figures:
        if len(pictures) < MOST_OF_A_KIND:
            pictures.append(album.picture(draw(), caption=f"{caption} (figure {paper} of the paper)."))
        else:
            left += 1
    if left:
        told = f"{left} more are not on this page; Dagster shows them with {shown_in}."
        pictures.append(Text(parts=(told,)))
    if pictures:
        yield Details(title=f"{title} ({len(pictures) - bool(left)})", blocks=pictures)


def _maps(reading: Reading, *, variants: Sequence[str]) -> Iterator[Named]:
    there = reading.partitions("evaluation.cluster_map")
    for variant in variants:
        model, _, experiment = variant.partition("@")
        base = f"{model}@{UNTUNED}"
        if experiment == UNTUNED or variant not in there or base not in there:
            continue
        untuned = _by_test_set(reading.rows("evaluation.cluster_map", partition=base))
        for test_set, tuned in _by_test_set(
            reading.rows("evaluation.cluster_map", partition=variant)
        ).items():
            if test_set in untuned:
                caption = f"t-SNE map of {model} on {test_set}, untuned over {experiment}"
                yield caption, partial(tsne_pair, untuned[test_set], tuned, model=model)


def _by_test_set(rows: pa.Table) -> dict[str, pa.Table]:
    return {key["test_set"]: group for key, group in grouped(rows, by=("test_set",))}


def _matrices(reading: Reading, *, variants: Sequence[str]) -> Iterator[Named]:
    there = reading.partitions("inference.answers")
    for variant in variants:
        if variant in there:
            answers = reading.rows("inference.answers", partition=variant)
            for key, group in grouped(answers, by=("test_set", "prompt")):
                where = f"{key['test_set']}, {key['prompt']} prompt"
                yield f"Answers of {variant} by label on {where}", partial(confusion_matrix, group)
