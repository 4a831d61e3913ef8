"""Shows a verification to people."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from firstclick.core.printable import printable
from firstclick.verify.findings import Finding, Verification


def show(found: Verification, console: Console) -> None:
    """Print a verification: a heading, a table of relations, then the differences."""
    style, word = ("bold green", "equal") if found.equal else ("bold red", "differs")
    console.print(
        Text.assemble(
            (word, style), f"  {found.target} at {found.at:%Y-%m-%d %H:%M:%S.%f %Z}"
        )
    )
    if found.recomputed is None:
        console.print(
            f"{found.target} keeps no SQL to recompute by: only the sample was compared"
        )
    console.print(_table(found))
    console.print(Text(f"seed {found.seed}, {found.seconds:.1f} s", "dim"))
    for problem in found.triggers:
        console.print(
            Text.assemble(
                ("problem: ", "bold red"),
                printable(problem),
                ", so it misses changes; run `dbt run`, or `firstclick up` again",
            ),
            soft_wrap=True,
        )
    difference = found.first_difference
    if difference is not None:
        console.print(
            Text.assemble(("problem: ", "bold red"), printable(str(difference))),
            soft_wrap=True,
        )


def _table(found: Verification) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("\nrelation")
    for heading in ("recomputed\nrows", "\ndiffer", "sampled\nrows", "\ndiffer"):
        table.add_column(heading, justify="right")
    recomputed = {finding.relation: finding for finding in found.recomputed or []}
    sampled = {finding.relation: finding for finding in found.sampled}
    for relation in {**recomputed, **sampled}:
        table.add_row(
            relation, *_cells(recomputed.get(relation)), *_cells(sampled.get(relation))
        )
    return table


def _cells(finding: Finding | None) -> tuple[Text, Text]:
    if finding is None:
        return Text("-", "dim"), Text("")
    differing = Text(f"{finding.differing:,}", "red" if finding.differing else "green")
    return Text(f"{finding.compared:,}"), differing
