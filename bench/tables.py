"""Render a table for the terminal and for the docs."""

import textwrap
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table as RichTable

#: Length of the docs' lines.
WIDTH = 118


@dataclass
class Table:
    """Rows of text under headings; every column but the first holds figures."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """Render it as Markdown."""
        lines = [f"**{self.title}**", "", _row(self.columns)]
        lines.append("|" + "|".join([" --- ", *(" ---: " for _ in self.columns[1:])]) + "|")
        lines += [_row(row) for row in self.rows]
        lines += [line for note in self.notes for line in ("", textwrap.fill(note, WIDTH))]
        return "\n".join(lines) + "\n"

    def show(self, console: Console) -> None:
        """Print it on a terminal."""
        table = RichTable(title=self.title, title_justify="left")
        for number, column in enumerate(self.columns):
            table.add_column(column, justify="right" if number else "left")
        for row in self.rows:
            table.add_row(*row)
        console.print(table)
        for note in self.notes:
            console.print(note, style="dim")


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"
