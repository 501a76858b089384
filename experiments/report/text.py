"""Tables and commands as plain text, for the terminal.

Where a terminal reads along, what is too wide for it is broken where it can
still be read, and copied; files and pipes get it whole.
"""

from collections.abc import Sequence
import re
import shlex
import shutil
import sys
import textwrap

import tabulate

from experiments.report import cells, page


def aligned(rows: Sequence[Sequence[str]], *, is_whole: bool = False) -> str:
  """Rows of text, the first of them headings, in columns.

  Too many columns for a terminal become tables below each other, each with the
  first column.

  Args:
    rows: all of one length; the first column is aligned left, others right.
    is_whole: one table, however wide.
  """
  width = None if is_whole else _width()
  parts: list[str] = []
  rest = list(range(1, len(rows[0])))
  while rest or not parts:
    taken = len(rest)
    while True:
      shown = _table([[row[i] for i in (0, *rest[:taken])] for row in rows])
      if taken <= 1 or width is None or columns(shown) <= width:
        break
      taken -= 1
    parts.append(shown)
    rest = rest[taken:]
  return '\n\n'.join(parts)


def columns(text: str) -> int:
  """How wide a text is."""
  return max(map(len, text.splitlines()), default=0)


def own_command() -> str:
  """The command that runs, as a shell takes it."""
  return f'python {shlex.join(sys.argv)}'


def command(line: str) -> str:
  """A command to be copied, indented; broken before flags if it is long."""
  width, indent = _width(), '  '
  if width is None or len(indent + line) < width:
    return indent + line
  first, *flags = re.split(r' (?=--)', line)
  lines = [indent + first]
  for flag in flags:
    if len(f'{lines[-1]} {flag} \\') < width:
      lines[-1] += f' {flag}'
    else:
      lines[-1] += ' \\'
      lines.append(f'{2 * indent}{flag}')
  return '\n'.join(lines)


def _width() -> int | None:
  """Columns of the terminal that is written to; None: it is none."""
  return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _table(rows: Sequence[Sequence[str]]) -> str:
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
  words = [f'{shown.caption}\n', legend]
  if width := _width():
    words = [textwrap.fill(x, width, replace_whitespace=False) for x in words]
  caption, legend = words
  return '\n'.join(filter(None, [caption, aligned(rows), legend]))


def _text(cell: page.Cell) -> str:
  # A blank keeps the digits of marked and unmarked cells below each other.
  return cell.text + ('*' if cell.bold else '~' if cell.tied else ' ')
