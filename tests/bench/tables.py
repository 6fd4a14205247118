"""Tables as text for a terminal, or as Markdown."""

import textwrap

WIDTH = 99


class Table:
    """columns are (heading, is_text); a cell is text, and None a visible "-"."""

    def __init__(self, title, columns):
        self.title, self.columns = title, columns
        self.rows, self.notes = [], []

    def add(self, *cells):
        self.rows.append(["-" if cell is None else str(cell) for cell in cells])

    def note(self, text):
        self.notes.append(text)

    def text(self):
        headings = [heading for heading, _ in self.columns]
        widths = [max(map(len, column)) for column in zip(headings, *self.rows)]

        def line(cells):
            parts = [cell.ljust(width) if is_text else cell.rjust(width)
                     for cell, width, (_, is_text) in zip(cells, widths, self.columns)]
            return "  ".join(parts).rstrip()
        lines = [self.title, "", *("  " + line(row) for row in [headings, *self.rows])]
        for note in self.notes:
            lines += textwrap.wrap(note, WIDTH, initial_indent="  ", subsequent_indent="    ")
        return "\n".join(lines) + "\n"

    def markdown(self):
        def line(cells):
            return "| " + " | ".join(cells) + " |"
        lines = [f"**{self.title}**", "", line([heading for heading, _ in self.columns]),
                 line(["---" if is_text else "---:" for _, is_text in self.columns]),
                 *map(line, self.rows)]
        if self.notes:
            lines += ["", *(note + "<br>" for note in self.notes[:-1]), self.notes[-1]]
        return "\n".join(lines) + "\n"


def number(value, decimals):
    return None if value is None else f"{value:.{decimals}f}"


def verdict(value, bound, decimals):
    """How a figure stands to its bound, as printed: to so many decimals."""
    if value is None:
        return "-"
    return f"{'ok' if round(value, decimals) <= bound else 'above'}, {bound:g}"
