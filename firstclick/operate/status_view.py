"""Shows a status to people."""

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from firstclick.core.engines import ENGINES
from firstclick.core.printable import printable
from firstclick.operate.status import Status


def show(found: Status, console: Console) -> None:
    """Print the status: a heading, tables, then a line for each problem and warning."""
    console.print(_heading(found))
    if found.processes:
        console.print(_processes(found))
    if found.topics:
        console.print(_topics(found))
    if found.partitions:
        console.print(_partitions(found))
    for problem in found.problems:
        console.print(Text.assemble(("problem: ", "bold red"), printable(problem)))
    for warning in found.warnings:
        console.print(Text.assemble(("warning: ", "bold yellow"), printable(warning)))


def _heading(found: Status) -> Group:
    style = "bold green" if found.healthy else "bold red"
    word = "healthy" if found.healthy else "not healthy"
    embedded = found.target == "embedded"
    where = f"{found.phase} in {found.home}" if embedded else f"on {found.target}"
    lines = [Text.assemble((word, style), f"  {where}")]
    if found.kafka:
        engine = ENGINES[found.target].title
        lines.append(Text(f"Kafka {found.kafka}  {engine} {found.postgres or '?'}"))
    return Group(*lines)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right")
    return table


def _processes(found: Status) -> Table:
    table = _table("\nprocess", "\npid", "\nrestarts", "\n")
    for process in found.processes:
        table.add_row(
            process.name,
            str(process.pid) if process.running else "-",
            str(process.restarts),
            "" if process.running else Text("does not run", "red"),
        )
    return table


def _topics(found: Status) -> Table:
    table = _table(
        "\ntopic", "\naccepted", "\nrejected", "\nnewest event", "\nlag", "\nfreshness"
    )
    for topic in found.topics:
        newest = topic.newest_event_time
        table.add_row(
            topic.topic,
            f"{topic.accepted:,}",
            f"{topic.rejected:,}",
            "-" if newest is None else f"{newest:%Y-%m-%d %H:%M:%S}",
            _number(topic.lag_messages),
            "-"
            if topic.freshness_seconds is None
            else f"{topic.freshness_seconds:.2f} s",
        )
    if found.unpublished_checkouts is not None:
        table.caption_justify = "left"
        table.caption = f"{found.unpublished_checkouts:,} changes to publish"
    return table


def _partitions(found: Status) -> Table:
    table = _table("\npartition", "\nin Kafka", "\nin the tables", "\nlag")
    for partition in found.partitions:
        table.add_row(
            f"{partition.topic} {partition.partition}",
            _number(partition.in_kafka),
            _number(partition.in_tables),
            _number(partition.lag),
        )
    return table


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
