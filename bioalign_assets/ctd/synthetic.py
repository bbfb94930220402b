"""The demo release: a CTD release in form, plainly synthetic in content, with a structure planted in it.

It lets everything run without CTD's data, and it is the ground truth of the platform's own tests: with
``strength`` and tails above 0 there is something to learn, with all three at 0 there is nothing, so a metric
that still finds something is wrong. How pairs are drawn, and why so, stands in ``synthetic_draw``.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bioalign_assets.ctd import synthetic_names as names
from bioalign_assets.ctd.synthetic_draw import (
    compatibility,
    deal_groups,
    draw_pairs,
    pair_block_weights,
    rank_weights,
)
from bioalign_assets.ctd.synthetic_file import write_report
from bioalign_assets.errors import StudyError
from bioalign_assets.study.source import DemoRelease

__all__ = ["planted_compatibility", "write_demo_diseases", "write_demo_release"]

_ASSOCIATION_COLUMNS = (
    "GeneSymbol", "GeneID", "DiseaseName", "DiseaseID", "DirectEvidence", "OmimIDs", "PubMedIDs",
)  # fmt: skip
_DISEASE_COLUMNS = (
    "DiseaseName", "DiseaseID", "AltDiseaseIDs", "Definition", "ParentIDs", "TreeNumbers",
    "ParentTreeNumbers", "Synonyms", "SlimMappings",
)  # fmt: skip
# As in CTD's release of 2025-08-27: one row in eight cites no article, but then an OMIM record, which 3% of
# the others cite too; of the rows with therapeutic evidence one in seven is a marker as well; articles per
# row have a long tail, at most 84.
_SHARE_WITHOUT_ARTICLE = 0.13
_SHARE_WITH_OMIM_TOO = 0.03
_SHARE_ALSO_MARKER = 0.14
_ARTICLE_TAIL = 2.9
_MOST_ARTICLES = 84


@dataclass(frozen=True, kw_only=True)
class _Population:
    """Genes and diseases of a specification: groups and weights, each of shape (genes,) or (diseases,)."""

    families: np.ndarray
    gene_weights: np.ndarray
    classes: np.ndarray
    disease_weights: np.ndarray
    planted: np.ndarray


def _generators(spec: DemoRelease) -> list[np.random.Generator]:
    """One stream each for the population, the pairs and the evidence: neither shifts another."""
    return [np.random.default_rng(child) for child in np.random.SeedSequence(spec.seed).spawn(3)]


def _population(spec: DemoRelease, *, rng: np.random.Generator) -> _Population:
    planted = compatibility(families=spec.gene_families, classes=spec.disease_classes, rng=rng)
    gene_weights = rank_weights(spec.genes, tail=spec.gene_tail, rng=rng)
    disease_weights = rank_weights(spec.diseases, tail=spec.disease_tail, rng=rng)
    return _Population(
        families=deal_groups(gene_weights, groups=spec.gene_families, rng=rng),
        gene_weights=gene_weights,
        classes=deal_groups(disease_weights, groups=spec.disease_classes, rng=rng),
        disease_weights=disease_weights,
        planted=planted,
    )


def planted_compatibility(spec: DemoRelease) -> np.ndarray:
    """Return which family (by its place in FAMILY_SYLLABLES) is compatible with which class (in CLASS_WORDS).

    :return: bool, shape: (gene_families, disease_classes)
    """
    return _population(spec, rng=_generators(spec)[0]).planted


def write_demo_release(path: Path, *, spec: DemoRelease) -> None:
    """Write the demo associations as CTD writes its curated report, sorted by gene symbol and disease name.

    :param path: gzipped if its name ends in ``.gz``, else plain
    :raises StudyError: if at strength 1 there are fewer compatible pairs than associations
    """
    of_population, of_pairs, of_evidence = _generators(spec)
    people = _population(spec, rng=of_population)
    factors = pair_block_weights(
        people.planted,
        family_shares=np.bincount(people.families, weights=people.gene_weights),
        class_shares=np.bincount(people.classes, weights=people.disease_weights),
        strength=spec.strength,
    )
    try:
        genes, diseases = draw_pairs(
            factors,
            gene_weights=people.gene_weights,
            disease_weights=people.disease_weights,
            families=people.families,
            classes=people.classes,
            count=spec.associations,
            rng=of_pairs,
        )
    except ValueError as problem:
        raise StudyError(
            "demo release, associations", found=str(problem), expected="no more than the compatible pairs",
            remedy="Ask for fewer associations, more genes or diseases, or a strength below 1.",
        ) from problem  # fmt: skip
    symbols, disease_names = names.gene_symbols(people.families), names.disease_names(people.classes)
    disease_ids = names.disease_ids(spec.diseases)
    order = sorted(
        zip(genes.tolist(), diseases.tolist(), strict=True),
        key=lambda pair: (symbols[pair[0]], disease_names[pair[1]].casefold()),
    )
    evidence = _evidence(spec, rng=of_evidence)
    articles, omim = _references(spec.associations, rng=of_evidence)
    rows = (
        (
            symbols[gene], str(names.FIRST_GENE_ID + gene), disease_names[disease], disease_ids[disease],
            evidence[i], omim[i], articles[i],
        )
        for i, (gene, disease) in enumerate(order)
    )  # fmt: skip
    write_report(path, columns=_ASSOCIATION_COLUMNS, rows=rows, report_created=spec.report_created)


def _evidence(spec: DemoRelease, *, rng: np.random.Generator) -> list[str]:
    is_therapeutic = rng.random(spec.associations) < spec.therapeutic_share
    is_marker_too = rng.random(spec.associations) < _SHARE_ALSO_MARKER
    kinds = np.array(["marker/mechanism", "therapeutic", "marker/mechanism|therapeutic"])
    return kinds[np.where(is_therapeutic, 1 + is_marker_too, 0)].tolist()


def _references(count: int, *, rng: np.random.Generator) -> tuple[list[str], list[str]]:
    """Return the PubMedIDs and OmimIDs fields of each row; no row has neither."""
    articles = np.minimum(rng.zipf(_ARTICLE_TAIL, size=count), _MOST_ARTICLES)
    articles[rng.random(count) < _SHARE_WITHOUT_ARTICLE] = 0
    # some articles stand behind several associations, as in CTD
    drawn = names.FIRST_PUBMED_ID + rng.integers(0, 10 * count, size=int(articles.sum()))
    ends = np.cumsum(articles).tolist()
    per_row = (drawn[start:end].tolist() for start, end in zip([0, *ends], ends, strict=False))
    pubmed = ["|".join(map(str, sorted(set(ids)))) for ids in per_row]
    has_omim = (articles == 0) | (rng.random(count) < _SHARE_WITH_OMIM_TOO)
    omim_ids = names.FIRST_OMIM_ID + rng.integers(0, 10 * count, size=count)
    return pubmed, [
        str(i) if has else "" for i, has in zip(omim_ids.tolist(), has_omim.tolist(), strict=True)
    ]


def write_demo_diseases(path: Path, *, spec: DemoRelease) -> None:
    """Write the demo vocabulary as CTD writes MEDIC: a root, the classes below it, the diseases below these.

    Every disease has exactly one class, also those without associations.

    :param path: gzipped if its name ends in ``.gz``, else plain
    """
    classes = _population(spec, rng=_generators(spec)[0]).classes
    rows = [("Synthetic disorder", "MESH:SYNC", "", "The root, made up.", "", "SYN", "", "", "")]
    for class_ in range(spec.disease_classes):
        name, tree = names.class_name(class_), f"SYN{class_ + 1:02d}"
        rows.append(
            (name, names.class_id(class_), "", "A class, made up.", "MESH:SYNC", tree, "SYN", "", name)
        )
    described = zip(
        names.disease_names(classes), names.disease_ids(spec.diseases), classes.tolist(), strict=True
    )
    for number, (name, disease_id, class_) in enumerate(described, start=1):
        tree = f"SYN{class_ + 1:02d}"
        place, synonym = f"{tree}.{number:06d}", name.replace("disorder", "condition")
        rows.append(
            (name, disease_id, "", "A disease, made up.", names.class_id(class_), place, tree, synonym,
             names.class_name(class_))
        )  # fmt: skip
    rows.sort(key=lambda row: row[0].casefold())
    write_report(path, columns=_DISEASE_COLUMNS, rows=rows, report_created=spec.report_created)
