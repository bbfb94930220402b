"""How a check-up looks in a terminal, from 80 columns on."""

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bioalign_assets.doctor.checkup import Checkup
from bioalign_assets.doctor.machine import Line
from bioalign_assets.doctor.models import ModelNeeds
from bioalign_assets.models.needs import gigabytes

__all__ = ["checkup_for_terminal"]

_MARKS = {"ok": "[green]ok[/green]", "note": "[yellow]note[/yellow]", "missing": "[red]no[/red]"}


def checkup_for_terminal(checkup: Checkup) -> Group:
    """Return the check-up as two tables and a verdict."""
    return Group(
        _machine_table([*checkup.machine, checkup.downloads]),
        _models_table(checkup),
        Text(""),
        Text.from_markup(_verdict(checkup)),
    )


def _machine_table(lines: list[Line]) -> Table:
    table = Table(title="This machine", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("", no_wrap=True)
    table.add_column("what", no_wrap=True)
    table.add_column("found, and how to mend it", overflow="fold")
    for line in lines:
        mend = f"\n[dim]{escape(line.mend)}[/dim]" if line.mend else ""
        table.add_row(_MARKS[line.state], line.what, escape(line.found) + mend)
    return table


def _models_table(checkup: Checkup) -> Table:
    table = Table(
        title=f"Models of the study: {escape(checkup.study)}", title_justify="left", box=box.SIMPLE_HEAD
    )
    table.add_column("", no_wrap=True)
    table.add_column("model", no_wrap=True)
    for name in ("to fetch", "training", "scoring"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("runs here", overflow="fold")
    for model in checkup.models:
        problems = checkup.obstacles[model.model]
        table.add_row(
            _MARKS["missing" if problems else "ok"], model.model, _fetched(model),
            "none" if model.training_bytes == 0 else _size(model.training_bytes), _size(model.scoring_bytes),
            escape("; ".join(problems)) if problems else "yes",
        )  # fmt: skip
    return table


def _fetched(model: ModelNeeds) -> str:
    return "here" if model.is_here else _size(model.download_bytes)


def _size(count: int | None) -> str:
    return "not known" if count is None else gigabytes(count)


def _verdict(checkup: Checkup) -> str:
    memory = "Sizes are estimates from the architectures (docs/models.md); training and scoring: memory."
    if checkup.can_run:
        return f"{memory}\n[green]The study can run on this machine.[/green]"
    stuck = [name for name, problems in checkup.obstacles.items() if problems]
    what = f" ({len(stuck)} of {len(checkup.models)} models can't)" if stuck else ""
    return f"{memory}\n[red]The study can't run whole on this machine{what}: mend what is marked no.[/red]"
