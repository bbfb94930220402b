"""How a rehearsal looks in a terminal."""

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bioalign_assets.models.needs import gigabytes
from bioalign_assets.rehearsal.play import Rehearsed

__all__ = ["rehearsed_for_terminal"]


def rehearsed_for_terminal(rehearsed: Rehearsed) -> Group:
    """Return what ran, what the real thing needs, and what would fail and why."""
    table = Table(title="Rehearsal", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("model", no_wrap=True)
    table.add_column("played by", overflow="fold")
    for name in ("variants that ran", "to fetch", "training", "training, roomy", "answering"):
        table.add_column(name, justify="right")
    for each in rehearsed.models:
        style = "green" if each.ran == each.variants else "red"
        needs = each.needs
        sizes = (
            [needs.fetched_bytes, needs.training_bytes, needs.roomy_bytes, needs.scoring_bytes]
            if needs
            else [None] * 4
        )
        table.add_row(
            each.model, escape(each.plays), f"[{style}]{each.ran} of {each.variants}[/{style}]",
            *("" if needs is None else "?" if size is None else gigabytes(size) if size else "-" for size in sizes),
        )  # fmt: skip
    lines: list[Table | Text] = [table]
    lines.append(
        Text(
            "Memory of a card, estimated from the real configuration and the samples' true lengths; roomy: with "
            "activations kept, which is faster.",
            style="dim",
        )
    )
    lines += [
        Text.from_markup(f"[red]would fail[/red]  {escape(problem.what)}: {escape(problem.why)}")
        for problem in rehearsed.problems
    ]
    verdict = (
        "[green]All of the study would run.[/green]"
        if rehearsed.would_run
        else "[red]The study would not run whole.[/red]"
    )
    lines.append(Text.from_markup(f"{verdict} Rehearsed in {rehearsed.seconds:.0f} s."))
    return Group(*lines)
