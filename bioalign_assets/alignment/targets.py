"""What a variant is held against: the whole graph, the edges that it was trained on, and those that it was not.

Small targets stay in the process that made them, for the next variant that it is given: preparing one takes most of
the time of a small study's alignment.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from bioalign_assets.alignment.measures import Target, target_of
from bioalign_assets.alignment.rewiring import Rewirings, rewire
from bioalign_assets.errors import EvaluationError

__all__ = ["Edges", "targets_of", "whole_target"]

Edges = Literal["all", "trained", "held-out"]
Flags = npt.NDArray[np.bool_]

_PARTS: tuple[Edges, ...] = ("all", "trained", "held-out")
_KEPT_BYTES = 320 * 2**20
"""Of all targets that are kept: the demo's three take 265 MiB; a real release's, of 450 MiB each, are made anew"""

_kept: OrderedDict[bytes, Target] = OrderedDict()


def whole_target(rewirings: Rewirings, *, seed: int) -> Target:
    """Return what representations are held against over all edges.

    :param seed: of the hashes that draw names, order of ties and edges
    :raises EvaluationError: as ``target_of``
    """
    return _made_once(
        _key(rewirings, trained=None, part="all", seed=seed),
        lambda: target_of(rewirings, rng=_generator(seed, part="all"), seed=seed),
    )


def targets_of(rewirings: Rewirings, *, trained: Flags | None, seed: int) -> Iterator[tuple[Edges, Target]]:
    """Give what representations are held against, one at a time.

    For either part its edges are rewired alone, the others staying as they are: degrees are kept within it, and no
    rewired edge is one that was trained on. A part with too few edges for any comparison is left out.

    :param trained: which edges were trained on; None where nothing was
    :param seed: of the parts' rewirings, and of the hashes that draw names, order of ties and edges
    :raises EvaluationError: as ``target_of``, of the whole graph
    """
    yield "all", whole_target(rewirings, seed=seed)
    if trained is None or trained.all() or not trained.any():
        return
    parts: tuple[tuple[Edges, Flags, Flags | None], ...] = (
        ("trained", trained, None),
        ("held-out", ~trained, trained),
    )
    for part, edges, fitted in parts:
        make = partial(_part_of, rewirings, part=part, edges=edges, fitted=fitted, seed=seed)
        # too few edges swap, or too few names have three partners in this part
        with suppress(EvaluationError):
            yield part, _made_once(_key(rewirings, trained=trained, part=part, seed=seed), make)


def _part_of(rewirings: Rewirings, *, part: Edges, edges: Flags, fitted: Flags | None, seed: int) -> Target:
    """Return what representations are held against over some edges, which are rewired as often as the whole graph."""
    rng = _generator(seed, part=part)
    apart = rewire(rewirings.graph, count=len(rewirings), rng=rng, moved=edges)
    return target_of(apart, rng=rng, edges=edges, fitted=fitted, seed=seed)


def _generator(seed: int, *, part: Edges) -> np.random.Generator:
    """Return the part's own generator: what a part is must not hang on whether the others were made."""
    return np.random.default_rng([seed, _PARTS.index(part)])


def _key(rewirings: Rewirings, *, trained: Flags | None, part: Edges, seed: int) -> bytes:
    digest = hashlib.blake2b(f"{part} {seed}".encode())
    graph = rewirings.graph
    for names in (graph.genes, graph.diseases):
        digest.update("\0".join(names.to_pylist()).encode())
    for each in (graph.gene, graph.disease, rewirings.diseases, trained):
        if each is not None:
            digest.update(each.tobytes())
    return digest.digest()


def _made_once(key: bytes, make: Callable[[], Target]) -> Target:
    """Return a target that this process has made before, or make it; the oldest go where there are too many."""
    target = _kept.pop(key, None) or make()
    if target.nbytes <= _KEPT_BYTES:
        _kept[key] = target
        while sum(each.nbytes for each in _kept.values()) > _KEPT_BYTES:
            _kept.popitem(last=False)
    return target
