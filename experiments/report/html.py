"""Writes a report as one HTML page that needs no other file."""

import base64
import dataclasses
import json
import pathlib
import re
from typing import Any

import jinja2
import markupsafe

from experiments.report import cells, policy
from experiments.report import page as page_lib

# A table of more rows is folded on the screen, never in print.
_MOST_ROWS = 20
# Lines are broken in a column of longer texts.
_LONG_TEXT = 26


def page_text(page: page_lib.Page, pictures: dict[str, dict[str, Any]]) -> str:
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
        shown |= _table(block)
      case page_lib.Figure():
        shown |= pictures[block.name]
        for kind in ('png', 'phone_png'):
          shown[kind] = base64.b64encode(shown[kind]).decode()
        shown['has_values'] = bool(shown['values'])
        shown['data'] = script_data(
          {'wide': shown['values'], 'phone': shown['phone_values']}
        )
      case page_lib.Comparison():
        shown['data'] = script_data(
          [dataclasses.asdict(run) for run in block.runs]
        )
    blocks.append(shown)
  css, script = (
    (pathlib.Path(__file__).parent / name).read_text()
    for name in ('page.css', 'page.js')
  )
  headings = [shown for shown in blocks if shown['is'] == 'Heading']
  return environment.get_template('page.html.jinja').render(
    page=page,
    blocks=blocks,
    contents=headings if page.has_contents else [],
    tie=cells.TIE,
    most_rows=_MOST_ROWS,
    css=markupsafe.Markup(css),
    script=markupsafe.Markup(script),
    policy=policy.content_security_policy(css, script),
  )


def script_data(value: Any) -> markupsafe.Markup:
  """JSON for a script element, in which nothing is unescaped."""
  text = json.dumps(value, separators=(',', ':'), ensure_ascii=False)
  return markupsafe.Markup(text.replace('<', '\\u003c'))


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


def _table(table: page_lib.Table) -> dict[str, Any]:
  kinds = []
  for _, column in cells.columns_of(table):
    if cells.is_numeric(column):
      kinds.append('number')
    elif any(len(cell.text) > _LONG_TEXT for cell in column):
      kinds.append('long')
    else:
      kinds.append('')
  rows = []
  for row in cells.rows_of(table):
    shown = []
    for cell, kind in zip(row, kinds, strict=True):
      key = cells.sort_key(cell)
      shown.append(
        {
          'cell': cell,
          'kind': kind,
          'address': cells.address(cell.link),
          'missing': key is None,
          'value': _script_number(key) if isinstance(key, float) else None,
        }
      )
    rows.append(shown)
  return {
    'columns': list(zip(table.columns, kinds, strict=True)),
    'rows': rows,
    'legend': cells.legend(table),
  }


def _script_number(number: float) -> str:
  """A number as JavaScript reads it, which knows no inf."""
  return repr(number).replace('inf', 'Infinity')
