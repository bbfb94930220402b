"""The TransE baseline: what does the graph alone say, its names being no more than labels of nodes?

TransE (Bordes et al. 2013, Translating Embeddings for Modeling Multi-relational Data, NIPS 26) gives each gene, each
disease and the one relation a vector, so that gene + relation lies near the disease of a true pair: a margin ranking
loss against pairs in which one side was swapped. As in the paper, entities are scaled to length one before every
step, the distance is Euclidean, the margin 1, the width 50; Adam instead of plain gradient descent needs 20 epochs
instead of a thousand. Epochs and width were chosen on held-out *training* pairs of the published dataset.

Why this and not a library: docs/decisions/0013-transe.md.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.linear_model import LogisticRegression

from bioalign_assets.errors import EvaluationError
from bioalign_assets.evaluation.baseline import PairScorer, training_labels
from bioalign_assets.models.threads import one_thread, one_torch_thread

if TYPE_CHECKING:
    import torch

__all__ = ["TransE", "corrupted", "fit_transe", "transe"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

_WIDTH = 50
_MARGIN = 1.0
_EPOCHS = 20
_STEPS_PER_EPOCH = 25  # so that a small graph gets as many steps as a large one
_MOST_PAIRS_A_STEP = 8192
_NEGATIVES = 4  # swapped pairs beside each true one
_LEARNING_RATE = 0.01
_HELD_SHARE = 0.1  # of the training pairs, for the calibration
_LEAST_SLOPE = 1e-3  # p_true always falls with the distance, at least so much
_ROWS_AT_ONCE = 65_536


@dataclass(frozen=True, kw_only=True, eq=False)
class TransE:
    """Fitted vectors. Names that no fitted pair holds stand at the mean of their kind (the last row)."""

    genes: pa.Array
    """Gene symbols, shape (g,)"""
    diseases: pa.Array
    """Disease names, shape (d,)"""
    heads: Floats
    """Vectors of the genes, shape (g + 1, width)"""
    tails: Floats
    """Vectors of the diseases, shape (d + 1, width)"""
    relation: Floats
    """Shape (width,)"""

    def distances(self, rows: pa.Table) -> npt.NDArray[np.float64]:
        """Return how far gene + relation lies from the disease; shape (rows,), at least 0."""
        away = np.empty(len(rows), dtype=np.float64)
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            part = rows.slice(start, _ROWS_AT_ONCE)
            heads = self.heads[_codes(part["gene_symbol"], names=self.genes)]
            tails = self.tails[_codes(part["disease_name"], names=self.diseases)]
            away[start : start + len(part)] = np.linalg.norm(heads + self.relation - tails, axis=1)
        return away


def transe(train: pa.Table, *, seed: int) -> PairScorer:
    """Fit TransE on the training positives; p_true is a logistic regression of the label on the distance.

    Pairs that were optimised lie nearer than any new pair does: calibrated on them, nearly every test pair would be
    called false. So a tenth of the distinct training positives is kept out of the fit, and the regression is made on
    these and a tenth of the training negatives: the fit was given neither.

    :param train: training rows of ``curation.pairs``
    :param seed: of the held-out pairs, first vectors and swapped pairs
    :raises EvaluationError: if one label is missing or there are fewer than two distinct positives
    """
    labels = training_labels(train, baseline="TransE")
    rng = np.random.default_rng(seed)
    fitted, held_true = _held_out(_distinct(train.filter(pa.array(labels == 1))), rng=rng)
    if not len(fitted):
        raise EvaluationError(
            "training rows of the TransE baseline",
            found="one distinct true pair",
            expected="at least two: one to fit, one to calibrate on",
            remedy="Build the dataset from a larger release.",
        )
    _, held_false = _held_out(_distinct(train.filter(pa.array(labels == 0))), rng=rng)
    model = fit_transe(fitted, seed=seed)
    slope, intercept = _calibration(model.distances(held_true), model.distances(held_false))

    def score(rows: pa.Table) -> npt.NDArray[np.floating[Any]]:
        return 1 / (1 + np.exp(-(intercept + slope * model.distances(rows))))

    return score


def fit_transe(positives: pa.Table, *, seed: int) -> TransE:
    """Fit the vectors to some true pairs: the same for the same pairs and seed, whatever the number of cores.

    :param positives: distinct pairs with gene_symbol and disease_name, at least one
    """
    import torch

    genes, diseases = (pc.unique(positives[name]) for name in ("gene_symbol", "disease_name"))
    pairs = np.column_stack(
        [_codes(positives["gene_symbol"], names=genes), _codes(positives["disease_name"], names=diseases)]
    )
    generator = torch.Generator().manual_seed(seed)
    with one_torch_thread():
        heads, tails, relation = _first_vectors(len(genes), len(diseases), generator=generator)
        optimiser = torch.optim.Adam([heads, tails, relation], lr=_LEARNING_RATE)
        true = torch.from_numpy(pairs)
        known = torch.sort(true[:, 0] * len(diseases) + true[:, 1]).values
        size = min(max(1, -(-len(true) // _STEPS_PER_EPOCH)), _MOST_PAIRS_A_STEP)
        for _ in range(_EPOCHS):
            for batch in torch.randperm(len(true), generator=generator).split(size):
                _to_length_one(heads, tails)
                near = (heads[true[batch, 0]] + relation - tails[true[batch, 1]]).norm(dim=1)
                wrong, counts = corrupted(
                    true[batch].repeat(_NEGATIVES, 1), known=known, sizes=(len(genes), len(diseases)),
                    generator=generator,
                )  # fmt: skip
                far = (heads[wrong[:, 0]] + relation - tails[wrong[:, 1]]).norm(dim=1)
                loss = (torch.relu(_MARGIN + near.repeat(_NEGATIVES) - far) * counts).mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        _to_length_one(heads, tails)
    vectors = [each.detach().numpy() for each in (heads, tails)]
    return TransE(
        genes=genes,
        diseases=diseases,
        heads=np.vstack([vectors[0], vectors[0].mean(axis=0)]),
        tails=np.vstack([vectors[1], vectors[1].mean(axis=0)]),
        relation=relation.detach().numpy(),
    )


def corrupted(
    pairs: "torch.Tensor", *, known: "torch.Tensor", sizes: tuple[int, int], generator: "torch.Generator"
) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Swap the gene or the disease of each pair for one of the same kind, drawn uniformly.

    :param pairs: gene and disease codes, shape (n, 2)
    :param known: codes of the true pairs, gene x diseases + disease, ascending
    :param sizes: number of genes and of diseases
    :returns: the swapped pairs, shape (n, 2), and which of them are not known to be true (filtered corruption),
        shape (n,)
    """
    import torch

    n = len(pairs)
    swaps_gene = torch.rand(n, generator=generator) < 0.5
    drawn = [torch.randint(size, (n,), generator=generator) for size in sizes]
    genes = torch.where(swaps_gene, drawn[0], pairs[:, 0])
    diseases = torch.where(swaps_gene, pairs[:, 1], drawn[1])
    codes = genes * sizes[1] + diseases
    place = torch.searchsorted(known, codes).clamp(max=len(known) - 1)
    return torch.stack([genes, diseases], dim=1), known[place] != codes


def _first_vectors(genes: int, diseases: int, *, generator: "torch.Generator") -> list["torch.Tensor"]:
    """Return vectors drawn uniformly from -6/sqrt(width) to 6/sqrt(width), the relation at length one."""
    import torch

    bound = 6 / _WIDTH**0.5
    drawn = [
        (2 * torch.rand(shape, generator=generator) - 1) * bound
        for shape in ((genes, _WIDTH), (diseases, _WIDTH), (_WIDTH,))
    ]
    drawn[2] /= drawn[2].norm()
    return [each.requires_grad_() for each in drawn]


def _to_length_one(*vectors: "torch.Tensor") -> None:
    import torch

    with torch.no_grad():
        for each in vectors:
            each.div_(each.norm(dim=1, keepdim=True).clamp(min=1e-9))


def _calibration(true: npt.NDArray[np.float64], false: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return slope and intercept of the log odds of true by distance (Platt 1999), the slope below zero.

    Where held-out pairs say that nearer is not truer, p_true is almost the share of true pairs for all; their order
    stays TransE's own.
    """
    distances = np.concatenate([true, false])[:, None]
    labels = np.repeat([1, 0], [len(true), len(false)])
    with one_thread():
        model = LogisticRegression().fit(distances, labels)
    slope = float(model.coef_[0, 0])
    if slope <= -_LEAST_SLOPE:
        return slope, float(model.intercept_[0])
    share = len(true) / len(labels)
    return -_LEAST_SLOPE, float(np.log(share / (1 - share)) + _LEAST_SLOPE * distances.mean())


def _distinct(rows: pa.Table) -> pa.Table:
    # in one thread: the order of the groups decides what is held out
    return rows.group_by(["gene_symbol", "disease_name"], use_threads=False).aggregate([])


def _held_out(pairs: pa.Table, *, rng: np.random.Generator) -> tuple[pa.Table, pa.Table]:
    """Return the pairs but a tenth of them, and that tenth: one at least."""
    order = rng.permutation(len(pairs))
    held = max(1, round(_HELD_SHARE * len(pairs)))
    return pairs.take(np.sort(order[held:])), pairs.take(np.sort(order[:held]))


def _codes(column: pa.ChunkedArray, *, names: pa.Array) -> Integers:
    """Return the place of each name, that after the last for those that are not there."""
    found = pc.fill_null(pc.index_in(column, value_set=names), len(names))
    return found.to_numpy().astype(np.int64)
