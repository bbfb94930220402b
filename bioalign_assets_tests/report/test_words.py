"""The answer in words: every verdict that a leaderboard can give, and what a reader is warned of."""

import pytest

from bioalign_assets.report.numbers import interval, p_value, percent, real, signed
from bioalign_assets.report.tables import leaderboard
from bioalign_assets.report.words import QUESTION, SECOND_QUESTION, answer, cautions
from bioalign_assets_tests.report._make import ROLES, asked, baseline, warehouse


def board(*, models=(), baselines=(), tiny=()):
    connection = warehouse(zero_shot=list(models), baselines=list(baselines))
    return leaderboard(connection, roles=ROLES, tiny=set(tiny))


def told(**tables):
    return " ".join(answer(board(**tables)))


def test_the_questions_are_asked():
    assert QUESTION.endswith("?")
    assert SECOND_QUESTION.endswith("?")


def test_nothing_run_is_an_open_answer():
    assert told() == "The answer is still open: no model has been asked yet."
    assert "still open" in told(baselines=baseline("popularity", 0.9))


def test_a_model_that_beats_everything():
    text = told(models=asked("llama", "paper", 0.95), baselines=baseline("popularity", 0.8))
    assert text.startswith("A model beats the popularity baseline on published. That baseline only counts")
    assert (
        "On published the best model is llama@paper (tuned, unseen prompt): AUROC 0.950 [0.930, 0.970]"
        in text
    )
    assert "It beats popularity (AUROC 0.800)." in text
    assert "It beats the best baseline, popularity: the lift is +0.150" in text
    assert "accuracy 85.0%, n = 500" in text


def test_a_model_that_does_not_beat_popularity():
    text = told(models=asked("llama", "paper", 0.75), baselines=baseline("popularity", 0.8))
    assert text.startswith("No model beats the popularity baseline on published. That baseline only counts")
    assert "It does not beat popularity (AUROC 0.800)." in text
    assert "It does not beat the best baseline, popularity, but lies below it: the lift is −0.050" in text


def test_above_with_an_interval_that_reaches_down_is_no_victory():
    text = told(models=asked("llama", "paper", 0.81), baselines=baseline("popularity", 0.8))
    assert text.startswith("No model beats")
    assert "It does not surely beat the best baseline, popularity: the lift is +0.010" in text
    assert "which may be none" in text


def test_popularity_beaten_but_not_the_best_baseline():
    text = told(
        models=asked("llama", "paper", 0.85),
        baselines=[*baseline("popularity", 0.7), *baseline("ngrams", 0.84)],
    )
    assert "It beats popularity (AUROC 0.700)." in text
    assert "does not surely beat the best baseline, ngrams" in text


def test_without_baselines_nothing_is_claimed():
    text = told(models=asked("llama", "paper", 0.9))
    assert text.startswith("Whether a model beats popularity is open: that baseline has not been run.")
    assert "No baseline has been run on this test set." in text
    assert "beats popularity (" not in text


def test_with_other_baselines_than_popularity_that_one_stays_open():
    text = told(models=asked("llama", "paper", 0.9), baselines=baseline("majority", 0.5))
    assert text.startswith("Whether a model beats popularity is open")
    assert "It beats the best baseline, majority" in text


@pytest.mark.parametrize(
    ("areas", "start"),
    [
        ((0.95, 0.95), "A model beats the popularity baseline on all 2 test sets. That"),
        ((0.6, 0.6), "No model beats the popularity baseline on any of the 2 test sets. That"),
        ((0.95, 0.6), "A model beats the popularity baseline on 1 of 2 test sets (a); on b none does. That"),
    ],
)
def test_several_test_sets_have_one_verdict_and_a_sentence_each(areas, start):
    models = [
        row
        for name, area in zip("ab", areas, strict=True)
        for row in asked("llama", "paper", area, test_set=name)
    ]
    baselines = [row for name in "ab" for row in baseline("popularity", 0.8, test_set=name)]
    text = told(models=models, baselines=baselines)
    assert text.startswith(start)
    assert "On a the best model" in text
    assert "On b the best model" in text


def test_the_best_is_the_best_over_all_prompts_and_roles():
    text = told(
        models=[
            *asked("llama", "paper", 0.7), *asked("llama", "paper", 0.9, prompt="training"), *asked("bio", "untuned", 0.8)
        ],
        baselines=baseline("popularity", 0.6),
    )  # fmt: skip
    assert "the best model is llama@paper (tuned, training prompt)" in text
    text = told(models=[*asked("llama", "paper", 0.7), *asked("bio", "untuned", 0.8)])
    assert "the best model is bio@untuned (benchmark, unseen prompt)" in text


def test_a_model_that_is_second_but_surer_is_named():
    text = told(
        models=[*asked("llama", "paper", 0.84, half=0.06), *asked("phi", "paper", 0.835, half=0.01)],
        baselines=baseline("popularity", 0.8),
    )
    assert text.startswith("A model beats the popularity baseline on published.")
    assert "It does not beat popularity (AUROC 0.800). But phi@paper does, with a narrower interval." in text


def test_a_test_set_that_only_baselines_saw_has_no_sentence():
    text = told(models=asked("llama", "paper", 0.9), baselines=baseline("popularity", 0.8, test_set="other"))
    assert "other" not in text


def test_cautions():
    models = [*asked("llama", "paper", 0.7), *asked("phi", "paper", 0.7)]
    real_models = board(models=models)
    assert cautions(real_models, is_synthetic=False) == []
    (synthetic,) = cautions(real_models, is_synthetic=True)
    assert "holds no CTD data" in synthetic
    (tiny,) = cautions(board(models=models, tiny={"llama", "phi"}), is_synthetic=False)
    assert tiny.startswith("All models here are tiny: built for running everything, not for science.")
    (one,) = cautions(board(models=models, tiny={"phi"}), is_synthetic=False)
    assert one.startswith("phi is tiny")
    more = [*models, *asked("bio", "untuned", 0.5)]
    (some,) = cautions(board(models=more, tiny={"phi", "bio"}), is_synthetic=False)
    assert some.startswith("bio and phi are tiny")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.500"), (0.0, "0.000"), (-0.25, "−0.250"), (0.00123, "0.0012"), (1.0, "1.000"), (None, "–")],
)
def test_a_figure_as_text(value, text):
    assert real(value) == text


def test_changes_and_intervals_as_text():
    assert (signed(0.1), signed(-0.1), signed(0.0), signed(None)) == ("+0.100", "−0.100", "+0.000", "–")
    assert interval(0.5, 0.4, 0.6) == "0.500 [0.400, 0.600]"
    assert interval(0.5, None, 0.6) == "0.500"
    assert interval(0.1, -0.1, 0.3, is_change=True) == "+0.100 [−0.100, +0.300]"
    assert (percent(-38.04), percent(1200.0), percent(None)) == ("−38.0%", "+1,200.0%", "–")
    assert (p_value(0.04), p_value(0.00099), p_value(0.0), p_value(None)) == (
        "0.040",
        "< 0.001",
        "< 0.001",
        "–",
    )
