"""Checkpoints on disk: only whole ones are gone on from, by one process, and none of another training."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from bioalign_assets.errors import ModelError
from bioalign_assets.settings import PROJECT_ROOT
from bioalign_assets.training import checkpoints as module
from bioalign_assets.training.checkpoints import (
    abandoned,
    held_checkpoints,
    remove_checkpoints,
    remove_lock,
    stale_locks,
    training_key,
)
from bioalign_assets.training.provenance import AdapterProvenance
from bioalign_assets.warehouse.atomic import PARTIAL_SUFFIX, remove_leftovers

FILES = ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json")
HOUR = 3600.0


def hold(root, *, key="k", wait_s=0.0):
    return held_checkpoints(root, key=key, name="m@x", every=2, wait_s=wait_s)


def write(checkpoints, step):
    """What the trainer does: all files of a checkpoint, one by one, under its final name."""
    folder = checkpoints.folder / f"checkpoint-{step}"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_bytes(f"{name} of step {step}".encode())
    return folder


def whole(checkpoints, step):
    folder = write(checkpoints, step)
    checkpoints.seal(step, seconds=1.5 * step, peak_memory_bytes=1000 + step)
    return folder


@pytest.fixture
def held(tmp_path):
    with hold(tmp_path / "checkpoints") as checkpoints:
        yield checkpoints


def test_the_newest_whole_one_is_given_with_what_was_noted(held):
    assert held.newest() is None
    whole(held, 98)
    folder = whole(held, 100)  # 98 is the greater text
    newest = held.newest()
    assert (newest.folder, newest.step, newest.seconds, newest.peak_memory_bytes) == (
        folder,
        100,
        150.0,
        1100,
    )
    assert held.bytes > sum(len(f"{name} of step 98") for name in FILES)


def test_the_last_two_stay(held):
    for step in (2, 4, 6, 8):
        whole(held, step)
    assert {path.name for path in held.folder.iterdir()} == {"checkpoint-6", "checkpoint-8"}


def test_none_goes_before_the_new_one_is_sealed(held):
    whole(held, 2)
    whole(held, 4)
    write(held, 6)  # killed here
    assert {path.name for path in held.folder.iterdir()} == {"checkpoint-2", "checkpoint-4", "checkpoint-6"}
    assert held.newest().step == 4


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", ["truncated", "emptied", "gone", "changed"])
def test_one_with_a_damaged_file_is_thrown_away_for_the_one_before(held, name, how):
    before = whole(held, 2)
    path = whole(held, 4) / name
    content = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes({"truncated": content[:-3], "emptied": b"", "changed": b"?" + content[1:]}[how])
    assert held.newest().folder == before
    assert [path.name for path in held.folder.iterdir()] == ["checkpoint-2"]


@pytest.mark.parametrize(
    "seal", [None, b"", b"{", b"[]", b"\xff", b"{}", b'{"step": 4, "files": {}}', b'{"files": {"a": "b"}}']
)
def test_one_without_a_proper_seal_is_thrown_away_too(held, seal):
    before = whole(held, 2)
    path = whole(held, 4) / "whole.json"
    if seal is None:
        path.unlink()
    else:
        path.write_bytes(seal)
    assert held.newest().folder == before


def test_the_seal_of_another_step_does_not_count(held):
    folder = whole(held, 2)
    folder.rename(held.folder / "checkpoint-200")
    assert held.newest() is None


def test_a_file_that_came_later_does_not_count_as_whole(held):
    (whole(held, 2) / "more.bin").write_bytes(b"")
    assert held.newest() is None


def test_without_any_whole_one_it_begins_anew_in_an_empty_folder(held):
    (whole(held, 2) / "optimizer.pt").write_bytes(b"")
    write(held, 4)
    assert held.newest() is None
    assert list(held.folder.iterdir()) == []


def test_what_failed_half_way_goes_and_the_rest_stays(held):
    whole(held, 2)
    write(held, 4)
    held.discard_torn()
    assert [path.name for path in held.folder.iterdir()] == ["checkpoint-2"]


def test_a_removal_that_is_cut_short_leaves_nothing_to_go_on_from(tmp_path, monkeypatch):
    root = tmp_path / "checkpoints"
    with hold(root) as held:
        whole(held, 2)

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as at_work:
        at_work.setattr(module.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            remove_checkpoints(root, key="k")
    with hold(root) as held:
        assert held.newest() is None


def test_all_of_them_go_in_the_end(tmp_path):
    root = tmp_path / "checkpoints"
    with hold(root) as held:
        whole(held, 2)
        remove_checkpoints(root, key="k")  # another process is at it: they are its own
        assert held.newest().step == 2
    remove_checkpoints(root, key="k")
    assert [path.name for path in root.iterdir()] == ["k.lock"]
    remove_checkpoints(root, key="k")


# --- one process a training ---


def test_a_second_one_at_the_same_training_is_refused_and_another_training_is_not(tmp_path):
    with (
        hold(tmp_path),
        hold(tmp_path, key="other"),
        pytest.raises(ModelError, match=r"Training m@x: found another process at the very same training"),
    ):
        hold(tmp_path).__enter__()
    with hold(tmp_path):
        pass


_HOLDER = """
import sys, time
from pathlib import Path
from bioalign_assets.training.checkpoints import held_checkpoints
with held_checkpoints(Path(sys.argv[1]), key="k", name="m@x", every=2):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_process_that_is_killed_lets_go(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=PROJECT_ROOT
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ModelError, match="another process"):
            hold(tmp_path).__enter__()
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
    with hold(tmp_path) as held:
        assert held.newest() is None


# --- the vacuum ---


def age(root, *, seconds):
    then = time.time() - seconds
    for path in [root, *root.rglob("*")]:
        os.utime(path, (then, then))


def test_abandoned_ones_go_and_young_ones_stay(tmp_path):
    root = tmp_path / "checkpoints"
    for key in ("old", "old-but-gone-on-with", "held", "removed-half-way"):
        with hold(root, key=key) as held:
            whole(held, 2)
    (root / "removed-half-way").rename(root / f"removed-half-way.abc{PARTIAL_SUFFIX}")
    age(root, seconds=48 * HOUR)
    with hold(root, key="old-but-gone-on-with") as held:
        whole(held, 4)
    with hold(root, key="young") as held:
        whole(held, 2)
    assert abandoned(root, older_than_s=72 * HOUR) == []
    with hold(root, key="held"):
        age(root / "held", seconds=48 * HOUR)
        assert abandoned(root, older_than_s=24 * HOUR) == [root / "old"]
        remove_checkpoints(root, key="held")  # who holds them keeps them
    remove_checkpoints(root, key="old")
    remove_leftovers(root)
    kept = {"old-but-gone-on-with", "held", "young"}
    assert {path.name for path in root.iterdir() if path.is_dir()} == kept
    assert {path.stem for path in root.glob("*.lock")} >= kept
    with hold(root, key="old-but-gone-on-with") as held:
        assert held.newest().step == 4


def test_locks_of_trainings_that_are_over_go_too(tmp_path):
    with hold(tmp_path):
        pass
    remove_checkpoints(tmp_path, key="k")
    assert stale_locks(tmp_path, older_than_s=HOUR) == []
    age(tmp_path, seconds=2 * HOUR)
    (lock,) = stale_locks(tmp_path, older_than_s=HOUR)
    with hold(tmp_path):
        remove_lock(lock)
    assert lock.exists()
    remove_checkpoints(tmp_path, key="k")
    remove_lock(lock)
    assert list(tmp_path.iterdir()) == []


def test_a_warehouse_without_any_has_none_to_remove(tmp_path):
    assert abandoned(tmp_path / "checkpoints", older_than_s=0) == []


# --- whose they are ---

PROVENANCE = AdapterProvenance(
    model="m", base_weights_sha256="a" * 64, base_quantisation="nf4", dataset="d", dataset_version="b" * 64,
    experiment="x", experiment_sha256="c" * 64, libraries={"torch": "2.0", "peft": "0.1"},
)  # fmt: skip
COMPUTED = {"backend": "transformers", "device": "cpu", "dtype": "torch.float32"}


def test_equal_trainings_have_one_key():
    again = AdapterProvenance.model_validate(json.loads(PROVENANCE.model_dump_json()))
    key = training_key(PROVENANCE, computed=COMPUTED)
    assert training_key(again, computed=dict(reversed(COMPUTED.items()))) == key
    assert len(key) == 64


SAME_BASE = ("base_repo_id", "base_revision")


@pytest.mark.parametrize("field", SAME_BASE)
def test_the_same_weights_are_the_same_base(field):
    """Moving to a commit that changed a page alone does not throw a training away."""
    moved = PROVENANCE.model_copy(update={field: "other"})
    assert training_key(moved, computed=COMPUTED) == training_key(PROVENANCE, computed=COMPUTED)


@pytest.mark.parametrize("field", [name for name in AdapterProvenance.model_fields if name not in SAME_BASE])
def test_whatever_the_adapter_depends_on_changes_the_key(field):
    """The seed and all other settings of the experiment are in its hash (test_provenance)."""
    other = {"torch": "2.1", "peft": "0.1"} if field == "libraries" else "other"
    changed = PROVENANCE.model_copy(update={field: other})
    assert training_key(changed, computed=COMPUTED) != training_key(PROVENANCE, computed=COMPUTED)


@pytest.mark.parametrize("what", COMPUTED)
def test_so_does_how_it_is_computed(what):
    other = COMPUTED | {what: "other"}
    assert training_key(PROVENANCE, computed=other) != training_key(PROVENANCE, computed=COMPUTED)
