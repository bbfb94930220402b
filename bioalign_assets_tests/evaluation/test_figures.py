"""Figures of one variant: what they say, and what they can't be drawn of."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from sklearn.metrics import silhouette_score

from bioalign_assets.errors import EvaluationError
from bioalign_assets.evaluation.clusters import map_rows
from bioalign_assets.evaluation.figures import confusion_matrix, tsne_pair
from bioalign_assets.plotting import MAX_PNG_BYTES, png
from bioalign_assets.study.evaluation import EvaluationSpec
from bioalign_assets_tests.evaluation._make import answers, embeddings

SPEC = EvaluationSpec(resamples=100, map_size=60)


@pytest.fixture(scope="module")
def maps():
    return tuple(
        map_rows(embeddings(variant=variant, shift=shift), spec=SPEC)
        for variant, shift in (("phi$3@untuned", 0.0), ("phi$3@paper", 8.0))
    )


def test_tsne_pair_stands_base_over_tuned_with_silhouettes(maps):
    figure = tsne_pair(*maps, model="phi$3")
    upper, lower = figure.axes
    assert upper.get_position().y0 > lower.get_position().y1 - 0.1
    for axes, map_, name in ((upper, maps[0], "untuned"), (lower, maps[1], "paper")):
        points = list(zip(map_["x"].to_pylist(), map_["y"].to_pylist(), strict=True))
        assert (
            axes.get_title()
            == f"{name}: silhouette {silhouette_score(points, map_['label'].to_numpy()):+.3f}"
        )
        drawn = sum(len(cloud.get_offsets()) for cloud in axes.collections)
        assert drawn == len(map_)
        assert axes.get_xlabel()
        assert axes.get_ylabel()
    assert "phi$3" in figure.get_suptitle()
    assert len(figure.legends) == 1
    assert len(png(figure)) < MAX_PNG_BYTES


def test_tsne_pair_of_other_test_sets_or_of_two_maps_raises(maps):
    other = map_rows(embeddings(test_set="held-out"), spec=SPEC)
    with pytest.raises(EvaluationError, match="test sets held-out and published"):
        tsne_pair(maps[0], other, model="m")
    with pytest.raises(EvaluationError, match="2 values"):
        tsne_pair(pa.concat_tables([maps[0], other]), maps[1], model="m")
    with pytest.raises(EvaluationError, match="0 values"):
        tsne_pair(maps[0].slice(0, 0), maps[1], model="m")


def test_confusion_matrix_shows_the_counts_and_their_shares_of_a_label():
    table = answers(rows=101, skill=1.0).slice(40)
    table = table.filter(pc.or_(pc.equal(table["label"], 1), pc.less(table["row_number"], 60)))
    figure = confusion_matrix(table)
    counts = [
        [
            pc.sum(pc.and_(pc.equal(table["label"], a), pc.equal(table["predicted"], b))).as_py()
            for b in (1, 0)
        ]
        for a in (1, 0)
    ]
    shares = [[count / sum(row) for count in row] for row in counts]
    texts = [f"{count:,}\n{count / sum(row):.1%}" for row in counts for count in row]
    axes = figure.axes[0]
    (image,) = axes.images
    assert [text.get_text() for text in axes.texts] == texts
    assert image.get_array().tolist() == shares
    assert image.get_clim() == (0.0, 1.0)  # colors mean the same on every matrix
    assert f"n = {len(table)}" in axes.get_title()
    assert len(png(figure)) < MAX_PNG_BYTES


def test_confusion_matrix_of_two_prompts_raises():
    with pytest.raises(EvaluationError, match="column prompt"):
        confusion_matrix(pa.concat_tables([answers(), answers(prompt="training")]))
