"""The report's sections on where everything comes from: release, models, adapters, tables, libraries, citations."""

import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from bioalign_assets.report.blocks import Block, Cell, Details, Link, Section, Table, Text
from bioalign_assets.report.reading import Reading

__all__ = ["LIBRARIES", "citation_section", "provenance_section"]

LIBRARIES = (
    "bioalign-assets", "dagster", "torch", "transformers", "peft", "trl", "duckdb", "deltalake", "scikit-learn",
    "numpy", "scipy", "matplotlib",
)  # fmt: skip


def provenance_section(reading: Reading, *, models: Sequence[str], variants: Sequence[str]) -> Section:
    """Return what every figure on the page was made from. It is to be the last to read: it lists what was read.

    Left out is what says nothing of the content: when runs took place, how long they took, on which machine.

    :param models: of the study, in its order
    :param variants: partition keys of the study, in its order
    """
    tables = (_release(reading), _base_models(reading, models), _adapters(reading, variants))
    blocks: list[Block] = [table for table in tables if table is not None]
    versions = Table(
        caption="Data versions of the tables that this page was made from (SHA-256 of their rows)",
        columns=("table", "partition", "data version"),
        rows=[[name, partition, version] for (name, partition), version in sorted(reading.versions.items())],
        names=frozenset({0, 1}),
    )
    title = f"Data versions of the {len(reading.versions)} tables and partitions behind this page"
    blocks.append(Details(title=title, blocks=[versions]))
    blocks.append(
        Table(
            caption="Versions of the software that made this page",
            columns=("library", "version"),
            rows=[[name, _version(name)] for name in LIBRARIES],
        )
    )
    return Section(key="provenance", title="Versions and provenance", blocks=blocks)


def _release(reading: Reading) -> Table | None:
    rows = reading.rows("ctd.release").to_pylist()
    if not rows:
        return None
    (release,) = rows
    created = release["report_created"]
    source: Cell = release["file_name"]  # a local path is this machine's affair
    if release["is_synthetic"]:
        source = "the built-in synthetic demo release"
    elif release["source_uri"].startswith(("https://", "http://")):
        source = Link(text=release["source_uri"], href=release["source_uri"])
    return Table(
        caption="The CTD release",
        columns=("", ""),
        rows=[
            ["source", source],
            ["made by CTD on", "not said" if created is None else created.date().isoformat()],
            ["associations", f"{release['rows']:,}"],
            ["SHA-256 of the file", release["sha256"]],
            ["SHA-256 of its associations", release["content_sha256"]],
            *[["remark", remark] for remark in release["remarks"] or []],
        ],
    )


def _base_models(reading: Reading, models: Sequence[str]) -> Table | None:
    rows = reading.all_rows("models.base", of=list(models)).to_pylist()
    if not rows:
        return None
    return Table(
        caption="Base models",
        columns=("model", "role", "from", "revision", "architecture", "parameters", "held as",
                 "SHA-256 of the weights"),
        rows=[
            [
                row["model"], row["role"], _model_source(row), row["revision"] or "–",
                row["architecture"], f"{row['parameters']:,}", row["quantisation"], row["weights_sha256"],
            ]
            for row in rows
        ],
        numeric=frozenset({5}),
        names=frozenset({0, 2}),
    )  # fmt: skip


def _model_source(row: Mapping[str, Any]) -> Cell:
    if row["source"] == "tiny":
        return "built here (tiny)"
    if row["source"] != "hub":
        taken = f", in the place of {row['repo_id']}" if row["repo_id"] else ""
        # where it lies on this machine says nothing of its content; its hash does
        return f"{row['source']} {PurePath(row['origin']).name}{taken}"
    return Link(text=row["repo_id"], href=f"https://huggingface.co/{row['repo_id']}")


def _adapters(reading: Reading, variants: Sequence[str]) -> Table | None:
    trained = [
        row for row in reading.all_rows("training.adapter", of=list(variants)).to_pylist() if row["sha256"]
    ]
    if not trained:
        return None
    rows = []
    for row in trained:
        made = json.loads(row["provenance"])
        libraries = ", ".join(
            f"{name} {version}" for name, version in sorted(made.get("libraries", {}).items())
        )
        rows.append(
            [
                row["variant"], f"{row['steps']:,}", row["sha256"], made.get("dataset", "–"),
                made.get("dataset_version", "–"), made.get("base_weights_sha256", "–"),
                made.get("experiment_sha256", "–"), libraries or "–",
            ]
        )  # fmt: skip
    return Table(
        caption="Adapters, and what each was trained from",
        columns=("variant", "steps", "SHA-256 of the adapter", "dataset", "data version of the dataset",
                 "base weights", "settings", "libraries"),
        rows=rows,
        numeric=frozenset({1}),
        names=frozenset({0, 3}),
    )  # fmt: skip


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return "not installed as a package"


_CTD_ARTICLE = (
    "Davis AP, Wiegers TC, Sciaky D, Barkalow F, Strong M, Wyatt B, Wiegers J, McMorran R, Abrar S, Mattingly CJ. "
    "Comparative Toxicogenomics Database's 20th anniversary: update 2025. Nucleic Acids Research 2025, "
    "53(D1):D1328–D1334."
)
_PAPER = (
    "Ziad, Khan and Karim 2025. Quantifying the Structural Alignment of LLM Embeddings with a Biomedical Knowledge "
    "Graph Following QLoRA Fine-Tuning. BRAC University."
)
_TERMS = ". Who publishes a study that relies on CTD data cites CTD, links to the records that are shown, "


def citation_section() -> Section:
    """Return whom to cite, and what CTD's terms ask."""
    data = Text(
        parts=(
            f"Data: {_CTD_ARTICLE} ",
            Link(text="Comparative Toxicogenomics Database", href="https://ctdbase.org/"),
            "; ",
            Link(text="how CTD asks to be cited", href="https://ctdbase.org/about/publications/#citing"),
            "; ",
            Link(text="CTD's terms", href="https://ctdbase.org/about/legal.jsp"),
            _TERMS,
            Link(text="tells CTD", href="https://ctdbase.org/help/contact.go"),
            " and gives it access to the publication.",
        )
    )
    return Section(key="citation", title="Sources to cite", blocks=[data, Text(parts=(f"Study: {_PAPER}",))])
