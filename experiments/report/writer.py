"""Writes a report: as an HTML page, as Markdown, and its tables as CSV.

The HTML page is one file that needs no other. The Markdown refers to the
pictures beside it.
"""

from collections.abc import Sequence
import dataclasses
import io
import re
from typing import Any

from matplotlib import pyplot as plt

from experiments.report import cells, html, markdown
from experiments.report import page as page_lib
from sce_jax.storage import paths

_DPI = 130
# Inches in HTML, whatever the screen.
_CSS_DPI = 96
# A file name that needs no quoting in a link.
_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9_.-]*')


@dataclasses.dataclass(frozen=True)
class Written:
  """The files of a report.

  Attributes:
    html: report.html.
    markdown: report.md.
    tables: NAME.csv of each table, in the page's order.
    figures: NAME.png of each figure, in the page's order.
  """

  html: paths.Path
  markdown: paths.Path
  tables: list[paths.Path]
  figures: list[paths.Path]


def write(page: page_lib.Page, folder: paths.Path) -> Written:
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

  paths.make_folder(folder)
  written = Written(
    html=folder / 'report.html',
    markdown=folder / 'report.md',
    tables=[folder / f'{table.name}.csv' for table in tables],
    figures=[folder / f'{figure.name}.png' for figure in figures],
  )
  for path, table in zip(written.tables, tables, strict=True):
    paths.write(path, cells.csv_text(table).encode())
  for path, figure in zip(written.figures, figures, strict=True):
    paths.write(path, pictures[figure.name]['png'])
  paths.write(written.markdown, markdown.page_text(page).encode())
  paths.write(written.html, html.page_text(page, pictures).encode())
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
