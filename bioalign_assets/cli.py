"""The command line: the study and its upkeep (doctor, demo, dev, refresh, ...), its results (leaderboard, score, ...).

Every command reads the same environment as the Dagster definitions. An error that the user can mend is printed
as one paragraph, without a traceback, and the exit status is 1.
"""

import json
import os
import platform
import sys
import time
import traceback
import warnings
import webbrowser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import duckdb
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bioalign_assets.ctd.source_address import public_source
from bioalign_assets.curation.paper_files import write_paper_files
from bioalign_assets.errors import BioAlignError
from bioalign_assets.execution.output import (
    refused_releases,
    release_remarks,
    status_summary,
    status_table,
    step_line,
    steps_summary,
)
from bioalign_assets.report.alignment_output import alignment_table, catalogued_alignment
from bioalign_assets.report.alignment_words import alignment_verdict
from bioalign_assets.report.publish import newest_page
from bioalign_assets.settings import Settings
from bioalign_assets.study import load_study
from bioalign_assets.terminal import keep_terminal
from bioalign_assets.warehouse.catalogue import open_catalogue, own_catalogue_path, rebuild_catalogue
from bioalign_assets.warehouse.dictionary import data_dictionary
from bioalign_assets.warehouse.disk import disk_error
from bioalign_assets.warehouse.export import export_database
from bioalign_assets.warehouse.questions import answers, converse
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets.warehouse.tables import Tables

if TYPE_CHECKING:  # the commands that need neither start without Dagster
    from bioalign_assets.execution.processes import Workplace
    from bioalign_assets.execution.walk import Step

__all__ = ["cli", "main"]

_TWO_WEEKS_H = 14 * 24
_WIDTH = 120
_LEADERBOARD = """
SELECT test_set, prompt, rank, model, experiment, role, n,
       auroc, auroc_ci_low, auroc_ci_high, accuracy, accuracy_ci_low, accuracy_ci_high, is_above_popularity
FROM report.leaderboard ORDER BY ALL
"""


@click.group()
def cli() -> None:
    """BioAlign: does fine-tuning make a language model's geometry agree with a biomedical knowledge graph?"""


_AT_ONCE = click.option(
    "--at-once", type=click.IntRange(min=1),
    help="Runs at once, each in a process of its own; by default 2 where all models are tiny, else 1.",
)  # fmt: skip
_ADOPT = click.option(
    "--adopt", is_flag=True, help="Let the warehouse belong to this study from now on, if it is another's."
)


@cli.command()
@_AT_ONCE
@_ADOPT
def demo(*, at_once: int | None, adopt: bool) -> None:
    """Make the study once, what is missing or stale of it, and print the leaderboard."""
    from bioalign_assets.execution.uses import demo as make_demo
    from bioalign_assets.execution.uses import runs_at_once, stage_times

    keep_terminal()
    workplace = _workplace(adopt=adopt)
    console, settings, study = _console(), workplace.settings, workplace.study
    console.print(f"[bold]{escape(study.title)}[/bold]")
    console.print(
        f"CTD release: {escape(public_source(settings.ctd_source or study.source.ctd))}    "
        f"warehouse: {escape(str(settings.warehouse))}",
        highlight=False,
    )
    started = time.perf_counter()
    steps = _told(make_demo(workplace, at_once=at_once), console=console)
    wall = time.perf_counter() - started
    console.print()
    _raise_failed(steps, what="bioalign demo")
    _print_leaderboard(settings, console=console)
    runs = [step for step in steps if step.run_id]
    if runs:
        times = stage_times(settings, run_ids=[step.run_id for step in runs])
        in_runs = sum(step.seconds for step in runs)
        console.print(_times_table(times, in_runs=in_runs, wall=wall, at_once=at_once or runs_at_once(study)))
    console.print(_where_next(settings), highlight=False, markup=False)


@cli.command()
@click.option(
    "--variant", "variants", metavar="NAME", multiple=True, help="This variant, <model>@<experiment>."
)
@click.option("--model", "models", metavar="NAME", multiple=True, help="All variants of this model.")
@click.option("--dataset", "datasets", metavar="NAME", multiple=True, help="This dataset.")
@_AT_ONCE
@_ADOPT
def run(
    *,
    variants: Sequence[str],
    models: Sequence[str],
    datasets: Sequence[str],
    at_once: int | None,
    adopt: bool,
) -> None:
    """Make what is missing or stale of the study, or of what is named, in order; it goes on where it stopped."""
    from bioalign_assets.execution.uses import Selection
    from bioalign_assets.execution.uses import run as make

    keep_terminal()
    console = _console()
    selection = Selection(variants=variants, models=models, datasets=datasets)
    steps = _told(make(_workplace(adopt=adopt), selection=selection, at_once=at_once), console=console)
    console.print(steps_summary(steps), highlight=False)
    _raise_failed(steps, what="bioalign run")


def _paths_by_name(
    _context: click.Context, _option: click.Parameter, given: Sequence[str]
) -> dict[str, Path]:
    """Return what an option such as ``--take`` names, by model; paths are relative to the folder one is in."""
    paths: dict[str, Path] = {}
    for each in given:
        name, _, path = each.partition("=")
        if not name or not path or name in paths:
            raise click.BadParameter(f"{each}: NAME=PATH, each name once")
        paths[name] = Path(path).expanduser().absolute()
    return paths


@cli.command()
@click.option(
    "--files", metavar="NAME=FOLDER", multiple=True, callback=_paths_by_name,
    help="Take this model's tokenizer, and its config.json if there is one, from a folder; may be given several times.",
)  # fmt: skip
@click.option(
    "--warehouse", "folder", type=click.Path(file_okay=False, path_type=Path),
    help="Where it is played; by default beside the warehouse, with -rehearsal behind its name.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print what came of it as JSON, sizes in bytes.")
@click.option(
    "--at-once",
    default=2,
    show_default=True,
    type=click.IntRange(min=1),
    help="Runs at once, each in a process.",
)
def rehearse(*, files: Mapping[str, Path], folder: Path | None, as_json: bool, at_once: int) -> None:
    """Play the whole study in minutes, small models in the place of published ones (exit status 1: would fail)."""
    from bioalign_assets.rehearsal.output import rehearsed_for_terminal
    from bioalign_assets.rehearsal.play import Rehearsal

    keep_terminal()
    workplace = _workplace(adopt=False)
    own = workplace.settings.warehouse
    place = folder.expanduser().absolute() if folder else own.with_name(f"{own.name}-rehearsal")
    if place.resolve() == own.resolve():
        raise click.UsageError("--warehouse must be another folder than BIOALIGN_WAREHOUSE.")
    console = _console()
    rehearsal = Rehearsal(workplace=workplace, folder=place, files=files, at_once=at_once)
    told = Console(stderr=True, width=_WIDTH) if as_json else console
    told.print(
        f"[bold]{escape(workplace.study.title)}[/bold], rehearsed in {escape(str(place))}", highlight=False
    )
    _told(rehearsal.steps(), console=told)
    rehearsed = rehearsal.result()
    if as_json:
        click.echo(json.dumps(rehearsed.to_json(), indent=2))
    else:
        console.print(rehearsed_for_terminal(rehearsed), highlight=False)
    if not rehearsed.would_run:
        click.get_current_context().exit(1)


@cli.command()
@click.option(
    "--training/--no-training", default=None,
    help="Whether to rerun what loads a language model too; as the study file says by default.",
)  # fmt: skip
@click.option(
    "--accept", metavar="SHA256", default="",
    help="Put a refused release into force that you have looked at, then refresh.",
)  # fmt: skip
@_AT_ONCE
@_ADOPT
def refresh(*, training: bool | None, accept: str, at_once: int | None, adopt: bool) -> None:
    """Look for a new release and rerun what is stale, once, in order; nothing that was never built."""
    from bioalign_assets.execution.uses import refresh as refresh_stale

    keep_terminal()
    console = _console()
    workplace = _workplace(adopt=adopt)
    follows = workplace.study.automation.training if training is None else training
    walking = refresh_stale(workplace, training=follows, accept=accept, at_once=at_once)
    steps = _told(walking, console=console)
    console.print(steps_summary(steps), highlight=False)
    _raise_failed(steps, what="bioalign refresh")


@cli.command()
@click.option("--stale", "only_stale", is_flag=True, help="Leave out what is fresh.")
def status(*, only_stale: bool) -> None:
    """List every asset partition as fresh, stale (and why) or missing; change nothing."""
    from bioalign_assets.definitions import build_defs
    from bioalign_assets.execution.instance import belonging_of, instance_to_read, see_that_it_belongs
    from bioalign_assets.freshness.history import History
    from bioalign_assets.freshness.partition_graph import PartitionGraph
    from bioalign_assets.freshness.settings_assets import present_settings
    from bioalign_assets.freshness.stale import partition_states, unrecorded

    settings = Settings.from_environment()
    study = load_study(settings.study)
    see_that_it_belongs(settings.warehouse, study=settings.study, records=False)
    graph = PartitionGraph(build_defs(settings=settings, study=study).resolve_asset_graph())
    history = History(graph)
    if belonging_of(settings.warehouse) is not None:
        with instance_to_read(settings.warehouse) as instance:
            history.read(instance=instance)
    # the study file as it is now: what it changed is a reason too
    states = partition_states(graph=graph, history=history, settings=present_settings(study))
    console = _console()
    console.print(status_table(states, only_stale=only_stale))
    console.print(status_summary(states), highlight=False)
    for node in unrecorded(Tables(settings.warehouse), graph=graph, history=history):
        console.print(
            f"[yellow]{escape(str(node))} has rows without a record[/yellow]: another Dagster instance wrote them. "
            "`bioalign run` makes them anew.",
            highlight=False,
        )
    for line in (*release_remarks(settings), *refused_releases(settings)):
        console.print(line, highlight=False)


@cli.command()
@click.option(
    "--adopt", is_flag=True,
    help="Record BIOALIGN_STUDY, and the instance that DAGSTER_HOME names, also where others are on record.",
)  # fmt: skip
def init(*, adopt: bool) -> None:
    """Set up the warehouse: its tables, its catalogue, and on record which study and Dagster instance it belongs to."""
    from bioalign_assets.execution.instance import adopt as put_on_record
    from bioalign_assets.execution.instance import dagster_home, open_instance, see_that_it_belongs

    settings = Settings.from_environment()
    load_study(settings.study)
    if adopt:
        put_on_record(settings.warehouse, study=settings.study, home=settings.dagster_home)
    else:
        see_that_it_belongs(settings.warehouse, study=settings.study)
        open_instance(settings.warehouse)
    rebuild_catalogue(Tables(settings.warehouse))
    click.echo(f"Warehouse {settings.warehouse}")
    click.echo(f"  study: {settings.study}")
    click.echo(f"  Dagster instance (DAGSTER_HOME): {dagster_home(settings.warehouse)}")


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON, sizes in bytes.")
def doctor(*, as_json: bool) -> None:
    """Tell what this machine has, what the study's models need, and how to mend what is missing (exit status 1)."""
    from bioalign_assets.doctor.checkup import check_up
    from bioalign_assets.doctor.output import checkup_for_terminal

    settings = Settings.from_environment()
    checkup = check_up(load_study(settings.study), settings=settings)
    if as_json:
        click.echo(json.dumps(checkup.to_json(), indent=2))
    else:
        Console().print(checkup_for_terminal(checkup), highlight=False)
    if not checkup.can_run:
        click.get_current_context().exit(1)


@cli.command()
@click.option(
    "--move", "moved", metavar="NAME", multiple=True,
    help="Take what the study names for this model as it is now (commit, folder); may be given several times.",
)  # fmt: skip
@click.option(
    "--take", "taken", metavar="NAME=PATH", multiple=True, callback=_paths_by_name,
    help="Take this folder or GGUF file in the place of a model from the hub; may be given several times.",
)  # fmt: skip
def models(*, moved: Sequence[str], taken: Mapping[str, Path]) -> None:
    """List the base models with the commit or content that each is held at, and change those that are asked for."""
    from bioalign_assets.execution.base_models import move_models, take_models
    from bioalign_assets.execution.output import models_table

    both = sorted({*moved} & taken.keys())
    if both:
        raise click.UsageError(f"{', '.join(both)}: either --move or --take.")
    keep_terminal()
    settings = Settings.from_environment()
    study = load_study(settings.study)
    console = _console()
    steps = []
    if moved or taken:
        workplace = _workplace(adopt=False)
        steps += _told(move_models(workplace, names=moved), console=console)
        steps += _told(take_models(workplace, paths=taken), console=console)
    console.print(models_table(study, tables=Tables(settings.warehouse)))
    _raise_failed(steps, what="bioalign models")


@cli.command()
def leaderboard() -> None:
    """Print whether the geometry agrees with the graph, and the leaderboard of the warehouse."""
    _print_leaderboard(Settings.from_environment(), console=_console())


@cli.command()
@click.option("--open", "opens", is_flag=True, help="Open it in the browser too.")
def report(*, opens: bool) -> None:
    """Print where the report lies: one HTML page on the whole study, readable without a network."""
    settings = Settings.from_environment()
    page = newest_page(settings.warehouse)
    if not page.is_file():
        raise BioAlignError(
            f"Report in {settings.warehouse}", found="no page", expected="a study that has run",
            remedy="Run `make demo` (or `bioalign demo`) first, or materialise report/study.",
        )  # fmt: skip
    click.echo(str(page))
    if opens and not webbrowser.open(page.as_uri()):
        raise BioAlignError(
            str(page), found="no browser on this machine", expected="one to open the page with",
            remedy="Copy the file to a machine that has one: it needs nothing else.",
        )  # fmt: skip


@cli.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@_ADOPT
@click.pass_context
def dev(context: click.Context, *, adopt: bool) -> None:
    """Open the Dagster UI (webserver and daemon) over the warehouse; options go to ``dagster dev``."""
    from bioalign_assets.execution.dev_server import serve, workspace_file
    from bioalign_assets.execution.instance import dagster_home
    from bioalign_assets.execution.uses import prepared

    workplace = _workplace(adopt=adopt)  # an error in the study file is told here, not in the UI's log
    settings = workplace.settings
    instance = prepared(workplace.study, settings=settings)
    environment = os.environ | {"DAGSTER_HOME": str(dagster_home(settings.warehouse))}
    with workspace_file() as workspace:
        arguments = ["-w", str(workspace), *context.args]
        status = serve(arguments, environment=environment, instance=instance)
    context.exit(status)


@cli.command()
@click.option("--older-than-hours", default=_TWO_WEEKS_H, show_default=True, type=click.IntRange(min=0))
@click.option("--dry-run", is_flag=True, help="Tell what would be removed, and remove nothing.")
def vacuum(older_than_hours: int, *, dry_run: bool) -> None:
    """Remove what nothing has needed for two weeks: old versions, adapters, models, reports, raw files, runs."""
    from bioalign_assets.definitions import build_defs
    from bioalign_assets.execution.instance import belonging_of, open_instance, see_that_it_belongs
    from bioalign_assets.execution.vacuum import Place, unneeded
    from bioalign_assets.freshness.partition_graph import PartitionGraph

    settings = Settings.from_environment()
    see_that_it_belongs(settings.warehouse, study=settings.study, records=False)
    graph = instance = None
    if belonging_of(settings.warehouse) is not None:
        study = load_study(settings.study)
        graph = PartitionGraph(build_defs(settings=settings, study=study).resolve_asset_graph())
        instance = open_instance(settings.warehouse)
    place = Place(
        tables=Tables(settings.warehouse), older_than_h=older_than_hours, graph=graph, instance=instance,
        now=time.time(),
    )  # fmt: skip
    found = unneeded(place)
    for kind, things in found.items():
        if things:
            click.echo(f"{kind}: {len(things)}, {_megabytes(sum(thing.bytes for thing in things))}")
        for thing in things:
            click.echo(f"  {thing.name}: {_megabytes(thing.bytes)}")
    every = [thing for things in found.values() for thing in things]
    for thing in [] if dry_run else every:
        thing.remove()
    total = _megabytes(sum(thing.bytes for thing in every))
    click.echo(f"{total} to be freed; nothing was removed (--dry-run)" if dry_run else f"{total} freed")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


@cli.command()
@click.argument("query", required=False)
@click.option("--csv", "as_csv", is_flag=True, help="Print rows as CSV, all of them.")
def sql(query: str | None, *, as_csv: bool) -> None:
    """Ask the warehouse in SQL, read-only: one QUERY, or statements typed or piped in, each ended by a semicolon."""
    settings = Settings.from_environment()
    with open_catalogue(settings.warehouse) as connection:
        if query is None and not sys.stdin.isatty():
            query = sys.stdin.read()
        if query is not None:
            for answer in answers(connection, query, as_csv=as_csv):
                click.echo(answer)
        else:
            converse(connection, as_csv=as_csv)


@cli.command()
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--as-of", type=click.DateTime(), help="The tables as they were at this moment (UTC), not as they are."
)
@click.option("--dataset", help="Write this dataset as the paper's CSV files into the folder TARGET instead.")
@click.option(
    "--adapter", "variant", metavar="VARIANT",
    help="Write the adapter of this variant, <model>@<experiment>, into the new folder TARGET instead: with tokenizer, "
    "model card, and a base that no hub has.",
)  # fmt: skip
@click.option("--merged", is_flag=True, help="With --adapter: base and adapter as one model.")
def export(
    target: Path, *, as_of: datetime | None, dataset: str | None, variant: str | None, merged: bool
) -> None:
    """Write all tables into one DuckDB file TARGET, to hand on or to keep; or one dataset, or one trained variant."""
    settings = Settings.from_environment()
    tables = Tables(settings.warehouse)
    if merged and variant is None:
        raise click.UsageError("--merged goes with --adapter.")
    if variant is not None:
        if as_of is not None or dataset is not None:
            raise click.UsageError("--adapter goes with neither --as-of nor --dataset.")
        _export_variant(variant, to=target, merged=merged, settings=settings, tables=tables)
        return
    if dataset is not None:
        if as_of is not None:
            raise click.UsageError("--as-of goes with a DuckDB file, not with --dataset.")
        pairs = tables.read(TABLES["curation.pairs"], partitions=[dataset])
        for name, rows in write_paper_files(pairs, folder=target).items():
            click.echo(f"{target / name}: {rows:,} rows")
        return
    counts = export_database(tables, to=target, as_of=as_of.replace(tzinfo=UTC) if as_of else None)
    for name, rows in counts.items():
        click.echo(f"{name}: {rows:,} rows")
    click.echo(f"{target}: {target.stat().st_size / 1e6:,.1f} MB")


@cli.command()
@click.option("--variant", required=True, help="The model to ask, as <model>@<experiment>.")
@click.option("--prompt", help="unseen or training; the study's first prompt by default.")
@click.option(
    "--file", "pairs_file", type=click.Path(path_type=Path), help="Score the pairs of this CSV file."
)
@click.option(
    "--nearest", default=3, show_default=True, type=click.IntRange(min=0), help="Known pairs to find nearby."
)
@click.option("--csv", "as_csv", is_flag=True, help="Print rows as CSV.")
@click.argument("gene", required=False)
@click.argument("disease", required=False)
def score(
    *, variant: str, prompt: str | None, pairs_file: Path | None, nearest: int, as_csv: bool, gene: str | None,
    disease: str | None,
) -> None:  # fmt: skip
    """Ask a variant how true it finds that GENE is associated with DISEASE, and show what CTD knows."""
    from bioalign_assets.lookup.asking import asked_variant
    from bioalign_assets.lookup.output import pairs_csv, pairs_for_terminal
    from bioalign_assets.lookup.score import read_pairs, score_pairs

    if (pairs_file is None) == (gene is None or disease is None):
        raise click.UsageError("Give GENE and DISEASE, or --file with a CSV file of them.")
    if pairs_file is not None and gene is not None:
        raise click.UsageError("Give GENE and DISEASE, or --file, not both.")
    keep_terminal()
    settings = Settings.from_environment()
    pairs = read_pairs(pairs_file) if pairs_file is not None else [(gene or "", disease or "")]
    with asked_variant(
        variant, study=load_study(settings.study), tables=Tables(settings.warehouse), prompt=prompt
    ) as asked:
        scored = score_pairs(pairs, asked=asked, nearest=nearest)
        if as_csv:
            click.echo(pairs_csv(scored))
        else:
            _console().print(pairs_for_terminal(scored, asked=asked), highlight=False)


@cli.command()
@click.option("--variant", required=True, help="The model to ask, as <model>@<experiment>.")
@click.option("--disease", required=True, help="Name or identifier of the disease.")
@click.option(
    "--top", default=20, show_default=True, type=click.IntRange(min=1), help="How many genes to show."
)
@click.option("--prompt", help="unseen or training; the study's first prompt by default.")
@click.option("--csv", "as_csv", is_flag=True, help="Print rows as CSV.")
def candidates(*, variant: str, disease: str, top: int, prompt: str | None, as_csv: bool) -> None:
    """Rank the genes that CTD has not curated for a disease by what a variant says, beside their popularity."""
    from bioalign_assets.lookup.asking import asked_variant
    from bioalign_assets.lookup.candidates import rank_candidates
    from bioalign_assets.lookup.output import candidates_csv, candidates_for_terminal

    keep_terminal()
    settings = Settings.from_environment()
    with asked_variant(
        variant, study=load_study(settings.study), tables=Tables(settings.warehouse), prompt=prompt
    ) as asked:
        found = rank_candidates(disease, asked=asked, top=top)
        if as_csv:
            click.echo(candidates_csv(found))
        else:
            _console().print(candidates_for_terminal(found, asked=asked), highlight=False)


@cli.command()
@click.option("--check", is_flag=True, help="Change nothing; fail if a page is not as it would be written.")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path("docs"))
def docs(folder: Path, *, check: bool) -> None:
    """Write the pages that are generated: the data dictionary and the metrics."""
    from bioalign_assets.evaluation.metric_page import metric_page  # it loads scikit-learn

    for name, text in {"data_dictionary.md": data_dictionary(), "metrics.md": metric_page()}.items():
        page = folder / name
        if not check:
            page.write_text(text, encoding="utf-8")
        elif not page.is_file() or page.read_text(encoding="utf-8") != text:
            raise BioAlignError(
                str(page), found="another text than the code gives", expected="the generated one",
                remedy="Run: bioalign docs",
            )  # fmt: skip


def _export_variant(key: str, *, to: Path, merged: bool, settings: Settings, tables: Tables) -> None:
    from bioalign_assets.definitions import build_defs
    from bioalign_assets.export.adapter_folder import export_variant
    from bioalign_assets.export.stale_figures import stale_figures

    keep_terminal()
    study = load_study(settings.study)
    assets = build_defs(settings=settings, study=study).resolve_asset_graph()
    stale = stale_figures(study.variant(key), study=study, assets=assets, warehouse=settings.warehouse)
    export_variant(key, to=to, merged=merged, study=study, tables=tables, stale=stale)
    for why in stale:
        click.echo(f"stale, and said so in the model card: {why}", err=True)
    size = sum(path.stat().st_size for path in to.rglob("*") if path.is_file())
    click.echo(f"{to}: {size / 1e6:,.1f} MB; its README.md says how to load it")


def _workplace(*, adopt: bool) -> "Workplace":
    """Return what it takes to make the study of the environment.

    :param adopt: whether the warehouse is to belong to it from now on
    """
    from bioalign_assets.definitions import build_defs
    from bioalign_assets.execution.instance import adopt as put_on_record
    from bioalign_assets.execution.instance import belonging_of
    from bioalign_assets.execution.processes import Workplace

    settings = Settings.from_environment()
    study = load_study(settings.study)
    if adopt:
        before = belonging_of(settings.warehouse)
        home = Path(before.home) if before is not None and before.home is not None else None
        put_on_record(settings.warehouse, study=settings.study, home=home)
    return Workplace(study=study, settings=settings, build=build_defs)


def _told(walking: Iterator["Step"], *, console: Console) -> list["Step"]:
    """Print each step of a walk when it is done; return all."""
    steps = []
    with closing(walking):  # type: ignore[type-var]  # it is a generator
        for step in walking:
            console.print(step_line(step), highlight=False)
            steps.append(step)
    return steps


def _raise_failed(steps: Sequence["Step"], *, what: str) -> None:
    """Raise if a step failed; what it said was printed."""
    failed = [step for step in steps if step.outcome == "failed"]
    if len(failed) == 1 and failed[0].error is not None:
        raise failed[0].error
    if failed:
        raise BioAlignError(
            what, found=f"{len(failed)} of {len(steps)} steps failed: {', '.join(step.title for step in failed)}",
            expected="steps that succeed",
            remedy="What each said stands above. Mend that and run it again: what is finished stays. "
            f"The first: {failed[0].why}",
        )  # fmt: skip


def _console() -> Console:
    """Return a console wide enough for the leaderboard also where the output is no terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH)


def _print_leaderboard(settings: Settings, *, console: Console) -> None:
    rows = _leaderboard_rows(settings)
    if not rows:
        raise BioAlignError(
            f"Leaderboard in {settings.warehouse}", found="no rows", expected="a study that has run",
            remedy="Run `make demo` (or `bioalign demo`) first.",
        )  # fmt: skip
    _print_alignment(settings, console=console)
    rankings = list(dict.fromkeys((row["test_set"], row["prompt"]) for row in rows))
    for test_set, prompt in rankings:
        ranking = [row for row in rows if (row["test_set"], row["prompt"]) == (test_set, prompt)]
        if all(row["role"] == "baseline" for row in ranking):
            continue  # no model was asked there
        console.print(_ranking_table(ranking, test_set=test_set, prompt=prompt))
        console.print(_verdict(ranking), highlight=False)
        console.print()


def _print_alignment(settings: Settings, *, console: Console) -> None:
    """Print whether the geometry agrees with the graph; nothing where that was not measured."""
    with open_catalogue(settings.warehouse) as connection:
        alignment = catalogued_alignment(connection)
    table = alignment_table(alignment)
    if table is not None:
        console.print(table)
        console.print(alignment_verdict(alignment), highlight=False, markup=False)
        console.print()


def _leaderboard_rows(settings: Settings) -> list[dict[str, Any]]:
    if not own_catalogue_path(settings.warehouse).is_file():
        return []
    with open_catalogue(settings.warehouse) as connection:
        rows: list[dict[str, Any]] = connection.sql(_LEADERBOARD).to_arrow_table().to_pylist()
    return rows


def _ranking_table(ranking: Sequence[dict[str, Any]], *, test_set: str, prompt: str | None) -> Table:
    asked = {"unseen": "unseen prompt", "training": "training prompt", None: "no prompt"}[prompt]
    table = Table(
        title=f"Leaderboard: test set {test_set}, {asked}", title_justify="left", box=box.SIMPLE_HEAD
    )
    table.add_column("rank", justify="right", no_wrap=True)
    for name in ("model", "experiment", "role"):
        table.add_column(name, no_wrap=True)
    for name in (r"AUROC \[95%]", r"accuracy \[95%]", "n"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("> popularity", no_wrap=True)
    for row in ranking:
        beats = {True: "yes", False: "no", None: ""}[row["is_above_popularity"]]
        table.add_row(
            str(row["rank"]), row["model"], row["experiment"], row["role"],
            _interval(row, "auroc"), _interval(row, "accuracy"), f"{row['n']:,}", beats,
        )  # fmt: skip
    return table


def _interval(row: dict[str, Any], name: str) -> str:
    return rf"{row[name]:.3f} \[{row[f'{name}_ci_low']:.3f}, {row[f'{name}_ci_high']:.3f}]"


def _verdict(ranking: Sequence[dict[str, Any]]) -> str:
    """Say plainly whether a tuned model beats counting how often names occur."""
    tuned = [row for row in ranking if row["role"] == "tuned"]
    better = [f"{row['model']}@{row['experiment']}" for row in tuned if row["is_above_popularity"]]
    if not tuned:
        return "No tuned model has been asked yet."
    if better:
        return f"Above the popularity baseline, interval and all: {', '.join(better)}."
    return (
        f"None of {len(tuned)} tuned variants beats the popularity baseline, "
        "which only counts how often a gene and a disease occur among the training positives."
    )


def _times_table(times: Sequence[Any], *, in_runs: float, wall: float, at_once: int) -> Table:
    table = Table(title="Where the time went", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("stage")
    table.add_column("steps", justify="right")
    table.add_column("seconds", justify="right")
    for stage in times:
        table.add_row(stage.stage, str(stage.steps), f"{stage.seconds:.1f}")
    spent = sum(stage.seconds for stage in times)
    table.add_row("Dagster between the steps", "", f"{in_runs - spent:.1f}", style="dim")
    steps = str(sum(stage.steps for stage in times))
    if at_once > 1:
        table.add_row("all, one after another", steps, f"{in_runs:.1f}", style="dim")
    table.add_row(
        f"all, {at_once} runs at once" if at_once > 1 else "all", steps, f"{wall:.1f}", style="bold"
    )
    return table


def _where_next(settings: Settings) -> str:
    shown = settings.warehouse
    if shown.is_relative_to(Path.cwd()):
        shown = shown.relative_to(Path.cwd())
    query = (
        f"import duckdb; print(duckdb.connect('{shown / 'bioalign.duckdb'}', read_only=True)"
        ".sql('from report.leaderboard'))"
    )
    return f"""Where to look next
  the report, one HTML page:   {newest_page(shown)}    (or: bioalign report --open)
  the runs, plots and checks:  make dev              (or: bioalign dev)
  the tables, in SQL:          .venv/bin/python -c "{query}"
  what every column means:     docs/data_dictionary.md
"""


def main() -> None:
    """Run the command line; an error that the user can mend is one paragraph."""
    # Libraries speak of their own future on import; errors of ours are raised, not warned of
    warnings.simplefilter("ignore")
    status = _run()
    # At a normal exit torch and DuckDB are torn down in an order that prints pages of "nanobind: leaked ...".
    # All work is committed by now, so the process may leave at once.
    with suppress(BrokenPipeError):  # who read it, as head does, has enough
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


def _run() -> int:
    """Run the command line; return the exit status."""
    try:
        _refuse_windows()
        status = cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped. What was finished is kept; run it again to go on.", err=True)
        return 130
    except BrokenPipeError:
        return 1  # who read what it prints, as head does, has enough
    except Exception as error:  # noqa: BLE001 - all that is left: told where a person can mend it
        told = _told_to_a_person(error)
        if told is None:  # an error of ours: the traceback is what helps then
            traceback.print_exc()
            return 2
        click.secho(f"\n{told}", err=True, fg="red")
        return 1
    return status if isinstance(status, int) else 0  # what a command gave to Context.exit


def _told_to_a_person(error: Exception) -> str | None:
    """Return what to tell of an error that a person can mend; None for any other."""
    if isinstance(error, BioAlignError):
        return str(error)
    if isinstance(error, duckdb.Error):
        return f"DuckDB: {error}"
    told = disk_error(error, folder=Settings.from_environment().warehouse)
    return None if told is None else str(told)


def _refuse_windows() -> None:
    """Raise where the locks and processes that runs are told by are not there; they are imported after this."""
    if platform.system() == "Windows":
        raise BioAlignError(
            "This machine", found="Windows", expected="Linux or macOS",
            remedy="Run BioAlign in the Windows Subsystem for Linux (wsl --install), or in a Linux container.",
        )  # fmt: skip


if __name__ == "__main__":
    main()
