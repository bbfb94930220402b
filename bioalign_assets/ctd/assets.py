"""Dagster assets of the ctd room: the release in force, its associations, the disease vocabulary, the changes."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import dagster as dg
import pyarrow as pa

from bioalign_assets.ctd.changes import changes
from bioalign_assets.ctd.diseases import read_diseases
from bioalign_assets.ctd.figures import change_summary
from bioalign_assets.ctd.previous_release import created_at, previous_release
from bioalign_assets.ctd.release import read_associations
from bioalign_assets.ctd.release_gate import LARGEST_LOSS, InForce, Ingested, Refused, in_force_of, ingest
from bioalign_assets.ctd.report_kind import DISEASES
from bioalign_assets.ctd.sighting import of_demo
from bioalign_assets.ctd.source import fetched, keep
from bioalign_assets.ctd.source_address import public_source
from bioalign_assets.ctd.synthetic import write_demo_diseases, write_demo_release
from bioalign_assets.errors import BioAlignError, SourceError
from bioalign_assets.plotting import markdown_image
from bioalign_assets.settings import Settings
from bioalign_assets.study import Study
from bioalign_assets.table_assets import asset_arguments, checks_stand, materialized
from bioalign_assets.warehouse.hashing import content_hash
from bioalign_assets.warehouse.resources import Warehouse
from bioalign_assets.warehouse.schemas import TABLES

__all__ = ["ACCEPTABLE", "ReleaseConfig", "build_assets"]

ACCEPTABLE = "acceptable"
"""Name of the check on ``ctd.release`` that the last fetched release could go into force."""


class ReleaseConfig(dg.Config):
    """What a person may say about one run of ``ctd.release``."""

    accept: str = ""
    """SHA-256 of a refused release that they looked at: it goes into force whatever speaks against it."""


def build_assets(study: Study, *, settings: Settings) -> list[dg.AssetsDefinition]:
    """Return the assets of this room."""
    source = settings.ctd_source or study.source.ctd
    diseases_source = settings.ctd_diseases_source or study.source.ctd_diseases

    @dg.asset(
        **asset_arguments(
            "ctd.release",
            kinds={"csv"},
            description=(
                "Fetches the CTD release from its source (the built-in demo release, a URL, a file or a folder), "
                "reads it through to be sure of it, holds it against the release in force, and keeps the raw "
                "file. A release that looks wrong is kept aside, and the last good one stays in force."
            ),
        ),
        code_version="1",
        check_specs=[
            dg.AssetCheckSpec(
                ACCEPTABLE,
                asset=dg.AssetKey(["ctd", "release"]),
                description=(
                    "The last release that was fetched could go into force: it can be read, its columns are those "
                    f"of the release in force, it lost no more than {LARGEST_LOSS:.0%} of the rows, is not older, "
                    "no association stands in it twice, its direct evidence is of the words that curation knows, "
                    "and its names are told apart and are no dates."
                ),
            )
        ],
        freshness_policy=dg.FreshnessPolicy.time_window(
            fail_window=timedelta(days=15), warn_window=timedelta(days=8)
        ),
    )
    def release(
        context: dg.AssetExecutionContext, config: ReleaseConfig, warehouse: Warehouse
    ) -> Iterator[dg.MaterializeResult[pa.Table] | dg.AssetCheckResult]:
        shown = public_source(source)
        context.log.info(f"Fetching the CTD release from {shown}")
        in_force = in_force_of(warehouse.tables.read(TABLES["ctd.release"]), root=warehouse.root)
        try:
            result = ingest(
                source,
                fetching=partial(
                    fetched,
                    into=warehouse.raw / "ctd",
                    demo=lambda path: write_demo_release(path, spec=study.demo_release),
                    stem="CTD_curated_genes_diseases",
                    demo_sighting=of_demo(study.demo_release),
                ),
                raw=warehouse.raw,
                in_force=in_force,
                accept=config.accept,
            )
        except BioAlignError:
            checks_stand(context, but=())
            raise
        yield _verdict(result, in_force=in_force)
        if isinstance(result, Refused):
            checks_stand(context, but=(ACCEPTABLE,))
            raise result.error
        raw, read = result.raw, result.release
        for remark in result.remarks:
            context.log.warning(remark)
        yield materialized(
            _release_row(result, warehouse=warehouse),
            full_name="ctd.release",
            warehouse=warehouse,
            metadata={
                "source": shown,
                "sighting": dg.MetadataValue.text(raw.sighting.to_json()),
                "associations": len(read.associations),
                "is_synthetic": raw.is_synthetic,
                "inferred_rows_passed_over": read.inferred_rows_skipped,
                "remarks": "\n".join(result.remarks) or "none",
                "report_created": str(
                    read.report_created or read.report_created_problem or "not said in the file"
                ),
            },
        )

    @dg.asset(
        **asset_arguments(
            "ctd.associations",
            kinds={"csv"},
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
            kinds={"csv"},
            description=(
                "CTD's disease vocabulary MEDIC with its broad classes, from BIOALIGN_CTD_DISEASES_SOURCE "
                "(the demo release has a synthetic one). Same-class datasets need it, nothing else does."
            ),
        ),
        code_version="1",
    )
    def diseases(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult[pa.Table]:
        if diseases_source is None:
            raise SourceError(
                "BIOALIGN_CTD_DISEASES_SOURCE",
                found="nothing",
                expected="'demo', a URL, a file or a folder with CTD_diseases.csv.gz",
                remedy="Set it to where the disease vocabulary is; everything else runs without it.",
            )
        folder = warehouse.raw / "ctd-diseases"
        with fetched(
            diseases_source,
            into=folder,
            demo=lambda path: write_demo_diseases(path, spec=study.demo_release),
            stem="CTD_diseases",
            kind=DISEASES,
        ) as file:
            vocabulary = read_diseases(file.path)
            keep(file, into=folder)
        remarks = [*vocabulary.remarks, *([file.passed_over] if file.passed_over else [])]
        for remark in remarks:
            context.log.warning(remark)
        return materialized(
            vocabulary.diseases,
            full_name="ctd.diseases",
            warehouse=warehouse,
            metadata={"remarks": "\n".join(remarks) or "none"},
        )

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
        before = previous_release(warehouse.tables, raw=warehouse.raw / "ctd")
        rows = (
            TABLES["ctd.changes"].arrow.empty_table()
            if before is None
            else changes(before.associations, associations)
        )
        kinds = rows["change"].to_pylist()
        content = content_hash(associations, schema=TABLES["ctd.associations"])
        figure = change_summary(
            rows,
            before=None if before is None else created_at(before.content_sha256, tables=warehouse.tables),
            after=created_at(content, tables=warehouse.tables),
            is_first=before is None,
        )
        return materialized(
            rows,
            full_name="ctd.changes",
            warehouse=warehouse,
            metadata={
                **{kind: kinds.count(kind) for kind in ("added", "removed", "changed")},
                "summary": dg.MetadataValue.md(markdown_image(figure, title="What changed")),
            },
        )

    return [release, associations, diseases, changes_]


def _verdict(result: Ingested | Refused, *, in_force: InForce | None) -> dg.AssetCheckResult:
    """Return the evaluation of the check ``acceptable``, which Dagster keeps also where the asset stops."""
    counts = {} if in_force is None else {"associations_in_force": in_force.rows}
    if isinstance(result, Refused):
        record = result.record
        return dg.AssetCheckResult(
            check_name=ACCEPTABLE,
            passed=False,
            description=str(result.error),
            metadata={
                "kept_aside": dg.MetadataValue.path(record.folder),
                "sha256": record.sha256,
                "signature": record.signature,
                "objections": ", ".join(objection.rule for objection in record.objections),
                **counts,
                **({} if result.rows is None else {"associations": result.rows}),
            },
        )
    against = "; ".join(objection.text for objection in result.overruled)
    verdict = (
        f"Accepted by a person, though there is: {against}." if against else "Nothing speaks against it."
    )
    return dg.AssetCheckResult(
        check_name=ACCEPTABLE,
        passed=True,
        description=" ".join((verdict, *result.remarks)),
        metadata={"sha256": result.raw.sha256, **counts, "associations": len(result.release.associations)},
    )


def _release_row(ingested: Ingested, *, warehouse: Warehouse) -> pa.Table:
    raw, read = ingested.raw, ingested.release
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
        "remarks": list(ingested.remarks),
    }
    return pa.Table.from_pylist([row], schema=TABLES["ctd.release"].arrow)
