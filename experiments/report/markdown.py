"""Writes a report as Markdown, which refers to the pictures beside it."""

import collections
import re

import tabulate

from experiments.report import cells
from experiments.report import page as page_lib

# What Markdown would take for more than text. An underline between letters
# and a lone ampersand are none of it.
_MARKUP = re.compile(r'[\\`*\[\]<|~$]|(?<!\w)_|_(?!\w)|&(?=#?\w+;)')
# What would begin a heading, a quotation or a list.
_LINE_MARKUP = re.compile(r'(\d*)([.)]|[>+-]|#+)(?=\s)')


def page_text(page: page_lib.Page) -> str:
  parts = [f'# {_escape(page.title)}', _paragraph(page.summary)]
  facts = [f'- {_escape(name)}: {_escape(value)}' for name, value in page.facts]
  parts.append('\n'.join(facts))
  if page.has_contents:
    parts.append(_contents(page))
  for block in page.blocks:
    if isinstance(block, page_lib.Figure):
      # A picture's text is not shown where the picture is.
      parts.append(f'![{_escape(block.caption)}]({block.name}.png)')
    parts.append(block_text(block))
    if isinstance(block, page_lib.Table):
      parts.append(f'[{block.name}.csv]({block.name}.csv)')
  return '\n\n'.join(part for part in parts if part) + '\n'


def _contents(page: page_lib.Page) -> str:
  """Links to the headings, as GitHub names where they lead."""
  seen: collections.Counter[str] = collections.Counter()
  links = []
  for block in page.blocks:
    if isinstance(block, page_lib.Heading):
      name = re.sub(r'[^\w -]', '', block.text.lower()).replace(' ', '-')
      again = f'-{seen[name]}' if seen[name] else ''
      seen[name] += 1
      links.append(f'[{_escape(block.text)}](#{name}{again})')
  return ' ·\n'.join(links)


def block_text(block: page_lib.Block) -> str:
  """A block as Markdown that needs no file; of a figure its caption."""
  match block:
    case page_lib.Heading():
      return f'## {_escape(block.text)}'
    case page_lib.Text(warning=True):
      return f'> **Warning:** {_escape(block.text)}'
    case page_lib.Text():
      return _paragraph(block.text)
    case page_lib.Table():
      return '\n\n'.join(part for part in _table(block) if part)
    case page_lib.Figure():
      return _paragraph(block.caption)
    case page_lib.Comparison():
      return ''


def _table(table: page_lib.Table) -> list[str]:
  columns = list(cells.columns_of(table))
  kinds = [
    'right' if cells.is_numeric(column) else 'left' for _, column in columns
  ]
  lines = tabulate.tabulate(
    [[_cell(cell) for cell in row] for row in cells.rows_of(table)],
    [_escape(heading) for heading in table.columns],
    tablefmt='pipe',
    colalign=kinds,
    disable_numparse=True,
  )
  return [
    _paragraph(table.caption),
    lines,
    cells.legend(table),
    _paragraph(table.note),
  ]


def _cell(cell: page_lib.Cell) -> str:
  text = _escape(cell.text)
  if cell.link and text:
    text = f'[{text}]({cells.address(cell.link)})'
  if cell.bold and text:
    text = f'**{text}**'
  return f'{text} {cells.TIE}' if cell.tied else text


def _escape(text: str) -> str:
  """A line that Markdown shows as it is."""
  return _MARKUP.sub(r'\\\g<0>', ' '.join(text.split()))


def _paragraph(text: str) -> str:
  line = _escape(text)
  start = _LINE_MARKUP.match(line)
  return f'{start[1]}\\{line[start.end(1) :]}' if start else line
