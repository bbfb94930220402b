import gzip
import re
from datetime import UTC, datetime
from functools import cache

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy.stats import chi2_contingency, chisquare
from sklearn.metrics import roc_auc_score

from bioalign_assets.ctd import synthetic_names
from bioalign_assets.ctd.diseases import read_diseases
from bioalign_assets.ctd.release import read_associations
from bioalign_assets.ctd.synthetic import planted_compatibility, write_demo_diseases, write_demo_release
from bioalign_assets.ctd.synthetic_draw import (
    compatibility,
    deal_groups,
    draw_pairs,
    pair_block_weights,
    rank_weights,
)
from bioalign_assets.ctd.synthetic_names import CLASS_WORDS, FAMILY_SYLLABLES, FIRST_GENE_ID, FIRST_PUBMED_ID
from bioalign_assets.errors import StudyError
from bioalign_assets.study.source import DemoRelease

NULL = {"strength": 0.0, "gene_tail": 0.0, "disease_tail": 0.0}


@pytest.fixture(scope="module")
def draw(tmp_path_factory):
    """Write a demo release and return it as a data frame, with family and class read from the names."""
    path = tmp_path_factory.mktemp("demo") / "demo.csv"

    @cache
    def drawn(**settings):
        write_demo_release(path, spec=DemoRelease(**settings))
        frame = read_associations(path).associations.to_pandas()
        frame["family"] = frame["gene_symbol"].map(family_of)
        frame["class"] = frame["disease_name"].map(class_of)
        return frame

    return drawn


def family_of(symbol):
    return FAMILY_SYLLABLES.index(re.fullmatch(r"SYN([A-Z]{3})\d+", symbol)[1])


def class_of(name):
    return CLASS_WORDS.index(re.match(r"Synthetic (\w+) disorder", name)[1])


def gini(counts):
    ordered = np.sort(counts)
    n = len(ordered)
    return float((2 * np.arange(1, n + 1) - n - 1) @ ordered / (n * ordered.sum()))


def degrees(frame, column, size):
    counts = frame[column].value_counts().to_numpy()
    return np.concatenate([counts, np.zeros(size - len(counts), dtype=int)])


def contingency(frame):
    return pd.crosstab(frame["family"], frame["class"]).to_numpy()


@pytest.mark.parametrize("name", ["d.csv", "d.csv.gz"])
@pytest.mark.parametrize("write", [write_demo_release, write_demo_diseases])
def test_the_same_specification_gives_the_same_bytes(tmp_path, name, write, monkeypatch):
    contents = []
    for day, (folder, seed) in enumerate((("a", 1), ("b", 1), ("c", 2))):
        (tmp_path / folder).mkdir()
        monkeypatch.setattr("time.time", lambda day=day: 1e9 + day * 86_400)  # gzip asks for it
        write(tmp_path / folder / name, spec=DemoRelease(seed=seed))
        contents.append((tmp_path / folder / name).read_bytes())
    assert contents[0] == contents[1]
    assert contents[0] != contents[2]


def test_it_has_the_form_of_ctds_file_and_says_what_it_is(tmp_path):
    write_demo_release(tmp_path / "d.csv.gz", spec=DemoRelease())
    lines = gzip.decompress((tmp_path / "d.csv.gz").read_bytes()).decode().split("\n")
    end = lines.index("# Fields:")
    assert "SYNTHETIC" in lines[0]
    assert all(line.startswith("#") for line in lines[: end + 3])
    assert lines[end - 2] == "# Report created: Sat Jan 01 07:00:00 EST 2000"
    assert lines[end + 1] == "# GeneSymbol,GeneID,DiseaseName,DiseaseID,DirectEvidence,OmimIDs,PubMedIDs"
    assert lines[end + 2] == "#"
    assert not lines[end + 3].startswith("#")
    assert lines[-1] == ""


@pytest.mark.parametrize("name", ["d.csv", "d.csv.gz"])
def test_it_is_read_back_whole(tmp_path, name):
    moment = datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC)
    write_demo_release(tmp_path / name, spec=DemoRelease(report_created=moment))
    release = read_associations(tmp_path / name)
    assert release.report_created == moment
    assert release.associations.num_rows == 6000
    frame = release.associations.to_pandas()
    assert not frame.duplicated(["gene_id", "disease_id"]).any()
    assert not frame.duplicated(["gene_symbol", "disease_name"]).any()
    assert frame["gene_symbol"].is_monotonic_increasing
    for columns in (["gene_id", "gene_symbol"], ["disease_id", "disease_name"]):
        pairs = frame[columns].drop_duplicates()
        assert all(pairs[column].is_unique for column in columns)


def test_everything_in_it_is_plainly_synthetic(draw):
    frame = draw()
    assert (frame["gene_id"] >= FIRST_GENE_ID).all()
    assert frame["disease_id"].str.fullmatch(r"MESH:SYN\d{6}").all()
    assert frame["gene_symbol"].str.startswith("SYN").all()
    assert frame["disease_name"].str.startswith("Synthetic ").all()
    assert all(int(i) >= FIRST_PUBMED_ID for ids in frame["pubmed_ids"] for i in ids)
    assert all(len(i) == 7 for ids in frame["omim_ids"] for i in ids)


def test_no_name_is_a_real_one(real_data):
    real = read_associations(real_data / "ctd" / "CTD_curated_genes_diseases.2025-08-27.csv").associations
    demo = {
        "gene_symbol": synthetic_names.gene_symbols(np.arange(16_000) % 16),
        "disease_name": synthetic_names.disease_names(np.arange(4_000) % 16),
        "disease_id": synthetic_names.disease_ids(4_000),
    }
    for column, names in demo.items():
        assert set(real[column].to_pylist()).isdisjoint(names)
    assert max(real["gene_id"].to_pylist()) < FIRST_GENE_ID


def test_names_hold_what_readers_stumble_over(draw):
    names = draw()["disease_name"]
    assert all(names.str.contains(sign, regex=False).any() for sign in (",", '"', "#"))


def test_evidence_and_references_look_like_ctds(draw):
    frame = draw(therapeutic_share=0.2)
    kinds = frame["direct_evidence"].map(tuple).value_counts(normalize=True)
    assert set(kinds.index) == {("marker/mechanism",), ("therapeutic",), ("marker/mechanism", "therapeutic")}
    assert 1 - kinds[("marker/mechanism",)] == pytest.approx(0.2, abs=0.02)
    articles, omim = frame["pubmed_ids"].map(len), frame["omim_ids"].map(len)
    assert (articles == 0).mean() == pytest.approx(0.13, abs=0.02)
    assert (articles == 1).mean() > 0.6
    assert articles.max() > 10
    assert ((articles > 0) | (omim > 0)).all()
    assert all(len(set(ids)) == len(ids) for ids in frame["pubmed_ids"])
    assert set(draw(therapeutic_share=0)["direct_evidence"].map(tuple)) == {("marker/mechanism",)}
    assert ("marker/mechanism",) not in set(draw(therapeutic_share=1)["direct_evidence"].map(tuple))


def test_tails_make_long_tailed_degrees(draw):
    flat, long = {}, {}
    for tail, into in ((0.0, flat), (1.0, long)):
        frame = draw(strength=0.0, gene_tail=tail, disease_tail=tail)
        into["genes"], into["diseases"] = degrees(frame, "gene_id", 1200), degrees(frame, "disease_id", 500)
    assert gini(flat["genes"]) < 0.30
    assert gini(flat["diseases"]) < 0.20
    assert flat["diseases"].max() < 30
    for what, most in (("genes", 35), ("diseases", 90)):
        assert gini(long[what]) > 0.45
        assert long[what].max() > most


def test_each_tail_acts_on_its_own_side_alone(draw):
    frame = draw(strength=0.0, gene_tail=1.0, disease_tail=0.0)
    assert gini(degrees(frame, "gene_id", 1200)) > 0.45
    assert gini(degrees(frame, "disease_id", 500)) < 0.20


def test_degrees_at_tail_0_scatter_as_in_a_simple_random_sample(draw):
    """Not more, which popularity could use, and not less: regular degrees would give test positives away."""
    ratios = []
    for seed in range(5):
        counts = degrees(draw(**NULL, seed=seed), "disease_id", 500)
        hypergeometric = 6000 * (1 / 500) * (1 - 1 / 500) * (1 - 6000 / 600_000)
        ratios.append(counts.var() / hypergeometric)
    assert np.mean(ratios) == pytest.approx(1, abs=0.12)


@pytest.mark.parametrize(("families", "classes"), [(8, 8), (5, 7), (16, 4), (3, 3)])
def test_at_strength_1_all_associations_are_compatible(draw, families, classes):
    settings = {"gene_families": families, "disease_classes": classes, "strength": 1.0}
    planted = planted_compatibility(DemoRelease(**settings))
    assert planted.shape == (families, classes)
    counted = contingency(draw(**settings))
    assert counted.shape == planted.shape
    assert ((counted > 0) == planted).all()


@pytest.mark.parametrize(("families", "classes"), [(8, 8), (5, 7), (16, 4), (1, 1)])
def test_the_planted_structure_is_nested(families, classes):
    planted = planted_compatibility(DemoRelease(gene_families=families, disease_classes=classes))
    rows = planted[np.argsort(-planted.sum(axis=1), kind="stable")]
    assert rows[0].all()
    assert (rows.sum(axis=1) >= 1).all()
    assert not (rows[1:] & ~rows[:-1]).any()  # each family's classes are among those of the one before


def test_strength_is_the_share_drawn_from_compatible_pairs(draw):
    planted = planted_compatibility(DemoRelease())
    shares = [contingency(draw(strength=s))[planted].sum() / 6000 for s in (0.0, 0.5, 0.95, 1.0)]
    by_chance = planted.mean()  # families and classes have about equal weights
    expected = [s + (1 - s) * by_chance for s in (0.0, 0.5, 0.95, 1.0)]
    assert shares == pytest.approx(expected, abs=0.04)


def test_another_seed_plants_another_structure():
    assert len({planted_compatibility(DemoRelease(seed=seed)).tobytes() for seed in range(6)}) > 3


@pytest.mark.parametrize("tails", [0.0, 1.0])
def test_at_strength_0_family_and_class_are_independent(draw, tails):
    settings = NULL | {"gene_tail": tails, "disease_tail": tails}
    p_values = [chi2_contingency(contingency(draw(**settings, seed=seed))).pvalue for seed in range(8)]
    assert min(p_values) > 0.001
    assert max(p_values) > 0.1
    assert chi2_contingency(contingency(draw(strength=0.2))).pvalue < 1e-10


def test_at_strength_0_and_tails_0_groups_are_as_frequent_as_large(draw):
    class_sizes = np.sort(np.bincount(np.arange(500) % 8))
    p_values = []
    for seed in range(8):
        frame = draw(**NULL, seed=seed)
        p_values.append(chisquare(np.bincount(frame["family"])).pvalue)
        # which of the classes got a disease more than the others is drawn: compare in order of size
        counted = np.sort(np.bincount(frame["class"]))
        p_values.append(chisquare(counted, class_sizes / 500 * 6000).pvalue)
    assert min(p_values) > 0.001


def popularity_auroc(frame, rng):
    """AUROC of training counts on a random pair split with uniform negatives (REFERENCE 5)."""
    genes, diseases = frame["gene_id"].factorize()[0], frame["disease_id"].factorize()[0]
    n_diseases = diseases.max() + 1
    known = genes * n_diseases + diseases
    drawn = rng.integers(0, (genes.max() + 1) * n_diseases, size=20_000)
    negatives = np.unique(drawn[~np.isin(drawn, known)])
    order = rng.permutation(len(frame))
    test, train = order[:1200], order[1200:]
    negatives = rng.choice(negatives, size=1200, replace=False)
    gene_counts = np.bincount(genes[train], minlength=genes.max() + 1)
    disease_counts = np.bincount(diseases[train], minlength=n_diseases)
    asked = np.concatenate([known[test], negatives])
    gene, disease = gene_counts[asked // n_diseases], disease_counts[asked % n_diseases]
    labels = np.repeat([1, 0], 1200)
    both = np.log1p(gene) + np.log1p(disease)
    return [roc_auc_score(labels, score) for score in (gene, disease, both)]


def test_without_strength_and_tails_popularity_tells_nothing(draw):
    figures = [popularity_auroc(draw(**NULL, seed=s), np.random.default_rng(s)) for s in range(8)]
    # one figure has a standard error of 0.012, the mean of eight 0.004
    assert np.mean(figures, axis=0) == pytest.approx([0.5] * 3, abs=0.016)


def test_with_tails_popularity_tells_a_lot(draw):
    assert popularity_auroc(draw(strength=0.0), np.random.default_rng(0))[2] > 0.75


@pytest.mark.parametrize(
    "settings",
    [
        {"genes": 30, "diseases": 20, "associations": 600, "strength": 0.5},
        {"genes": 30, "diseases": 20, "associations": 599},
        {"genes": 8, "diseases": 8, "associations": 20, "strength": 1.0},
        {"genes": 1, "diseases": 1, "associations": 1, "gene_families": 1, "disease_classes": 1},
        {"genes": 1600, "diseases": 1500, "associations": 20_000, "gene_tail": 4.0, "disease_tail": 4.0},
    ],
)  # fmt: skip
def test_exactly_as_many_associations_as_asked_for(draw, settings):
    frame = draw(**settings)
    assert len(frame) == settings["associations"]
    assert not frame.duplicated(["gene_id", "disease_id"]).any()


def test_more_than_the_compatible_pairs_are_refused(tmp_path):
    spec = DemoRelease(genes=8, diseases=8, associations=21, strength=1.0)
    with pytest.raises(StudyError, match="21 pairs asked for, only 20 are possible"):
        write_demo_release(tmp_path / "d.csv", spec=spec)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "settings",
    [
        {"associations": 600_001},
        {"associations": 0},
        {"genes": 7},
        {"diseases": 7},
        {"gene_families": 0},
        {"gene_families": 17},
        {"strength": 1.01},
        {"strength": -0.1},
        {"gene_tail": -1},
        {"strenght": 1},
        {"report_created": datetime(2000, 1, 1)},  # noqa: DTZ001 - the point
    ],
)  # fmt: skip
def test_a_specification_that_does_not_fit_is_refused(settings):
    with pytest.raises(ValidationError):
        DemoRelease(**settings)


def test_a_specification_is_frozen():
    with pytest.raises(ValidationError):
        DemoRelease().seed = 3


@pytest.mark.parametrize("seed", [42, 7])
def test_the_vocabulary_has_every_disease_with_its_class(tmp_path, draw, seed):
    frame = draw(seed=seed)
    write_demo_diseases(tmp_path / "m.csv.gz", spec=DemoRelease(seed=seed))
    diseases = read_diseases(tmp_path / "m.csv.gz").diseases.to_pandas().set_index("disease_id")
    assert len(diseases) == 500 + 8 + 1
    named = diseases.loc[frame["disease_id"]]
    assert (named["disease_name"].to_numpy() == frame["disease_name"].to_numpy()).all()
    assert (named["classes"].map(len) == 1).all()
    classes = named["classes"].str[0].map(class_of).to_numpy()
    assert (classes == frame["class"].to_numpy()).all()
    parents = {parent for ids in diseases["parent_ids"] for parent in ids}
    assert parents <= set(diseases.index)
    assert (diseases.index[diseases["parent_ids"].map(len) == 0] == ["MESH:SYNC"]).all()
    trees = [number for numbers in diseases["tree_numbers"] for number in numbers]
    assert len(set(trees)) == len(diseases)


def test_groups_get_equal_shares_of_members_and_weight():
    rng = np.random.default_rng(3)
    weights = rank_weights(1003, tail=1.0, rng=rng)
    groups = deal_groups(weights, groups=8, rng=rng)
    assert np.ptp(np.bincount(groups)) <= 1
    assert np.bincount(groups, weights=weights) == pytest.approx(np.full(8, 1 / 8), abs=0.02)


def test_block_factors_put_the_strength_on_the_compatible_pairs():
    rng = np.random.default_rng(5)
    planted = compatibility(families=8, classes=8, rng=rng)
    family_shares, class_shares = rng.dirichlet([200] * 8), rng.dirichlet([200] * 8)
    by_chance = np.outer(family_shares, class_shares)
    for strength in (0.0, 0.3, 1.0):
        factors = pair_block_weights(
            planted, family_shares=family_shares, class_shares=class_shares, strength=strength
        )
        joint = factors * by_chance
        assert joint.sum() == pytest.approx(1)
        assert joint[planted].sum() == pytest.approx(strength + (1 - strength) * by_chance[planted].sum())
    assert factors[~planted].sum() == 0


def test_pairs_are_drawn_by_weight_in_blocks_as_in_one(monkeypatch):
    """Shares of drawn pairs follow the weights, also when the draw runs over many blocks."""
    monkeypatch.setattr("bioalign_assets.ctd.synthetic_draw._BLOCK_PAIRS", 100)
    weights = np.array([1.0, 2.0, 5.0])
    groups, rng = np.zeros(300, dtype=int), np.random.default_rng(0)
    genes, diseases = draw_pairs(
        np.ones((1, 1)),
        gene_weights=np.repeat(weights, 100),
        disease_weights=np.ones(300),
        families=groups,
        classes=groups,
        count=2000,
        rng=rng,
    )
    assert len(set(zip(genes.tolist(), diseases.tolist(), strict=True))) == 2000
    assert np.bincount(genes // 100) / 2000 == pytest.approx(weights / weights.sum(), abs=0.03)
    assert chisquare(np.bincount(diseases // 30)).pvalue > 0.001
