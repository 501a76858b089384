"""Tables as plain text, for the terminal."""

from collections.abc import Sequence

from experiments.report.page import Cell, Table


def aligned(rows: Sequence[Sequence[str]]) -> str:
  """Rows of text, the first of them headings, in columns.

  Args:
    rows: all of one length; the first column is aligned left, others right.
  """
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  lines = [
    '  '.join(
      cell.ljust(width) if i == 0 else cell.rjust(width)
      for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    for row in rows
  ]
  return '\n'.join([lines[0], '-' * len(lines[0]), *lines[1:]])


def table(shown: Table) -> str:
  """A report's table; * marks the best, ~ what is not told apart from it."""
  rows = [list(shown.columns)]
  rows += [[_text(cell) for cell in row] for row in shown.rows]
  legend = ''
  if any('*' in cell or '~' in cell for row in rows for cell in row[1:]):
    legend = '\n*: best; ~: not told apart from the best'
  return f'{shown.caption}\n\n{aligned(rows)}{legend}'


def _text(cell: Cell | str) -> str:
  if isinstance(cell, str):
    return cell
  # A blank keeps the digits of marked and unmarked cells below each other.
  return cell.text + ('*' if cell.bold else '~' if cell.tied else ' ')
