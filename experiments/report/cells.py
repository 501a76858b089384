"""What all writers of reports know of a table, and the table as CSV."""

from collections.abc import Iterator, Sequence
import csv
import io
import math
import re
import urllib.parse

from experiments.report import page as page_lib

TIE = '≈'
_MISSING = ('', '-', '–', '—')


def rows_of(table: page_lib.Table) -> list[list[page_lib.Cell]]:
  return [
    [page_lib.Cell(cell) if isinstance(cell, str) else cell for cell in row]
    for row in table.rows
  ]


def columns_of(
  table: page_lib.Table,
) -> Iterator[tuple[str, list[page_lib.Cell]]]:
  """Each heading with the cells below it."""
  rows = rows_of(table)
  for number, heading in enumerate(table.columns):
    yield heading, [row[number] for row in rows]


def has_marks(table: page_lib.Table) -> bool:
  return any(cell.bold or cell.tied for row in rows_of(table) for cell in row)


def legend(table: page_lib.Table) -> str:
  """What the marks of a table mean; '' if it has none."""
  if not has_marks(table):
    return ''
  seeds = sorted({c.tied for row in rows_of(table) for c in row if c.tied})
  if not seeds:
    return 'bold: best'
  n = f'{seeds[0]} to {seeds[-1]}' if len(seeds) > 1 else f'{seeds[0]}'
  return (
    f'bold: best; {TIE}: not told apart from the best by a two-sided paired'
    f' t-test over seeds (n = {n}, p of at least {page_lib.SIGNIFICANCE:g}),'
    ' which is not to say that they are equal'
  )


def sort_key(cell: page_lib.Cell) -> float | str | None:
  """What a cell is sorted by: its value, its text, None where it has neither.

  Texts that are numbers have no value: to be sorted as numbers they need one.
  """
  if cell.value is not None:
    return None if math.isnan(cell.value) else float(cell.value)
  text = cell.text.strip()
  return None if text in _MISSING else text


def is_numeric(cells: Sequence[page_lib.Cell]) -> bool:
  """Whether a column is set as figures: most of what it shows has a value."""
  shown = [cell for cell in cells if cell.text.strip() not in _MISSING]
  return 2 * sum(cell.value is not None for cell in shown) > len(shown)


def address(link: str) -> str:
  """A link as it stands in a page; all but a web address is a path."""
  if re.match('https?://', link):
    return link
  return urllib.parse.quote(link)


def csv_text(table: page_lib.Table) -> str:
  """The texts, without marks, notes and links.

  After a column whose values are more than what its texts say, as that of
  '93.6 ± 1.7' is, stands one of the values.
  """
  columns = []
  for heading, cells in columns_of(table):
    columns.append([heading, *(cell.text for cell in cells)])
    if any(cell.value is not None and not _says_value(cell) for cell in cells):
      values = ['' if c.value is None else str(c.value) for c in cells]
      columns.append([f'{heading} (value)', *values])
  text = io.StringIO()
  csv.writer(text, lineterminator='\n').writerows(zip(*columns, strict=True))
  return text.getvalue()


def _says_value(cell: page_lib.Cell) -> bool:
  try:
    number = float(cell.text)
  except ValueError:
    return False
  # A nan equals none, its text does.
  return number == cell.value or str(number) == str(cell.value)
