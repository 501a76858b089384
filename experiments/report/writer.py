"""Writes a report: as an HTML page, as Markdown, and its tables as CSV.

The HTML page is one file that needs no other. The Markdown refers to the
pictures beside it.
"""

import base64
from collections.abc import Iterator, Sequence
import csv
import dataclasses
import io
import math
import pathlib
import re
from typing import Any
import urllib.parse

import jinja2
import markupsafe
from matplotlib import pyplot as plt

from experiments.report import page as page_lib
from sce_jax import files

_TIE = '≈'
_LEGEND = f'bold: best; {_TIE}: not told apart from the best'
_DPI = 130
# Inches in HTML, whatever the screen.
_CSS_DPI = 96
# So many headings are listed at the top of the HTML page.
_MANY_HEADINGS = 3
# Lines are broken in a column of longer texts.
_LONG_TEXT = 26
_MISSING = ('', '-', '–', '—')
# A file name that needs no quoting in a link.
_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9_.-]*')
# 93.6, 93.6 % or 93.6 ± 1.7, whose first part is the number.
_NUMBER = re.compile(
  r'([-+−]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(?:\s?%)?(?:\s?±\s?[\d.]+)?'
)
_STARTS_AS_NUMBER = re.compile(r'[-+−<>~±]?\s?[\d.∞]')
# What Markdown would take for more than text. An underline between letters
# and an ampersand by itself are none of it.
_MARKUP = re.compile(r'[\\`*\[\]<|~$]|(?<!\w)_|_(?!\w)|&(?=#?\w+;)')
# What would begin a heading, a quotation or a list.
_LINE_MARKUP = re.compile(r'(\d*)([.)]|[>+-]|#+)(?=\s)')


@dataclasses.dataclass(frozen=True)
class Written:
  """The files of a report.

  Attributes:
    html: report.html.
    markdown: report.md.
    tables: NAME.csv of each table, in the page's order.
    figures: NAME.png of each figure, in the page's order.
  """

  html: files.Path
  markdown: files.Path
  tables: list[files.Path]
  figures: list[files.Path]


def write(page: page_lib.Page, folder: files.Path) -> Written:
  """Writes a report into a folder, over one that is there.

  Each file is written whole or not at all, the pages after what they refer to.

  Args:
    page: the report; its drawings are closed.
    folder: made where it is missing.

  Returns:
    The files.

  Raises:
    ValueError: two tables or two figures have the same name, a name is none
      for a file, or a row has not a cell for each column. Nothing has been
      written then.
    OSError: a file cannot be written.
  """
  tables = [b for b in page.blocks if isinstance(b, page_lib.Table)]
  figures = [b for b in page.blocks if isinstance(b, page_lib.Figure)]
  _check_names('table', tables)
  _check_names('figure', figures)
  _check_rows(tables)
  pictures = {figure.name: picture(figure) for figure in figures}

  files.make_folder(folder)
  written = Written(
    html=folder / 'report.html',
    markdown=folder / 'report.md',
    tables=[folder / f'{table.name}.csv' for table in tables],
    figures=[folder / f'{figure.name}.png' for figure in figures],
  )
  for path, table in zip(written.tables, tables, strict=True):
    files.write(path, _csv(table).encode())
  for path, figure in zip(written.figures, figures, strict=True):
    files.write(path, pictures[figure.name]['png'])
  files.write(written.markdown, _markdown(page).encode())
  files.write(written.html, _html(page, pictures).encode())
  return written


def _check_names(
  kind: str, blocks: Sequence[page_lib.Table | page_lib.Figure]
) -> None:
  taken = set()
  for name in (block.name for block in blocks):
    if not _NAME.fullmatch(name):
      raise ValueError(f'{name!r} of a {kind} is no name for a file')
    if name in taken:
      raise ValueError(f'two {kind}s are named {name!r}')
    taken.add(name)


def _check_rows(tables: Sequence[page_lib.Table]) -> None:
  for table in tables:
    for row in table.rows:
      if len(row) != len(table.columns):
        raise ValueError(
          f'table {table.name!r} has {len(table.columns)} columns and a row of'
          f' {len(row)} cells'
        )


def picture(figure: page_lib.Figure) -> dict[str, Any]:
  """The PNG, and its size on a page in CSS pixels; closes the drawing."""
  png = io.BytesIO()
  figure.drawing.savefig(png, format='png', dpi=_DPI)
  width, height = figure.drawing.get_size_inches() * _CSS_DPI
  plt.close(figure.drawing)
  return {'png': png.getvalue(), 'width': round(width), 'height': round(height)}


# Tables, however they are written.


def _rows(table: page_lib.Table) -> list[list[page_lib.Cell]]:
  return [
    [page_lib.Cell(cell) if isinstance(cell, str) else cell for cell in row]
    for row in table.rows
  ]


def _columns(
  table: page_lib.Table,
) -> Iterator[tuple[str, list[page_lib.Cell]]]:
  """Each heading with the cells below it."""
  rows = _rows(table)
  for number, heading in enumerate(table.columns):
    yield heading, [row[number] for row in rows]


def _has_marks(table: page_lib.Table) -> bool:
  return any(cell.bold or cell.tied for row in _rows(table) for cell in row)


def _sort_key(cell: page_lib.Cell) -> float | str | None:
  """What a cell is sorted by: a number, its text, None where it has neither."""
  if cell.value is not None:
    return None if math.isnan(cell.value) else float(cell.value)
  text = cell.text.strip()
  if number := _NUMBER.fullmatch(text):
    return float(number[1].replace('−', '-'))
  return None if text in _MISSING else text


def _is_numeric(cells: Sequence[page_lib.Cell]) -> bool:
  """Whether a column is set as figures: most of it shows numbers.

  One of names is not, though they be sorted by a value.
  """
  shown = [cell for cell in cells if cell.text.strip() not in _MISSING]
  numbers = [
    cell
    for cell in shown
    if _NUMBER.fullmatch(cell.text.strip())
    or (cell.value is not None and _STARTS_AS_NUMBER.match(cell.text))
  ]
  return 2 * len(numbers) > len(shown)


def _address(link: str) -> str:
  """A link as it stands in a page; all but a web address is a path."""
  if re.match('https?://', link):
    return link
  return urllib.parse.quote(link)


# CSV


def _csv(table: page_lib.Table) -> str:
  """The texts, without marks, notes and links.

  After a column whose values are more than what its texts say, as that of
  '93.6 ± 1.7' is, stands one of the values.
  """
  columns = []
  for heading, cells in _columns(table):
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


# Markdown


def _markdown(page: page_lib.Page) -> str:
  parts = [f'# {_escape(page.title)}', _paragraph(page.summary)]
  facts = [f'- {_escape(name)}: {_escape(value)}' for name, value in page.facts]
  parts.append('\n'.join(facts))
  for block in page.blocks:
    if isinstance(block, page_lib.Figure):
      # A picture's text is not shown where the picture is.
      parts.append(f'![{_escape(block.caption)}]({block.name}.png)')
    parts.append(markdown(block))
    if isinstance(block, page_lib.Table):
      parts.append(f'[{block.name}.csv]({block.name}.csv)')
  return '\n\n'.join(part for part in parts if part) + '\n'


def markdown(block: page_lib.Block) -> str:
  """A block as Markdown that needs no file; of a figure its caption."""
  match block:
    case page_lib.Heading():
      return f'## {_escape(block.text)}'
    case page_lib.Text(warning=True):
      return f'> **Warning:** {_escape(block.text)}'
    case page_lib.Text():
      return _paragraph(block.text)
    case page_lib.Table():
      return '\n\n'.join(part for part in _markdown_table(block) if part)
    case page_lib.Figure():
      return _paragraph(block.caption)


def _markdown_table(table: page_lib.Table) -> list[str]:
  lines = [
    [_escape(heading) for heading in table.columns],
    ['--:' if _is_numeric(c) else ':--' for _, c in _columns(table)],
    *([_markdown_cell(cell) for cell in row] for row in _rows(table)),
  ]
  return [
    _paragraph(table.caption),
    '\n'.join(f'| {" | ".join(line)} |' for line in lines),
    _LEGEND if _has_marks(table) else '',
    _paragraph(table.note),
  ]


def _markdown_cell(cell: page_lib.Cell) -> str:
  text = _escape(cell.text)
  if cell.link and text:
    text = f'[{text}]({_address(cell.link)})'
  if cell.bold and text:
    text = f'**{text}**'
  return f'{text} {_TIE}' if cell.tied else text


def _escape(text: str) -> str:
  """A line that Markdown shows as it is."""
  return _MARKUP.sub(r'\\\g<0>', ' '.join(text.split()))


def _paragraph(text: str) -> str:
  line = _escape(text)
  start = _LINE_MARKUP.match(line)
  return f'{start[1]}\\{line[start.end(1) :]}' if start else line


# HTML


def _html(page: page_lib.Page, pictures: dict[str, dict[str, Any]]) -> str:
  environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
  )
  environment.filters['breakable'] = _breakable
  blocks = []
  slugs: set[str] = set()
  for block in page.blocks:
    shown: dict[str, Any] = {'is': type(block).__name__, 'block': block}
    match block:
      case page_lib.Heading():
        shown['slug'] = _slug(block.text, slugs)
        slugs.add(shown['slug'])
      case page_lib.Table():
        shown |= _html_table(block)
      case page_lib.Figure():
        shown |= pictures[block.name]
        shown['base64'] = base64.b64encode(shown['png']).decode()
    blocks.append(shown)
  headings = [shown for shown in blocks if shown['is'] == 'Heading']
  return environment.get_template('page.html.jinja').render(
    page=page,
    blocks=blocks,
    contents=headings if len(headings) >= _MANY_HEADINGS else [],
    tie=_TIE,
    legend=_LEGEND,
  )


def _breakable(text: str) -> markupsafe.Markup:
  """Lets the lines of paths and names of runs end at their joints."""
  # None of these is in what a character is escaped as.
  escaped = str(markupsafe.escape(text))
  return markupsafe.Markup(re.sub('[,/=_]+', r'\g<0><wbr>', escaped))


def _slug(text: str, taken: set[str]) -> str:
  """An anchor that no other heading has."""
  base = re.sub(r'\W+', '-', text.lower()).strip('-') or 'part'
  slug, number = base, 1
  while slug in taken:
    number += 1
    slug = f'{base}-{number}'
  return slug


def _html_table(table: page_lib.Table) -> dict[str, Any]:
  kinds = []
  for _, cells in _columns(table):
    if _is_numeric(cells):
      kinds.append('number')
    elif any(len(cell.text) > _LONG_TEXT for cell in cells):
      kinds.append('long')
    else:
      kinds.append('')
  rows = []
  for row in _rows(table):
    shown = []
    for cell, kind in zip(row, kinds, strict=True):
      key = _sort_key(cell)
      shown.append(
        {
          'cell': cell,
          'kind': kind,
          'address': _address(cell.link),
          'missing': key is None,
          'value': _script_number(key) if isinstance(key, float) else None,
        }
      )
    rows.append(shown)
  return {
    'columns': list(zip(table.columns, kinds, strict=True)),
    'rows': rows,
    'marks': _has_marks(table),
  }


def _script_number(number: float) -> str:
  """A number as JavaScript reads it, which knows no inf."""
  return repr(number).replace('inf', 'Infinity')
