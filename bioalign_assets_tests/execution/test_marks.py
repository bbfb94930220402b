"""Marks of living runs: locks of real processes, that are killed."""

import multiprocessing
import os
import signal
import time

import psutil
import pytest

from bioalign_assets.execution import marks
from bioalign_assets.execution.marks import Life, Part

from .holders import SPAWN, Holder, kill, start_holder

RUN = "8fff60d3-1695-4f12-b116-98aeb1cddd0f"
OTHER = "563f39d9-ac99-4fe0-bb31-55139a4dc732"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "marks"


@pytest.fixture(autouse=True)
def _let_go(folder):
    yield
    for run in marks.runs_held(folder):
        marks.let_go(folder, run)


@pytest.fixture
def process(folder):
    """Start processes that hold a run."""
    started = []

    def start(part, run=RUN):
        started.append(start_holder(folder, run, part))
        return started[-1]

    yield start
    for each in started:
        kill(each)


@pytest.fixture
def holder(folder):
    """Hold a run as another process would."""
    return lambda part, run=RUN: Holder(folder, run, part)


def test_a_run_that_nobody_held_is_unmarked(folder):
    assert marks.life(folder, RUN) is Life.UNMARKED
    assert marks.marked(folder) == set()


def test_a_run_lives_as_long_as_its_process(folder, process):
    """Also one that is stopped; not one that was killed and nobody has waited for."""
    started = process(Part.RUN)
    assert marks.life(folder, RUN) is Life.LIVING
    assert marks.life(folder, OTHER) is Life.UNMARKED
    os.kill(started.pid, signal.SIGSTOP)
    assert marks.life(folder, RUN) is Life.LIVING
    os.kill(started.pid, signal.SIGKILL)
    while psutil.Process(started.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert marks.life(folder, RUN) is Life.GONE
    assert marks.marked(folder) == {RUN}


@pytest.mark.parametrize("part", Part)
def test_either_part_is_a_sign_of_life(part, folder, holder):
    held = holder(part)
    assert marks.life(folder, RUN) is Life.LIVING
    held.kill()
    assert marks.life(folder, RUN) is Life.GONE


def test_a_step_without_its_conductor_is_an_orphan(folder, holder):
    conductor, step = holder(Part.RUN), holder(Part.STEP)
    conductor.kill()
    assert marks.life(folder, RUN) is Life.ORPHANED
    step.kill()
    assert marks.life(folder, RUN) is Life.GONE


def test_a_conductor_between_two_steps_lives(folder, holder):
    holder(Part.RUN)
    holder(Part.STEP).kill()
    assert marks.life(folder, RUN) is Life.LIVING


def test_one_of_two_steps_is_enough_to_be_an_orphan(folder, holder):
    conductor, first, _second = holder(Part.RUN), holder(Part.STEP), holder(Part.STEP)
    conductor.kill()
    first.kill()
    assert marks.life(folder, RUN) is Life.ORPHANED


def test_a_process_sees_its_own_marks(folder):
    marks.hold(folder, RUN, part=Part.STEP)
    marks.hold(folder, RUN, part=Part.STEP)
    assert marks.life(folder, RUN) is Life.LIVING
    assert marks.runs_held(folder) == {RUN}
    assert len(list(folder.iterdir())) == 1


def test_letting_go_of_one_run_keeps_the_others(folder):
    for run in (RUN, OTHER):
        marks.hold(folder, run, part=Part.RUN)
    marks.let_go(folder, RUN)
    assert marks.runs_held(folder) == {OTHER}
    assert marks.life(folder, RUN) is Life.UNMARKED
    assert marks.life(folder, OTHER) is Life.LIVING


def test_marks_of_another_folder_are_another_matter(folder, tmp_path):
    marks.hold(folder, RUN, part=Part.RUN)
    assert marks.life(tmp_path / "elsewhere", RUN) is Life.UNMARKED
    assert marks.runs_held(tmp_path / "elsewhere") == set()


def test_a_mark_is_never_seen_without_its_lock(folder, monkeypatch):
    """A process that looks at any moment of the marking sees a run that is unmarked or alive, never a dead one."""
    seen = []
    for name in ("open", "rename"):
        owner = os if name == "open" else type(folder)
        real = getattr(owner, name)

        def looking(*arguments, _real=real, **named):
            done = _real(*arguments, **named)
            monkeypatch.undo()
            seen.append(marks.life(folder, RUN))
            return done

        monkeypatch.setattr(owner, name, looking)
        marks.hold(folder, RUN, part=Part.RUN)
        marks.let_go(folder, RUN)
    assert seen == [Life.UNMARKED, Life.LIVING]


def test_marks_are_forgotten_when_they_are_old(folder, holder):
    holder(Part.RUN).kill()
    holder(Part.STEP, run=OTHER).kill()
    marks.forget(folder, RUN)
    assert marks.life(folder, RUN) is Life.GONE
    marks.forget(folder, RUN, older_than_s=-1)
    assert marks.life(folder, RUN) is Life.UNMARKED
    assert marks.marked(folder) == {OTHER}


def test_a_mark_that_was_half_made_is_none_and_is_removed_after_a_day(folder):
    folder.mkdir()
    half = folder / f"{RUN}.run.17-0a0b0c0d.partial"
    half.touch()
    assert marks.life(folder, RUN) is Life.UNMARKED
    assert marks.marked(folder) == set()
    marks.forget(folder, RUN)
    assert half.exists()
    long_ago = time.time() - 2 * 24 * 3600
    os.utime(half, (long_ago, long_ago))
    marks.forget(folder, RUN)
    assert not half.exists()


def test_a_run_whose_mark_is_forgotten_while_it_is_looked_at_is_not_alive(folder, holder, monkeypatch):
    holder(Part.RUN).kill()
    real = marks.is_held

    def forgotten(path):
        path.unlink()
        return real(path)

    monkeypatch.setattr(marks, "is_held", forgotten)
    assert marks.life(folder, RUN) is Life.GONE


def step_of(folder, run, started):
    marks.hold(folder, run, part=Part.STEP)
    marks.end_with_conductor(folder, run)
    started.set()
    while True:  # at work, and never waiting
        pass


def conduct(folder, run, is_held, started, told):
    if is_held:
        marks.hold(folder, run, part=Part.RUN)
    step = multiprocessing.get_context("forkserver").Process(target=step_of, args=(folder, run, started))
    step.start()
    told.put(step.pid)
    step.join()


def _conducted(folder, *, is_held):
    started, told = SPAWN.Event(), SPAWN.Queue()
    conductor = SPAWN.Process(target=conduct, args=(folder, RUN, is_held, started, told))
    conductor.start()
    step = psutil.Process(told.get(timeout=60))
    assert started.wait(60)
    return conductor, step


def test_a_step_ends_with_its_killed_conductor(folder):
    conductor, step = _conducted(folder, is_held=True)
    assert step.is_running()
    kill(conductor)
    step.wait(20)
    assert marks.life(folder, RUN) is Life.GONE


def test_a_process_that_no_conductor_started_goes_on_without_its_parent(folder):
    conductor, step = _conducted(folder, is_held=False)
    kill(conductor)
    time.sleep(0.3)
    assert step.is_running()
    assert step.status() != psutil.STATUS_ZOMBIE
    step.kill()


def test_this_process_has_no_conductor(folder):
    marks.hold(folder, RUN, part=Part.RUN)
    marks.end_with_conductor(folder, RUN)  # would end the tests
    assert not marks._watching.is_set()
