"""The draws behind the demo release: long-tailed degrees, a planted structure, distinct pairs.

**Weights.** A gene of rank r among G has the weight (r + G/50)^-tail (Zipf-Mandelbrot: the shift keeps the
first gene from taking all diseases). Diseases likewise. With the defaults the most frequent gene has 0.7% of
the associations and the most frequent disease 1.8%; in CTD's release of 2025-08-27 these are 0.6% and 2.5%.
Ranks have nothing to do with names, and are dealt to the families (classes) in shuffled rounds, so that each
gets its share of frequent members.

**Structure.** Families and classes are compatible in a nested way, as in CTD, where much-studied genes have
diseases of every class and the others few: in a shuffled order the i-th family goes with the first
classes / i classes. With probability ``strength`` an association is one between a family and a class that are
compatible, else one between any two. So at full strength a gene's family and a disease's class say something
each by themselves, which a tiny language model learns in minutes, and more together.

**Pairs.** A sample of distinct pairs, exactly as many as asked for, by the Gumbel top-k trick (Kool et al.
2019): weighted sampling without replacement over all pairs, in blocks of constant memory.

**Nothing to learn.** With strength 0 and both tails 0 all pairs weigh the same, so the draw is a simple
random sample of pairs. Degrees are then equal in expectation and scatter hypergeometrically; they are *not*
made exactly equal. Regular degrees would leave more to learn, not less: under a random split of the pairs, a
gene with d associations in all and k among the training positives has d - k among the test positives, so
being rare in training would give a test positive away (measured at the default size, 12 seeds: the training
counts reach an AUROC of 0.22, that is 0.78 the other way round). In a simple random sample the remaining
positives are, whatever the training positives are, spread uniformly over all other pairs, exactly as
uniformly drawn negatives are (measured: 0.498, standard error 0.003). What remains is the curation's doing
and small: a name without any association is in no file, so a name that training never showed is a little more
likely to be a test positive's.
"""

import numpy as np

__all__ = ["compatibility", "deal_groups", "draw_pairs", "pair_block_weights", "rank_weights"]

_BLOCK_PAIRS = 1 << 21


def rank_weights(count: int, *, tail: float, rng: np.random.Generator) -> np.ndarray:
    """Return the weights of members whose ranks are shuffled.

    :param tail: exponent, 0 for equal weights
    :return: shape: (count,), sum 1
    """
    weights = (rng.permutation(count) + 1 + count / 50) ** -tail
    return weights / weights.sum()


def deal_groups(weights: np.ndarray, *, groups: int, rng: np.random.Generator) -> np.ndarray:
    """Deal members to groups in rounds, from the heaviest down, each round in another order.

    :param weights: shape: (members,)
    :return: group of each member, shape: (members,); sizes differ by one at most
    """
    rounds = -(-len(weights) // groups)
    dealt = rng.permuted(np.tile(np.arange(groups), (rounds, 1)), axis=1).ravel()[: len(weights)]
    members = np.empty(len(weights), dtype=np.int64)
    members[np.argsort(-weights, kind="stable")] = dealt
    return members


def compatibility(*, families: int, classes: int, rng: np.random.Generator) -> np.ndarray:
    """Return which families go with which classes: nested, in shuffled order.

    The i-th family (from 1) goes with the first classes // i classes, and with one at least: a long tail from
    a family that goes with all classes to those that go with one.

    :return: bool, shape: (families, classes)
    """
    reach = np.maximum(1, classes // np.arange(1, families + 1))
    nested = np.arange(classes) < reach[:, None]
    return nested[rng.permutation(families)][:, rng.permutation(classes)]


def pair_block_weights(
    planted: np.ndarray, *, family_shares: np.ndarray, class_shares: np.ndarray, strength: float
) -> np.ndarray:
    """Return by how much the pairs of a family and a class are more frequent than by their weights alone.

    :param planted: bool, shape: (families, classes)
    :param family_shares: share of each family in the genes' weights, shape: (families,), sum 1
    :param class_shares: share of each class in the diseases' weights, shape: (classes,), sum 1
    :param strength: probability that an association is drawn from the compatible pairs, 0 to 1
    :return: factors, shape: (families, classes); all 1 at strength 0, 0 for incompatible pairs at strength 1
    """
    compatible_by_chance = (np.outer(family_shares, class_shares) * planted).sum()
    return strength * planted / compatible_by_chance + (1 - strength)


def draw_pairs(
    factors: np.ndarray,
    *,
    gene_weights: np.ndarray,
    disease_weights: np.ndarray,
    families: np.ndarray,
    classes: np.ndarray,
    count: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw distinct pairs of a gene and a disease, without replacement.

    :param factors: shape: (families, classes), from ``pair_block_weights``
    :param gene_weights: shape: (genes,)
    :param disease_weights: shape: (diseases,)
    :param families: family of each gene, shape: (genes,)
    :param classes: class of each disease, shape: (diseases,)
    :param count: number of pairs
    :return: gene and disease of each pair, each of shape (count,), in no order
    :raises ValueError: if fewer pairs than that have a weight above zero
    """
    genes, diseases = len(gene_weights), len(disease_weights)
    with np.errstate(divide="ignore"):  # log 0 = -inf: never drawn
        log_factors = np.log(factors)
    log_diseases = np.log(disease_weights)
    keys, pairs = np.empty(0), np.empty(0, dtype=np.int64)
    step = max(1, _BLOCK_PAIRS // diseases)
    for first in range(0, genes, step):
        block = slice(first, min(first + step, genes))
        block_keys = rng.gumbel(size=(block.stop - first, diseases))
        block_keys += np.log(gene_weights[block])[:, None] + log_diseases
        block_keys += log_factors[families[block]][:, classes]
        flat = block_keys.ravel()
        chosen = np.flatnonzero(flat > (keys.min() if len(keys) == count else -np.inf))
        keys = np.concatenate([keys, flat[chosen]])
        pairs = np.concatenate([pairs, chosen + first * diseases])
        if len(keys) > count:
            best = np.argpartition(-keys, count - 1)[:count]
            keys, pairs = keys[best], pairs[best]
    if len(pairs) < count:
        raise ValueError(f"{count} pairs asked for, only {len(pairs)} are possible")
    return pairs // diseases, pairs % diseases
