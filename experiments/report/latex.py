r"""Writes a report's tables for papers, with the sources of the methods.

A table is an environment for \input, which needs the package booktabs; what
\cite names is in references.bib beside it, taken from papers.bib here.
"""

from collections.abc import Sequence
import functools
import pathlib
import re

from experiments.analysis import style
from experiments.report import cells
from experiments.report import page as page_lib

_SPECIAL = {
  '\\': r'\textbackslash{}',
  '&': r'\&',
  '%': r'\%',
  '$': r'\$',
  '#': r'\#',
  '_': r'\_',
  '{': r'\{',
  '}': r'\}',
  '~': r'\textasciitilde{}',
  '^': r'\textasciicircum{}',
  '±': r'$\pm$',
  cells.TIE: r'$\approx$',
  '†': r'$\dagger$',
  '‡': r'$\ddagger$',
  '◊': r'$\diamond$',
  '–': '--',
  '∞': r'$\infty$',
}


def table_text(table: page_lib.Table) -> str:
  """A table as LaTeX; methods in its first column are cited."""
  columns = list(cells.columns_of(table))
  kinds = ''.join('r' if cells.is_numeric(c) else 'l' for _, c in columns)
  lines = [
    '% Needs \\usepackage{booktabs}.',
    r'\begin{table}',
    r'  \centering',
    f'  \\caption{{{escape(_caption(table))}}}',
    f'  \\label{{tab:{table.name}}}',
    f'  \\begin{{tabular}}{{{kinds}}}',
    r'    \toprule',
    f'    {_row([escape(heading) for heading, _ in columns])}',
    r'    \midrule',
  ]
  for first, *rest in cells.rows_of(table):
    key = _keys().get(style.method_of(first.text) or '')
    name = _cell(first) + (f'~\\cite{{{key}}}' if key else '')
    lines.append(f'    {_row([name, *map(_cell, rest)])}')
  lines += [r'    \bottomrule', r'  \end{tabular}', r'\end{table}']
  return '\n'.join(lines) + '\n'


def references(tables: Sequence[page_lib.Table]) -> str:
  """The BibTeX entries that the tables cite; '' if there are none."""
  keys = _keys()
  cited = {
    keys.get(style.method_of(row[0].text) or '')
    for table in tables
    for row in cells.rows_of(table)
    if row
  }
  entries = (pathlib.Path(__file__).parent / 'papers.bib').read_text('utf-8')
  return '\n'.join(
    entry.strip() + '\n'
    for entry in entries.split('\n\n')
    if re.split('[{,]', entry, maxsplit=2)[1] in cited
  )


def escape(text: str) -> str:
  """A line as LaTeX sets it."""
  return ''.join(_SPECIAL.get(x, x) for x in ' '.join(text.split()))


@functools.cache
def _keys() -> dict[str, str]:
  """What is cited for a method, by its short name."""
  from sce_jax import methods  # noqa: PLC0415  Sweeps are planned without jax.

  found = {
    spec.short: re.sub(r'[^A-Za-z0-9.]+', '-', f'arxiv {spec.paper}')
    if spec.paper[0].isdigit()
    else re.sub(r'[^A-Za-z0-9]+', '-', spec.paper).lower()
    for spec in methods.SPECS.values()
    if spec.paper
  }
  forward = found['Forward']
  return found | {
    name: forward for name in style.METHODS if name.startswith('Forward, ')
  }


def _caption(table: page_lib.Table) -> str:
  legend = cells.legend(table)
  return f'{table.caption.rstrip(".")}.' + (f' {legend}.' if legend else '')


def _row(texts: Sequence[str]) -> str:
  return ' & '.join(texts) + r' \\'


def _cell(cell: page_lib.Cell) -> str:
  text = escape(cell.text)
  if cell.bold and text:
    text = f'\\textbf{{{text}}}'
  return f'{text} $\\approx$' if cell.tied else text
