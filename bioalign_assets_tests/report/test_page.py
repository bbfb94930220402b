"""The page: what stands on it, that nobody's text becomes markup, and that the same tables give the same bytes."""

import re
import shutil
from datetime import UTC, datetime
from html import escape
from html.parser import HTMLParser
from types import SimpleNamespace

import pyarrow as pa
import pytest

from bioalign_assets.report import blocks
from bioalign_assets.report.page import study_page
from bioalign_assets.report.reading import Reading
from bioalign_assets.report.score_sections import improvement_section, separation_section
from bioalign_assets.report.source_sections import LIBRARIES
from bioalign_assets.warehouse.hashing import content_hash
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets.warehouse.tables import Tables
from bioalign_assets_tests.report._make import figure
from bioalign_assets_tests.report._page import STUDY, VARIANTS, release, rows_of, write_study

VOID = {"meta", "br", "link", "img", "hr"}


class Elements(HTMLParser):
    """Every element of a page with its attributes, and its text; open and closing tags have to match."""

    def __init__(self, html):
        super().__init__()
        self.found, self.open, self.text = [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs), (tag, attrs)
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def of(self, tag):
        return [attrs for name, attrs in self.found if name == tag]


@pytest.fixture(scope="module")
def elements(page):
    return Elements(page.html)


def test_the_sections_are_there_with_their_contents_listed(page, elements):
    assert page.sections == (
        "Does the geometry agree with the graph?", "Datasets", "Leaderboard", "What tuning changed",
        "KG separation against chance", "Seeds pooled", "Pictures of the models", "What changed",
        "Versions and provenance", "Sources to cite",
    )  # fmt: skip
    links = [each["href"] for each in elements.of("a") if each["href"].startswith("#")]
    assert links == [f"#{each['id']}" for each in elements.of("section")]
    assert len(links) == len(page.sections)


def test_nothing_that_others_wrote_becomes_markup(elements):
    tags = {tag for tag, _ in elements.found}
    assert not tags & {"script", "b", "iframe", "object", "img", "link", "form"}
    for tag, attrs in elements.found:
        assert not any(name.startswith("on") for name in attrs), (tag, attrs)
    text = " ".join(elements.text)
    assert "<script>alert('gene')</script>" in text
    assert 'Fever" onload="alert(1)" & </text>' in text
    assert "A <b>study</b> & its page" in text


def test_nothing_is_loaded_from_elsewhere(page, elements):
    for tag, attrs in elements.found:
        for name in ("src", "srcset", "poster", "action", "data"):
            assert name not in attrs, (tag, attrs)
        if tag != "a" and "href" in attrs:
            assert attrs["href"].startswith(("#", "data:"))
    assert not re.search(r"url\((?!#)", page.html)
    assert "@import" not in page.html
    (policy,) = [meta["content"] for meta in elements.of("meta") if meta.get("http-equiv")]
    assert policy.startswith("default-src 'none'")


def test_every_id_is_there_once_and_every_reference_leads_to_one(page, elements):
    ids = [attrs["id"] for _, attrs in elements.found if "id" in attrs]
    assert len(ids) == len(set(ids))
    used = {attrs["href"][1:] for tag, attrs in elements.found if tag == "use"}
    used |= set(re.findall(r"url\(#([^)]+)\)", page.html))
    assert used
    assert used <= set(ids)


def test_every_figure_has_a_role_a_label_and_a_caption(page, elements):
    drawn = elements.of("svg")
    assert len(drawn) == len(elements.of("figure")) == len(elements.of("figcaption")) == page.figures
    assert all(each["role"] == "img" and len(each["aria-label"]) > 20 for each in drawn)
    captions = " ".join(each["aria-label"] for each in drawn)
    for number in (2, 3, 4, 5, 9, 10, 11, 12, 13, 14):
        assert f"(figure {number} of the paper)" in captions, number


def test_the_same_tables_give_the_same_bytes(page, tmp_path):
    # another warehouse, another day, another machine
    elsewhere = write_study(tmp_path, retrieved_at=datetime(2030, 1, 1, tzinfo=UTC), raw_path="raw/elsewhere")
    assert study_page(elsewhere, study=STUDY).html == page.html


def test_the_first_paragraph_says_whether_the_geometry_agrees_and_the_second_who_beats_popularity(page):
    first, second = re.findall(r'<p class="summary">(.*?)</p>', page.html, re.DOTALL)
    assert first.startswith("The question: ")
    assert (
        "For 2 of 2 tuned models, yes: tuning moved the geometry of llama@paper and llama@paper-43" in first
    )
    assert second.startswith("The second question: ")
    assert "A model beats the popularity baseline on published." in second  # 0.82 to 0.86 against 0.80


def test_a_model_that_does_not_beat_popularity_is_told_so_before_the_contents(tmp_path, undrawn):
    html = study_page(write_study(tmp_path, popularity=0.95), study=STUDY).html
    told = html.split("</header>")[0]
    assert "No model beats the popularity baseline on published." in told
    assert "It does not beat popularity (AUROC 0.950)." in told


def test_a_study_whose_alignment_was_not_measured_says_so_and_has_no_such_section(copied, undrawn):
    for name in TABLES:
        if "_alignment" in name and copied.folder(TABLES[name]).exists():
            shutil.rmtree(copied.folder(TABLES[name]))
    page = study_page(copied, study=STUDY)
    assert "That is still open: no model&#39;s geometry has been measured yet." in page.html
    assert page.sections[0] == "Datasets"


def test_a_synthetic_release_is_told_in_the_first_paragraph(copied, undrawn):
    copied.write(release(is_synthetic=True), schema=TABLES["ctd.release"])
    html = study_page(copied, study=STUDY).html
    assert "The release is the built-in synthetic one" in html.split("</header>")[0]


def test_provenance_names_every_table_and_its_data_version(page, tables, elements):
    text = "\n".join(elements.text)
    expected = {}
    for name, schema in TABLES.items():
        rows = tables.read(schema)
        if not len(rows):
            continue
        keys = (
            [None] if schema.partitioned_by is None else sorted(set(rows[schema.partitioned_by].to_pylist()))
        )
        for key in keys:
            part = tables.read(schema, partitions=None if key is None else [key])
            expected[name, key or ""] = content_hash(part, schema=schema)
    del expected[
        "evaluation.cluster_map", "bio@untuned"
    ]  # the map of a model that is never tuned is not drawn
    assert page.tables == len(expected)
    for (name, key), version in expected.items():
        assert version in text, (name, key)


def test_provenance_names_release_models_adapters_and_libraries(elements):
    text = "\n".join(elements.text)
    for told in (
        "a" * 64,
        "b" * 64,
        "2026-10-01",
        "c0ffee",
        "9" * 64,
        "1" * 64,
        "2" * 64,
        "d" * 64,
        "torch 9.9.9",
    ):
        assert told in text, told
    for library in LIBRARIES:
        assert library in text
    hrefs = [each["href"] for each in elements.of("a")]
    assert "https://huggingface.co/org/llama" in hrefs
    assert "https://ctdbase.org/reports/x.csv.gz" in hrefs


def test_no_path_of_this_machine_and_no_moment_is_on_the_page(page):
    for told in ("/home/somebody", "2026-11-02", "03:04:05", "adapters/x", "raw/x"):
        assert told not in page.html


def test_a_local_source_is_named_by_its_file_alone(copied, undrawn):
    copied.write(release(source_uri="/data/of/mine/x.csv.gz"), schema=TABLES["ctd.release"])
    html = study_page(copied, study=STUDY).html
    assert "/data/of/mine" not in html
    assert "x.csv.gz" in html


def test_changes_are_counted_and_the_first_linked_to_ctd(elements):
    hrefs = [each["href"] for each in elements.of("a")]
    assert "https://ctdbase.org/detail.go?type=gene&acc=100" in hrefs
    assert "https://ctdbase.org/detail.go?type=disease&acc=MESH:D000" in hrefs
    assert "https://ctdbase.org/detail.go?type=gene&acc=109" in hrefs
    assert "https://ctdbase.org/detail.go?type=gene&acc=110" not in hrefs  # ten of a kind
    text = " ".join(elements.text)
    assert "Associations added, the first 10 of 12" in text
    assert "Associations removed, all" in text
    assert "pubmed_ids: 1 -> 1|2" in text


def test_ctd_is_cited_with_its_terms(elements):
    hrefs = {each["href"] for each in elements.of("a")}
    assert {"https://ctdbase.org/", "https://ctdbase.org/about/legal.jsp"} <= hrefs
    text = " ".join(elements.text)
    assert "Davis AP" in text
    assert "Ziad, Khan and Karim 2025" in text


def test_an_empty_warehouse_gives_a_page_that_says_what_is_missing(tmp_path):
    page = study_page(Tables(tmp_path), study=STUDY)
    Elements(page.html)
    assert page.missing == VARIANTS
    assert page.figures == page.tables == 0
    for told in (
        "That is still open", "The answer is still open", "Not run yet, and not on this page: llama@untuned", "Nothing has been ranked yet",
        "Not built yet: published", "No model has been evaluated yet", "No CTD release yet",
    ):  # fmt: skip
        assert told in page.html, told


@pytest.fixture
def undrawn(monkeypatch):
    """Spare the drawing, the longest part of a page."""
    monkeypatch.setattr(
        blocks, "svg", lambda _figure, *, label, **_: f'<svg aria-label="{escape(label)}"></svg>'
    )


@pytest.fixture
def copied(tables, tmp_path):
    """A copy of the study's warehouse, to break."""
    shutil.copytree(tables.root, tmp_path / "copy")
    return Tables(tmp_path / "copy")


@pytest.mark.parametrize(
    "without",
    [
        ["ctd.release", "curation.profile", "report.seeds", "evaluation.cluster_map"],
        ["ctd.changes", "curation.pairs", "training.log", "evaluation.kg_separation"],
        ["models.base", "inference.answers", "report.improvements"],
        ["training.adapter", "evaluation.zero_shot", "evaluation.baselines"],
        ["report.leaderboard", "evaluation.embedding_probe"],
        ["evaluation.graph_alignment", "evaluation.graph_alignment_layers"],
        ["evaluation.graph_alignment_changes", "evaluation.graph_alignment_baselines"],
    ],
)
def test_any_table_may_be_missing(copied, page, undrawn, without):
    whole = page
    for name in without:
        shutil.rmtree(copied.folder(TABLES[name]))
    page = study_page(copied, study=STUDY)
    Elements(page.html)
    assert 5 < page.tables < whole.tables
    for name in without:
        assert f">{name}<" not in page.html


def test_a_variant_that_never_ran_is_named_and_the_others_are_shown(copied, undrawn):
    for name in ("inference.answers", "evaluation.cluster_map"):
        schema = TABLES[name]
        copied.write(schema.arrow.empty_table(), schema=schema, partition="llama@paper-43")
    page = study_page(copied, study=STUDY)
    assert page.missing == ("llama@paper-43",)
    assert "Not run yet, and not on this page: llama@paper-43." in page.html
    assert "Answers of llama@paper by label" in page.html
    assert "Answers of llama@paper-43 by label" not in page.html


def test_what_the_study_no_longer_names_is_not_on_the_page(tables, undrawn):
    study = STUDY.model_copy(
        update={"experiments": {k: v for k, v in STUDY.experiments.items() if k != "paper-43"}}
    )
    html = study_page(tables, study=study).html
    assert "Answers of llama@paper by label" in html
    assert "Answers of llama@paper-43 by label" not in html


def test_improvements_show_their_test_where_the_table_has_one():
    rows = pa.Table.from_pylist([{
        "model": "m", "experiment": "paper", "test_set": "t", "prompt": None, "metric": "accuracy",
        "untuned": 0.5, "untuned_ci_low": None, "untuned_ci_high": None, "tuned": 0.6, "tuned_ci_low": 0.55,
        "tuned_ci_high": 0.65, "change": 0.1, "change_percent": 20.0, "n": 100,
        "change_ci_low": 0.02, "change_ci_high": 0.18, "p_value": 0.0004, "test": "McNemar",
    }])  # fmt: skip
    (row,) = improvement_section(rows).blocks[0].rows
    assert row == ["m@paper", "Accuracy", "t", "0.500", "0.600 [0.550, 0.650]", "+0.100 [+0.020, +0.180]",
                   "+20.0%", "< 0.001", "McNemar", "100"]  # fmt: skip
    plain = improvement_section(rows.drop_columns(["p_value", "test"])).blocks[0]
    assert "p" not in plain.columns
    assert len(plain.rows[0]) == len(plain.columns)


def test_kg_separation_stands_beside_chance_and_old_rows_without_it_are_shown_too():
    new = figure("m", "paper", "kg_separation", 0.0065, prompt=None, half=0.001) | {
        "null_mean": 0.0019, "p_value": 0.094, "n_true": 1253, "n_false": 1247,
    }  # fmt: skip
    found = rows_of("evaluation.kg_separation", [
        new, new | {"test_set": "t", "p_value": 0.0004}, new | {"metric": "kg_separation_signed"},
        figure("m", "untuned", "kg_separation", 0.02, prompt=None, half=0.01),
    ])  # fmt: skip
    reading = SimpleNamespace(all_rows=lambda name, of: found)  # noqa: ARG005 - the real one's form
    table = separation_section(reading, variants=["m@untuned", "m@paper"]).blocks[0]
    assert [len(row) for row in table.rows] == [len(table.columns)] * 3
    assert table.rows == [
        ["m@paper", "published", "0.0065 [0.0055, 0.0075]", "0.0019", "0.094", "1,253", "1,247"],
        ["m@paper", "t", "0.0065 [0.0055, 0.0075]", "0.0019", "< 0.001", "1,253", "1,247"],
        ["m@untuned", "published", "0.020 [0.010, 0.030]", "–", "–", "–", "–"],
    ]
    found = found.slice(0, 0)
    assert separation_section(reading, variants=[]) is None


def test_reading_notes_what_was_read_and_nothing_else(tables):
    reading = Reading(tables)
    reading.partitions("inference.answers")
    assert reading.versions == {}
    rows = reading.rows("models.base", partition="llama")
    assert reading.versions == {("models.base", "llama"): content_hash(rows, schema=TABLES["models.base"])}
    assert len(reading.rows("models.base", partition="never")) == 0
    assert len(reading.versions) == 1
    with pytest.raises(ValueError, match="partitioned by model"):
        reading.rows("models.base")
