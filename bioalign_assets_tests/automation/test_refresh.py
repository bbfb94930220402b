"""``bioalign refresh`` and ``bioalign status``: what the automation would do, at once and without a daemon."""

import os
import subprocess
import sys
from collections import Counter

import pytest
from bioalign_assets.automation.refresh import refresh

import bioalign_assets.training.qlora as training
from bioalign_assets.errors import ModelError, StudyError, WarehouseError
from bioalign_assets.study import load_study
from bioalign_assets_tests.automation.conftest import ONE_DATASET, UNBUILT
from bioalign_assets_tests.automation.releases import dated, with_other_omim_ids, without_rows
from bioalign_assets_tests.micro import Micro

pytestmark = pytest.mark.slow


def refreshed(automated, **named):
    options = {"training": True} | named
    return list(refresh(automated.micro.study, settings=automated.settings, **options))


def told(steps, outcome):
    return {step.title for step in steps if step.outcome == outcome}


def test_nothing_new_reruns_nothing(automated, release):
    (look,) = refreshed(automated)
    assert look.outcome == "looked"
    assert "No new release" in look.why
    automated.publish(dated(release, year=2031))
    (ingested,) = refreshed(automated)
    assert (ingested.title, ingested.outcome) == ("ctd.release", "same")


def test_a_new_release_is_ingested_and_what_is_stale_rerun_once(automated, release):
    automated.publish(without_rows(release, share=0.02, seed=1))
    steps = refreshed(automated)
    assert told(steps, "failed") == told(steps, "waits") == set()
    assert max(Counter(step.title for step in steps).values()) == 1
    titles = [step.title for step in steps]
    assert titles[:2] == ["ctd.release", "ctd.associations"]
    assert titles[-4:] == ["report.improvements", "report.leaderboard", "report.seeds", "report.study"]
    assert "training.adapter + log[tiny-llama@paper]" in titles
    assert not any(UNBUILT in title for title in titles)
    assert "curation.pairs[stable]" in told(steps, "changed")
    by_title = {step.title: step for step in steps}
    assert "ctd/associations changed" in by_title["curation.pairs[stable]"].why
    assert automated.of_state("stale") == set()
    assert [step.outcome for step in refreshed(automated)] == ["looked"]
    assert automated.settle() == []  # the automation agrees


def test_what_comes_out_the_same_makes_nothing_stale(automated, release):
    automated.publish(with_other_omim_ids(release))
    steps = refreshed(automated)
    assert told(steps, "changed") == {"ctd.release", "ctd.associations", "ctd.changes", "report.study"}
    assert told(steps, "same") == {
        "curation.pairs[published]", "curation.pairs[stable]",
        "models.base[tiny-llama]", "models.base[tiny-benchmark]",
    }  # fmt: skip


def test_without_training_what_loads_a_model_waits(automated, release):
    automated.publish(without_rows(release, share=0.02, seed=1))
    steps = refreshed(automated, training=False)
    waiting = {step.title: step.why for step in steps if step.outcome == "waits"}
    assert "--training" in waiting["models.base[tiny-llama]"]
    assert "waits for" in waiting["training.adapter[tiny-llama@paper]"]
    assert "waits for" in waiting["report.leaderboard"]
    rerun = told(steps, "changed") | told(steps, "same")
    assert not any(title.startswith(("models", "training", "inference", "report")) for title in rerun)
    assert "evaluation.baselines[stable]" in rerun


def test_a_failure_is_told_and_the_rest_goes_on(automated, monkeypatch):
    def fail(*_, **__):
        raise ModelError("Training", found="a failure", expected="none", remedy="Wait.")

    automated.edit_study("steps = 1\n", "steps = 2\n")
    automated.edit_study(*ONE_DATASET)
    with monkeypatch.context() as failing:
        failing.setattr(training, "train_adapter", fail)
        steps = refreshed(automated)
    failed = {step.title: step.why for step in steps if step.outcome == "failed"}
    assert "found a failure" in failed["training.adapter + log[tiny-llama@paper]"]
    assert "report.leaderboard" in told(steps, "changed")
    again = refresh(automated.micro.study, settings=automated.settings, training=True)
    tried = next(step for step in again if step.title == "training.adapter + log[tiny-llama@paper]")
    again.close()
    assert tried.outcome == "changed"  # a person asks: it is tried again


def test_a_source_that_is_silent_is_told_and_the_rest_is_refreshed(automated):
    automated.edit_study(*ONE_DATASET)
    (automated.source / "CTD_curated_genes_diseases.csv").unlink()
    first, *rest = refreshed(automated)
    assert (first.title, first.outcome) == ("the source", "failed")
    assert "evaluation.baselines[stable]" in {step.title for step in rest}
    assert automated.of_state("stale") == set()


def test_a_refused_release_can_be_accepted(automated, release):
    automated.publish(without_rows(release, share=0.4, seed=1))
    first, *rest = refreshed(automated)
    assert first.outcome == "failed"
    assert rest == []
    sha256 = first.why.split("--accept ")[1].split()[0].strip("`.,;)")
    assert len(sha256) == 64
    (look,) = refreshed(automated)
    assert "refused" in look.why
    steps = refreshed(automated, accept=sha256, training=False)
    assert (steps[0].title, steps[0].outcome) == ("ctd.release", "changed")
    assert "curation.pairs[published]" in told(steps, "changed")
    first, *_ = refreshed(automated, training=False)
    assert "No new release" in first.why


def test_two_at_once_are_refused(automated):
    first = refresh(automated.micro.study, settings=automated.settings, training=True)
    next(first)
    with pytest.raises(WarehouseError, match="another bioalign demo or refresh"):
        refreshed(automated)
    first.close()


def test_a_study_file_that_changes_meanwhile_stops_it(automated, release, monkeypatch):
    from bioalign_assets.automation.settings_assets import observe_settings

    automated.publish(without_rows(release, share=0.02, seed=1))
    steps = refresh(automated.micro.study, settings=automated.settings, training=True)
    next(steps)
    path = automated.micro.study_file
    path.write_text(path.read_text().replace("resamples = 100", "resamples = 150"))
    observe_settings(load_study(str(path)), instance=automated.micro.instance)  # as the daemon's sensor does
    with pytest.raises(StudyError, match="other settings"):
        next(step for step in steps if step.outcome == "never")


def bioalign(micro: Micro, *arguments: str, source: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "BIOALIGN_STUDY": str(micro.study_file), "BIOALIGN_WAREHOUSE": str(micro.root),
        "BIOALIGN_CTD_SOURCE": source, "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-m", "bioalign_assets.cli", *arguments],
        env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


def test_the_commands(automated, release):
    source = str(automated.source)
    done = bioalign(automated.micro, "status", source=source)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if "fresh" in line or "missing" in line]
    assert any("curation.pairs" in row and "stable" in row and "fresh" in row for row in rows)
    assert any(UNBUILT in row and "missing" in row for row in rows)
    assert "0 stale" in done.stdout
    automated.micro.study_file.write_text(automated.micro.study_file.read_text().replace(*ONE_DATASET))
    done = bioalign(automated.micro, "status", "--stale", source=source)
    assert "study/datasets[stable]" in "".join(done.stdout.split())
    assert not any("training." in line for line in done.stdout.splitlines() if "stale" in line)
    assert "`bioalign refresh` reruns what is stale" in done.stdout
    done = bioalign(automated.micro, "refresh", source=source)
    assert done.returncode == 0, done.stderr
    assert "No new release" in done.stdout
    assert "evaluation.baselines[stable]" in done.stdout
    assert "training.adapter" not in done.stdout
    done = bioalign(automated.micro, "refresh", source=source)
    assert "Everything that was built is fresh." in done.stdout
    automated.publish(without_rows(release, share=0.5, seed=1))
    done = bioalign(automated.micro, "refresh", source=source)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "1 of 1 steps failed" in " ".join(done.stderr.split())
    done = bioalign(automated.micro, "status", source=source)
    assert "Refused release" in done.stdout


def test_a_new_warehouse_is_all_missing(tmp_path):
    micro = Micro(tmp_path)
    done = bioalign(micro, "status", source="demo")
    assert done.returncode == 0, done.stderr
    assert "0 fresh, 0 stale, " in done.stdout
    done = bioalign(micro, "refresh", source="demo")
    assert done.returncode == 0, done.stderr
    assert "ctd.release" in done.stdout
    assert "1 rerun" in done.stdout
    done = bioalign(micro, "status", source="demo")
    assert "1 fresh, 0 stale, " in done.stdout
