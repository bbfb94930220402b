"""The hub's local cache, laid out as its library does."""

import shutil

COMMIT, OLDER = "a1" * 20, "b2" * 20
REPO = "made-up/model"


def put(cache, source, *, repo=REPO, commit=COMMIT, branch="main"):
    """Lay a folder into a cache as the hub's library does: blobs, a snapshot of links, a branch's commit."""
    root = cache / f"models--{repo.replace('/', '--')}"
    snapshot = root / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (root / "blobs").mkdir(exist_ok=True)
    for path in source.iterdir():
        blob = root / "blobs" / f"{commit}-{path.name}"
        shutil.copy(path, blob)
        (snapshot / path.name).symlink_to(blob)
    if branch:
        (root / "refs").mkdir(exist_ok=True)
        (root / "refs" / branch).write_text(commit)
    return snapshot
