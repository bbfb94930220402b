"""What the measures of graph alignment declare; they are computed in the room alignment, for a graph and its nulls."""

from bioalign_assets.evaluation.metric import Metric

__all__ = ["ALIGNMENT_METRICS"]

_KRIEGESKORTE = "Kriegeskorte, Mur and Bandettini 2008, https://doi.org/10.3389/neuro.06.004.2008"
_DEGREE = (
    "By itself, anything: what is well known agrees in any graph of these degrees. Read it with its null."
)

ALIGNMENT_METRICS = (
    Metric(
        name="rsa",
        title="RSA with the graph",
        range=(-1.0, 1.0),
        direction="higher",
        formula="Spearman's correlation, over pairs of names of a kind with three partners or more, between the cosine "
        "of their vectors (centred) and the cosine of their sets of partners",
        source=_KRIEGESKORTE,
        cannot_tell=_DEGREE,
    ),
    Metric(
        name="partial_rsa",
        title="Partial RSA with the graph",
        range=(-1.0, 1.0),
        direction="higher",
        formula="the same of what least squares leaves of the ranks, given those of the bare names' similarity "
        "(cosine of character n-grams), of |log k - log k'| and of log k + log k' (k: partners)",
        source=f"{_KRIEGESKORTE}; partial rank correlation: Conover 1999, section 5.4",
        cannot_tell="Whether what is left is biology: names say more than their n-grams do.",
    ),
    Metric(
        name="medic_rsa",
        title="RSA with MEDIC's tree",
        range=(-1.0, 1.0),
        direction="higher",
        formula="as RSA, with the share of MEDIC's tree that two diseases have in common (Jaccard's index of their "
        "tree numbers and all above them); its null deals the diseases out anew",
        source=f"{_KRIEGESKORTE}; simUI: Pesquita et al. 2009, https://doi.org/10.1371/journal.pcbi.1000443",
        cannot_tell="Anything of genes; names of one branch are spelt alike.",
    ),
    Metric(
        name="medic_partial_rsa",
        title="Partial RSA with MEDIC's tree",
        range=(-1.0, 1.0),
        direction="higher",
        formula="as partial RSA, with MEDIC's tree in the place of the graph",
        source=f"{_KRIEGESKORTE}; partial rank correlation: Conover 1999, section 5.4",
        cannot_tell="Whether what is left is biology: names say more than their n-grams do.",
    ),
    Metric(
        name="mutual_knn",
        title="Mutual nearest neighbours",
        range=(0.0, 1.0),
        direction="higher",
        formula="mean share of a name's 10 nearest by its vector that are among its 10 nearest by partners, ties "
        "broken by one random order for all",
        source="Huh, Cheung, Wang and Isola 2024, https://arxiv.org/abs/2405.07987",
        cannot_tell="How the rest of the space is laid out; many names share partners with fewer than ten others.",
    ),
    Metric(
        name="edge_cosine",
        title="Edge alignment",
        range=(-1.0, 1.0),
        direction="higher",
        formula="mean cosine of gene and disease over the edges, vectors centred by kind",
        source="Ours, after Nickel et al. 2016, https://doi.org/10.1109/JPROC.2015.2483592",
        cannot_tell="Whether both kinds are laid out alike but apart, which the map through Procrustes tells.",
    ),
    Metric(
        name="edge_procrustes",
        title="Edge alignment through a rotation",
        range=(-1.0, 1.0),
        direction="higher",
        formula="the same over held-out edges, genes turned by the orthogonal map that fits other edges best, on at "
        "most 128 principal components of either kind; fitted anew on every rewiring",
        source="Schönemann 1966, https://doi.org/10.1007/BF02289451",
        cannot_tell=_DEGREE,
    ),
)
