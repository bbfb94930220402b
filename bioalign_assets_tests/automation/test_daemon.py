"""The real daemon over the real definitions: what the sensors do by themselves, without a hand on them.

With the sensor of the models off, as it is by default: they would take most of the time. With it on, the same is
played by ``python -m benchmarks.releases``, and tick by tick by ``test_refresh_when_stale.py``.
"""

import pytest

from benchmarks.releases import play_releases
from bioalign_assets_tests.automation.conftest import SMALLEST
from bioalign_assets_tests.automation.releases import dated, first_release, without_rows
from bioalign_assets_tests.micro import STUDY

# every run is a process of its own: what adds no kind of run is left out
ONE_OF_EACH = {
    '[models.tiny-benchmark]\ntiny = "mistral"\nrole = "benchmark"\npretraining_steps = 2\n': "",
    '[datasets.stable]\nsampler = "stable"\nsplit = "pair"\n': "",
    **SMALLEST,
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_releases_that_come_while_the_daemon_watches_rerun_what_is_stale(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    text = STUDY.replace('ctd = "demo"\n', 'ctd = "demo"\ncheck_every_minutes = 0.05\n', 1)
    text = text.replace(
        "[demo_release]", "[automation]\ntraining = false\ncheck_stale_every_seconds = 5\n\n[demo_release]"
    )
    for old, new in ONE_OF_EACH.items():
        assert old in text
        text = text.replace(old, new)
    study = tmp_path / "study.toml"
    study.write_text(text, encoding="utf-8")
    first = first_release(tmp_path)
    releases = {
        "same": dated(first, year=2031),
        "rows": without_rows(dated(first, year=2033), share=0.02, seed=1),
    }
    same, rows = play_releases(
        first, releases=releases, study_file=study, folder=tmp_path / "played", quiet_s=10
    )
    assert (same.runs, same.rerun) == (1, 0)
    # associations, what changed, the dataset, its profile and baselines; models, and the page with them, wait
    assert (rows.rerun, rows.alone) == (5, same.alone - 5)
    assert 1 < rows.runs <= 1 + rows.rerun
