"""Published models from a hub that answers (on this machine): what is asked of it, and what is told before fetching."""

import shutil

import huggingface_hub.constants
import pytest

from bioalign_assets.errors import ModelError
from bioalign_assets.models import fetching
from bioalign_assets.models.hub import resolve_hub_model
from bioalign_assets.study.models import ModelSpec
from bioalign_assets_tests import tiny_models
from bioalign_assets_tests.models.local_hub import LocalHub
from bioalign_assets_tests.models.test_hub import COMMIT, OLDER, REPO, pickled

WEIGHTS = "model.safetensors"


@pytest.fixture
def hub(monkeypatch):
    made = LocalHub()
    with made.serving() as address:
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
        monkeypatch.setattr(
            huggingface_hub.constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            address + "/{repo_id}/resolve/{revision}/{filename}",
        )
        yield made


@pytest.fixture
def llama(tmp_path):
    folder = tmp_path / "llama"
    shutil.copytree(tiny_models.resolved("llama").folder(warehouse=tiny_models.warehouse()), folder)
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def resolve(*, token=None, commit=None, card_bytes=None, **more):
    return resolve_hub_model(
        ModelSpec(**{"repo_id": REPO} | more),
        name="published", token=token, commit=commit, card_bytes=card_bytes,
    )  # fmt: skip


def test_a_branch_is_resolved_once_and_stays_until_it_is_moved(hub, llama, tmp_path):
    newer = tmp_path / "newer"
    shutil.copytree(llama, newer)
    (newer / "generation_config.json").write_text('{"do_sample": true}')
    hub.put(REPO, llama, commit=OLDER)
    first = resolve()
    hub.put(REPO, newer, commit=COMMIT)  # main moves on
    spec = ModelSpec(repo_id=REPO)
    assert first.is_named_by(spec)
    again = resolve(commit=first.revision)
    assert again == first
    moved = resolve()
    assert (moved.revision, moved.named_revision) == (COMMIT, "main")
    assert moved.weights_sha256 != first.weights_sha256


def test_a_recorded_commit_counts_for_its_repository_and_revision_only(hub, llama):
    hub.put(REPO, llama, commit=OLDER)
    row = resolve()
    assert row.is_named_by(ModelSpec(repo_id=REPO))
    assert not row.is_named_by(ModelSpec(repo_id=REPO, revision="v2"))
    assert not row.is_named_by(ModelSpec(repo_id="made-up/other"))
    assert not tiny_models.resolved("llama").is_named_by(ModelSpec(repo_id=REPO))
    assert not row.is_named_by(ModelSpec(path=row.path))  # the hub's cache, as a folder


def test_what_is_in_the_cache_is_not_asked_for_again(hub, llama):
    hub.put(REPO, llama, commit=COMMIT)
    first = resolve()
    assert WEIGHTS in hub.fetched
    hub.asked.clear()
    assert resolve(commit=COMMIT) == first
    assert hub.asked == []


def test_a_recorded_commit_that_is_gone_is_told_with_the_way_on(hub, llama, cache):
    hub.put(REPO, llama, commit=COMMIT)
    with pytest.raises(ModelError, match=rf"no longer the commit {OLDER}.*bioalign models --move published"):
        resolve(commit=OLDER)
    hub.commits[REPO][OLDER] = llama
    first = resolve(commit=OLDER)
    shutil.rmtree(next(cache.glob("models--*/trees")))  # the list that newer releases of the library keep
    del hub.commits[REPO][OLDER]
    assert resolve(commit=OLDER) == first  # gone there, but all of it is here


def test_a_licence_that_was_not_granted_is_told_before_anything_is_fetched(hub, llama):
    hub.put(REPO, llama, commit=COMMIT)
    hub.gated.add(REPO)
    granted = "hf_granted"
    hub.granted.add(granted)
    for token in (None, "hf_other"):
        with pytest.raises(ModelError, match=r"accept the licence, and set HF_TOKEN.*Nothing was fetched"):
            resolve(token=token)
    assert hub.fetched == set()
    assert resolve(token=granted).revision == COMMIT
    assert resolve().revision == COMMIT  # once it is here it needs no grant


@pytest.mark.parametrize(
    ("refusal", "token", "expected"),
    [
        (
            (401, "Invalid credentials in Authorization header"),
            "hf_old",
            "does not accept the login.*expired",
        ),
        ((401, "User access token is expired"), "hf_old", "does not accept the login.*set HF_TOKEN"),
        ((401, "Invalid username or password."), None, r"asks for a login.*Set HF_TOKEN"),
        ((403, "not in the token's scope"), "hf_narrow", r"refuses access \(403: not in the token's scope\)"),
        ((429, "rate limit"), None, "asked too often.*Wait some minutes"),
        ((503, ""), None, r"out of order \(503\).*run it again"),
    ],
)
def test_an_answer_that_refuses_is_told_as_what_it_is(hub, llama, cache, refusal, token, expected):
    hub.put(REPO, llama, commit=COMMIT)
    hub.refuses = refusal
    with pytest.raises(ModelError, match=expected) as told:
        resolve(token=token)
    message = str(told.value)
    assert "\n" not in message
    assert "no network" not in message
    assert token is None or token not in message
    assert not any(cache.rglob("*.safetensors"))
    hub.refuses = None
    first = resolve()
    hub.refuses = refusal
    assert resolve(token=token) == first  # what is here needs no answer


def test_too_small_a_disk_is_told_before_anything_is_fetched(hub, llama, monkeypatch):
    hub.put(REPO, llama, commit=COMMIT)
    hub.claimed_bytes[WEIGHTS] = 10**16
    with pytest.raises(ModelError, match=r"free on the disk of .*cache.*expected 10000000\.\d GB to fetch"):
        resolve()
    assert hub.fetched == set()
    hub.claimed_bytes.clear()
    assert resolve().revision == COMMIT
    monkeypatch.setattr(fetching, "free_disk", lambda _: 0)
    assert resolve().revision == COMMIT  # nothing to fetch needs no room


def test_too_small_a_card_is_told_before_the_weights_are_fetched(hub, llama):
    hub.put(REPO, llama, commit=COMMIT)
    with pytest.raises(ModelError, match=r"before its weights were fetched.*GB.*CUDA card.*\(an estimate\)"):
        resolve(card_bytes=100 * 10**6)
    assert hub.fetched == {"config.json"}
    assert resolve(card_bytes=16 * 10**9).revision == COMMIT


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            ["m.Q8_0.gguf", "m.Q4_K_M.gguf", "README.md"],
            r"GGUF files only \(2, such as m.Q4_K_M.gguf\).*published.path",
        ),
        (["sub/m.gguf", "config.json"], r"GGUF files only \(1, such as sub/m.gguf\)"),
        (["adapter_config.json", "adapter_model.safetensors"], "an adapter and no model"),
        (["README.md", "config.json"], "neither model.safetensors nor pytorch_model.bin|no config.json"),
    ],
)
def test_a_repository_that_holds_another_form_is_told_before_it_is_fetched(hub, tmp_path, files, expected):
    for name in files:
        (tmp_path / "other" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "other" / name).write_text("{}")
    hub.put(REPO, tmp_path / "other", commit=COMMIT)
    with pytest.raises(ModelError, match=expected):
        resolve()
    assert not [name for name in hub.fetched if name.endswith((".gguf", ".safetensors"))]


def test_pickled_weights_are_fetched_only_where_there_are_no_others(hub, llama, tmp_path):
    older = tmp_path / "older"
    shutil.copytree(llama, older)
    pickled(older)
    shutil.copy(older / "pytorch_model.bin", llama / "pytorch_model.bin")
    hub.put(REPO, llama, commit=COMMIT)
    hub.put(REPO, older, commit=OLDER, branch="old")
    resolve()
    assert "pytorch_model.bin" not in hub.fetched
    assert resolve(revision="old").bytes == (older / "pytorch_model.bin").stat().st_size
    assert "pytorch_model.bin" in hub.fetched


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"repo_id": "made-up/nothing"}, "Correct models.published.repo_id"),
        ({"revision": "no-such-branch"}, "Correct models.published.revision"),
    ],
)
def test_what_the_hub_does_not_have_is_told(hub, llama, settings, expected):
    hub.put(REPO, llama, commit=COMMIT)
    with pytest.raises(ModelError, match=expected):
        resolve(**settings)
