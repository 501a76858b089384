"""Tables as plain text, for the terminal."""

from collections.abc import Sequence

import tabulate

from experiments.report import cells, page


def aligned(rows: Sequence[Sequence[str]]) -> str:
  """Rows of text, the first of them headings, in columns.

  Args:
    rows: all of one length; the first column is aligned left, others right.
  """
  headings, *body = rows
  return tabulate.tabulate(
    body,
    headings,
    tablefmt='simple',
    colalign=['left', *['right'] * (len(headings) - 1)],
    disable_numparse=True,
    preserve_whitespace=True,
  )


def table(shown: page.Table) -> str:
  """A report's table; * marks the best, ~ what is not told apart from it."""
  rows = [
    list(shown.columns),
    *([_text(cell) for cell in row] for row in cells.rows_of(shown)),
  ]
  legend = cells.legend(shown).replace('bold', '*').replace(cells.TIE, '~')
  return '\n'.join(
    [f'{shown.caption}\n', aligned(rows), *([legend] if legend else [])]
  )


def _text(cell: page.Cell) -> str:
  # A blank keeps the digits of marked and unmarked cells below each other.
  return cell.text + ('*' if cell.bold else '~' if cell.tied else ' ')
