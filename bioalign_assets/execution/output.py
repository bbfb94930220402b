"""How a walk and the state of the warehouse look in a terminal."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.table import Table

from bioalign_assets.ctd.refused_releases import kept_aside
from bioalign_assets.models.resolved import held_models
from bioalign_assets.settings import Settings
from bioalign_assets.study import Study
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets.warehouse.tables import Tables

if TYPE_CHECKING:  # the commands that need neither start without Dagster
    from bioalign_assets.execution.walk import Step
    from bioalign_assets.freshness.stale import PartitionState

__all__ = [
    "models_table",
    "refused_releases",
    "release_remarks",
    "status_summary",
    "status_table",
    "step_line",
    "steps_summary",
]

_STYLES = {"fresh": "green", "stale": "yellow", "missing": "dim"}
_WORDS = {
    "made": "[green]made[/green]            ",
    "same": "[green]rerun, as before[/green]",
    "changed": "[green]rerun, changed[/green]  ",
    "failed": "[red]failed[/red]          ",
    "waits": "[yellow]waits[/yellow]           ",
    "looked": "looked          ",
}


def step_line(step: "Step") -> str:
    """Return one step of a walk as a line."""
    seconds = f"{step.seconds:6.1f} s" if step.seconds else "        "
    why = "" if step.outcome == "made" else f": {escape(step.why)}"
    return f"  {_WORDS[step.outcome]}  {seconds}  {escape(step.title)}{why}"


def steps_summary(steps: Sequence["Step"]) -> str:
    """Return in one line what a walk did."""
    count = Counter(step.outcome for step in steps)
    rerun = count["same"] + count["changed"]
    if not count.keys() - {"looked"}:
        return "Everything that was built is fresh."
    parts = [f"{count['made']} made"] if count["made"] else []
    parts += [f"{rerun} rerun ({count['changed']} of them came out different)"] if rerun else []
    parts += [f"{count[outcome]} {outcome}" for outcome in ("failed", "waits") if count[outcome]]
    return f"In all: {', '.join(parts)}."


def status_table(states: Sequence["PartitionState"], *, only_stale: bool) -> Table:
    """Return the state of every asset partition as a table."""
    table = Table(title="Asset partitions", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("asset", no_wrap=True)
    table.add_column("partition", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("why", overflow="fold")
    for (asset, partition), state, why in states:
        if not (only_stale and state == "fresh"):
            style = _STYLES[state]
            table.add_row(asset, partition or "", f"[{style}]{state}[/{style}]", escape(why))
    return table


def status_summary(states: Sequence["PartitionState"]) -> str:
    """Return the counts in one line, and what to do about what is stale."""
    count = Counter(row.state for row in states)
    line = f"{count['fresh']} fresh, {count['stale']} stale, {count['missing']} missing (never built)."
    return f"{line} `bioalign refresh` reruns what is stale." if count["stale"] else line


def refused_releases(settings: Settings) -> list[str]:
    """Return a line for each refused release that nobody has accepted."""
    return [
        f"[yellow]Refused release[/yellow] {refused.sha256:.16}, kept aside in {escape(str(refused.path))}: "
        f"{escape(refused.why)}"
        for refused in kept_aside(settings.warehouse / "raw")
        if refused.accepted_at is None
    ]


def release_remarks(settings: Settings) -> list[str]:
    """Return a line for each remark on the release in force."""
    rows = Tables(settings.warehouse).stored_rows(TABLES["ctd.release"]).to_pylist()
    return [
        f"[yellow]In the release in force[/yellow]: {escape(remark)}"
        for row in rows
        for remark in row["remarks"] or []
    ]


def models_table(study: Study, *, tables: Tables) -> Table:
    """Return the base models of a study with the commit that each is held at."""
    rows = held_models(tables, specs=study.models)
    table = Table(title="Base models", title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("model", "from", "revision in the study file", "held at"):
        table.add_column(name, overflow="fold")
    for name, spec in study.models.items():
        row = rows.get(name)
        if spec.tiny is not None:
            table.add_row(name, f"built here ({spec.tiny})", "", "")
            continue
        origin = spec.path or spec.repo_id or ""
        held = "resolved when models/base runs"
        if row is not None:
            held = row.revision or f"SHA-256 {row.weights_sha256[:16]}"
            if row.origin is not None and spec.repo_id is not None:
                origin = f"{row.origin}, in the place of {spec.repo_id}"
        table.add_row(
            name, escape(origin), "" if spec.path is not None else escape(spec.revision), escape(held)
        )
    return table
