"""What ends a training early is told with what to change, and leaves nothing that looks finished or can't be resumed."""

import errno
import itertools
import subprocess

import pytest
import torch

from bioalign_assets.errors import ModelError
from bioalign_assets.training import failures, qlora, resuming
from bioalign_assets.training.failures import disk_told, memory_told
from bioalign_assets_tests import tiny_models

from .interrupted import assert_same, hold, published, train

FEW = {"targets": ["v_proj"], "steps": 4}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The training of the settings above, never interrupted."""
    return train(tmp_path_factory.mktemp("whole"), checkpoints=None, **FEW)


def steps_kept(checkpoints):
    return sorted(int(path.name.split("-")[1]) for path in checkpoints.folder.glob("checkpoint-*"))


# --- the disk ---


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 8 MB."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(tmp_path)],
        capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip("only root may mount a small disk")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def fill(folder, *, but):
    """Let somebody else use up the disk, but for some bytes."""
    free = failures.shutil.disk_usage(folder).free
    (folder / "somebody-elses").write_bytes(b"\0" * (free - but))


@pytest.mark.parametrize("but", [0, 30_000, 64_000, 114_688], ids=lambda but: f"{but} bytes left")
def test_a_disk_that_fills_up_while_a_checkpoint_is_written(small_disk, monkeypatch, whole, but):
    """Wherever it happens: in the adapter, the tokenizer, the optimiser (by torch's own writer) or the seal."""
    monkeypatch.setattr(resuming, "_MORE_IN_A_CHECKPOINT", 300_000)

    def at(step, **_):
        if step == 4:
            fill(small_disk, but=but)

    with hold(small_disk) as checkpoints:
        with pytest.raises(
            ModelError, match=r"Training toy, writing below .*adapters: found a full disk \("
        ) as told:
            train(small_disk, checkpoints=checkpoints, at=at, **FEW)
        assert "MB for its checkpoints and the adapter. Free as much there" in str(told.value)
        assert published(small_disk) == []
        assert steps_kept(checkpoints) == [2]
        (small_disk / "somebody-elses").unlink()
        again = train(small_disk, checkpoints=checkpoints, **FEW)
    assert again.resumed_after == (2,)
    assert_same(again, whole)


def test_a_disk_that_is_full_when_the_adapter_is_published(small_disk, monkeypatch, whole):
    monkeypatch.setattr(resuming, "_MORE_IN_A_CHECKPOINT", 300_000)
    monkeypatch.setattr(qlora, "_refuse_broken", lambda *_, **__: fill(small_disk, but=8192))
    with hold(small_disk) as checkpoints:
        with pytest.raises(ModelError, match=r"found a full disk \(.*bioalign vacuum"):
            train(small_disk, checkpoints=checkpoints, **FEW)
        assert published(small_disk) == []
        monkeypatch.undo()
        monkeypatch.setattr(resuming, "_MORE_IN_A_CHECKPOINT", 300_000)
        (small_disk / "somebody-elses").unlink()
        again = train(small_disk, checkpoints=checkpoints, **FEW)
    assert again.resumed_after == (4,)
    assert_same(again, whole)


def test_a_disk_that_is_too_small_is_told_before_the_first_step(small_disk):
    def at(*_, **__):
        raise AssertionError("a step was taken")

    with hold(small_disk) as checkpoints, pytest.raises(ModelError) as told:
        train(small_disk, checkpoints=checkpoints, at=at, **FEW)
    assert "MB free, expected " in str(told.value)
    needed = float(told.value.expected.split(" MB")[0])
    assert 3 * 32 < needed < 3 * 32 + 5


def test_the_space_that_is_asked_for_is_enough_and_not_far_too_much(tmp_path, monkeypatch):
    asked = []
    original = qlora.bytes_needed
    monkeypatch.setattr(resuming, "_MORE_IN_A_CHECKPOINT", 100_000)
    monkeypatch.setattr(qlora, "bytes_needed", lambda *a, **b: asked.append(original(*a, **b)) or asked[-1])
    for settings in ({"rank": 64}, {"rank": 16, "optimiser": "adamw_torch"}):
        settings |= {"steps": 4, "rows": 8, "batch_size": 1}
        with hold(tmp_path, key=str(settings["rank"])) as checkpoints:
            train(tmp_path, checkpoints=checkpoints, **settings)
            needed, there = asked[-1], 1.5 * checkpoints.bytes
            assert 1.0 < needed / there < 1.8
            train(tmp_path, checkpoints=checkpoints, **settings)
            assert asked[-1] == needed - checkpoints.bytes  # what lies there already need not be free


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_known_by_its_number_also_behind_other_errors(tmp_path, number):
    error = ValueError("could not be saved")
    error.__cause__ = OSError(number, "full")
    with pytest.raises(ModelError, match="full disk"), disk_told(tmp_path, needed=0, name="toy"):
        raise error


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EACCES, "not yours"),
        OSError("the disk is full of stars"),
        RuntimeError(
            "[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0"
        ),  # with space enough
        KeyError("x"),
    ],
)
def test_other_errors_stay_as_they_are(tmp_path, error):
    with pytest.raises(type(error)) as told, disk_told(tmp_path, needed=1, name="toy"):
        raise error
    assert told.value is error


# --- memory ---


def test_too_little_memory_is_told_and_the_rest_of_the_training_can_follow(tmp_path, monkeypatch, whole):
    passes = itertools.count(1)

    def hook(*_):
        if next(passes) == 4:
            raise torch.OutOfMemoryError(
                "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 7.79 GiB of which "
                "1.2 GiB is free."
            )

    load = tiny_models.load

    def with_hook(architecture):
        loaded = load(architecture)
        loaded.model.register_forward_hook(hook)
        return loaded

    with hold(tmp_path) as checkpoints:
        with monkeypatch.context() as small:
            small.setattr(tiny_models, "load", with_hook)
            with pytest.raises(ModelError) as told:
                train(tmp_path, checkpoints=checkpoints, **FEW)
        assert str(told.value) == (
            "Training toy: found too little memory (CUDA out of memory. Tried to allocate 2.00 GiB), expected room for "
            "the model and 4 samples at once (packed into one row). Set in the experiment: gradient_checkpointing = "
            "true; or packing = false with batch_size = 1 and accumulation = 4 (the same optimiser step); or a smaller "
            "max_tokens than 128, with a dataset without such long samples; or fewer targets, or a smaller rank than 4. "
            "Or end what else uses the memory and run it again: with the same settings it goes on from its last "
            "checkpoint."
        )
        assert published(tmp_path) == []
        again = train(tmp_path, checkpoints=checkpoints, **FEW)
    assert again.resumed_after == (2,)
    assert_same(again, whole)


@pytest.mark.parametrize(
    ("settings", "packs", "told", "not_told"),
    [
        ({"batch_size": 6, "accumulation": 2}, False, "batch_size = 3 and accumulation = 4", "packing"),
        ({"batch_size": 5, "accumulation": 2}, False, "batch_size = 1 and accumulation = 10", "packing"),
        ({"batch_size": 1, "accumulation": 8}, False, "fewer targets", "batch_size"),
        (
            {"batch_size": 2, "accumulation": 4},
            True,
            "packing = false with batch_size = 1 and accumulation = 8",
            "?",
        ),
        ({"gradient_checkpointing": False}, False, "gradient_checkpointing = true", "packing"),
        ({"gradient_checkpointing": True}, False, "max_tokens", "gradient_checkpointing"),
    ],
)
def test_what_to_change_is_what_helps(settings, packs, told, not_told):
    spec = tiny_models.experiment(**settings)
    with pytest.raises(ModelError) as raised, memory_told("toy", spec=spec, at_once=4, packs=packs):
        raise torch.OutOfMemoryError("CUDA out of memory.")
    assert told in raised.value.remedy
    assert not_told not in raised.value.remedy


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA error: out of memory\nCompile with `TORCH_USE_CUDA_DSA`"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried ..."
        ),
    ],
)
def test_memory_runs_out_in_many_words(error):
    spec = tiny_models.experiment()
    with (
        pytest.raises(ModelError, match="too little memory") as told,
        memory_told("toy", spec=spec, at_once=4, packs=False),
    ):
        raise error
    assert "\n" not in str(told.value)
    assert told.value.__cause__ is error


def test_other_runtime_errors_stay_as_they_are():
    spec = tiny_models.experiment()
    with pytest.raises(RuntimeError, match="shapes"), memory_told("toy", spec=spec, at_once=4, packs=False):
        raise RuntimeError("shapes don't fit")


# --- no numbers ---


@pytest.mark.parametrize("what", ["weights", "moments"])
def test_a_broken_state_is_never_gone_on_from(tmp_path, whole, what):
    def at(step, *, model, optimizer, **_):
        if step == 4:
            broken = next(p for p in model.parameters() if p.requires_grad)
            with torch.no_grad():
                (broken if what == "weights" else optimizer.state[broken]["state1"])[0] = torch.nan

    with hold(tmp_path) as checkpoints:
        with pytest.raises(ModelError, match=r"toy at step 4: found .* not numbers.*Lower the learning rate"):
            train(tmp_path, checkpoints=checkpoints, at=at, **FEW)
        assert steps_kept(checkpoints) == [2]
        assert published(tmp_path) == []
        again = train(tmp_path, checkpoints=checkpoints, **FEW)
    assert_same(again, whole)


def test_a_loss_that_is_no_number_leaves_nothing_to_go_on_from(tmp_path):
    with hold(tmp_path, every=1) as checkpoints:
        with pytest.raises(ModelError, match=r"found the loss (nan|inf).*Lower the learning rate"):
            train(tmp_path, checkpoints=checkpoints, learning_rate=1e30, warmup_steps=0, **FEW)
        for folder in checkpoints.folder.glob("checkpoint-*"):
            state = torch.load(folder / "optimizer.pt", weights_only=True)["state"]
            assert failures.is_finite(value for of_one in state.values() for value in of_one.values())
    assert published(tmp_path) == []
