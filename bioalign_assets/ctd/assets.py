"""Dagster assets of the ctd room: the release in force, its associations, the disease vocabulary, the changes."""

import dagster as dg
import pyarrow as pa

from bioalign_assets.ctd.changes import changes
from bioalign_assets.ctd.diseases import read_diseases
from bioalign_assets.ctd.release import Release, read_associations, read_usable_release
from bioalign_assets.ctd.report_kind import DISEASES
from bioalign_assets.ctd.source import RawFile, fetch
from bioalign_assets.ctd.synthetic import write_demo_diseases, write_demo_release
from bioalign_assets.errors import SourceError
from bioalign_assets.orchestration import asset_arguments, materialized
from bioalign_assets.settings import Settings
from bioalign_assets.study import Study
from bioalign_assets.warehouse.resources import Warehouse
from bioalign_assets.warehouse.schemas import TABLES

__all__ = ["build_assets"]


def build_assets(study: Study, *, settings: Settings) -> list[dg.AssetsDefinition]:
    """Return the assets of this room."""
    source = settings.ctd_source or study.source.ctd
    diseases_source = settings.ctd_diseases_source or study.source.ctd_diseases

    @dg.asset(
        **asset_arguments(
            "ctd.release",
            kinds={"python", "csv"},
            description=(
                "Fetches the CTD release from its source (the built-in demo release, a URL, a file or a folder), "
                "reads it through to be sure of it, and keeps the raw file."
            ),
        ),
        code_version="1",
    )
    def release(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult[pa.Table]:
        context.log.info(f"Fetching the CTD release from {source}")
        raw, read = fetch(
            source,
            into=warehouse.raw / "ctd",
            demo=lambda path: write_demo_release(path, spec=study.demo_release),
            stem="CTD_curated_genes_diseases",
            verify=read_usable_release,
        )
        rows = _release_row(raw, read=read, warehouse=warehouse)
        return materialized(
            rows,
            full_name="ctd.release",
            warehouse=warehouse,
            metadata={
                "source": source,
                "associations": len(read.associations),
                "is_synthetic": raw.is_synthetic,
                "inferred_rows_passed_over": read.inferred_rows_skipped,
                "report_created": str(read.report_created or "not said in the file"),
            },
        )

    @dg.asset(
        **asset_arguments(
            "ctd.associations",
            kinds={"python", "csv"},
            description="The gene-disease associations of the release in force, every field typed, in file order.",
        ),
        ins={"release": dg.AssetIn(key=dg.AssetKey(["ctd", "release"]))},
        code_version="1",
    )
    def associations(release: pa.Table, warehouse: Warehouse) -> dg.MaterializeResult[pa.Table]:
        read = read_associations(warehouse.root / release["raw_path"][0].as_py())
        return materialized(read.associations, full_name="ctd.associations", warehouse=warehouse)

    @dg.asset(
        **asset_arguments(
            "ctd.diseases",
            kinds={"python", "csv"},
            description=(
                "CTD's disease vocabulary MEDIC with its broad classes, from BIOALIGN_CTD_DISEASES_SOURCE "
                "(the demo release has a synthetic one). Nothing in this study needs it yet."
            ),
        ),
        code_version="1",
    )
    def diseases(warehouse: Warehouse) -> dg.MaterializeResult[pa.Table]:
        if diseases_source is None:
            raise SourceError(
                "BIOALIGN_CTD_DISEASES_SOURCE",
                found="nothing",
                expected="'demo', a URL, a file or a folder with CTD_diseases.csv.gz",
                remedy="Set it to where the disease vocabulary is; everything else runs without it.",
            )
        _, rows = fetch(
            diseases_source,
            into=warehouse.raw / "ctd-diseases",
            demo=lambda path: write_demo_diseases(path, spec=study.demo_release),
            stem="CTD_diseases",
            verify=read_diseases,
            kind=DISEASES,
        )
        return materialized(rows, full_name="ctd.diseases", warehouse=warehouse)

    @dg.asset(
        **asset_arguments(
            "ctd.changes",
            kinds={"python"},
            description="What differs between the release in force and the one before it; empty for the first one.",
        ),
        ins={"associations": dg.AssetIn(key=dg.AssetKey(["ctd", "associations"]))},
        code_version="1",
    )
    def changes_(associations: pa.Table, warehouse: Warehouse) -> dg.MaterializeResult[pa.Table]:
        before = _release_before(warehouse)
        rows = TABLES["ctd.changes"].arrow.empty_table() if before is None else changes(before, associations)
        kinds = rows["change"].to_pylist()
        return materialized(
            rows,
            full_name="ctd.changes",
            warehouse=warehouse,
            metadata={kind: kinds.count(kind) for kind in ("added", "removed", "changed")},
        )

    return [release, associations, diseases, changes_]


def _release_row(raw: RawFile, *, read: Release, warehouse: Warehouse) -> pa.Table:
    row = {
        "source_uri": raw.source_uri,
        "file_name": raw.file_name,
        "raw_path": raw.path.relative_to(warehouse.root).as_posix(),
        "sha256": raw.sha256,
        "content_sha256": read.content_sha256,
        "bytes": raw.bytes,
        "report_created": read.report_created,
        "rows": len(read.associations),
        "is_synthetic": raw.is_synthetic,
        "retrieved_at": raw.retrieved_at,
    }
    return pa.Table.from_pylist([row], schema=TABLES["ctd.release"].arrow)


def _release_before(warehouse: Warehouse) -> pa.Table | None:
    """Return the associations of the newest release that differs from the one in force."""
    schema = TABLES["ctd.associations"]
    commits = [commit for commit in warehouse.tables.commits(schema) if commit.get("data_version")]
    newest = commits[0]["data_version"] if commits else None
    for commit in commits:
        if commit["data_version"] != newest:
            return warehouse.tables.read(schema, version=int(str(commit["version"])))
    return None
