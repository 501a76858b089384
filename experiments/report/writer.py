"""Writes a report: as HTML and Markdown, its tables as CSV and LaTeX.

The HTML page is one file that needs no other. The Markdown refers to the
pictures beside it, which are there as PDF and SVG, too. A report has a folder
of its own, in which report.json names the report and its files. The same report
can be written there again; files of anything else are never changed.
"""

from collections.abc import Sequence
import dataclasses
import json
import re
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Drawing

from experiments.analysis import pictures
from experiments.report import cells, html, latex, markdown
from experiments.report import page as page_lib
from sce_jax.errors import UserError
from sce_jax.storage import paths

_RECORD = 'report.json'
# Beside each PNG.
_VECTORS = ('.pdf', '.svg')
# Pixels per inch in CSS, on any screen.
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


def claim(folder: paths.Path, owner: str) -> None:
  """Makes the folder of a report, before any work is done for it.

  Args:
    folder: is missing, is empty, or holds an earlier version of the report.
    owner: what the report is on, such as 'experiment ablation on digits, full'.

  Raises:
    UserError: the folder holds anything else, or cannot be written. Nothing
      has been changed then.
  """
  _write_record(folder, owner, _files(folder, owner))


def write(page: page_lib.Page, folder: paths.Path, owner: str) -> Written:
  """Writes a report into its folder, over an earlier version.

  Each file is written whole or not at all, the pages after what they refer to;
  an earlier version stays if there is no room for this one.

  Args:
    page: the report; its drawings are closed.
    folder: as in `claim`; made where it is missing.
    owner: as in `claim`.

  Returns:
    The files.

  Raises:
    ValueError: two tables or two figures have the same name, a name is none
      for a file, or a row has not a cell for each column. Nothing has been
      written then.
    UserError: the folder holds anything but this report, or cannot be written.
  """
  tables = [b for b in page.blocks if isinstance(b, page_lib.Table)]
  figures = [b for b in page.blocks if isinstance(b, page_lib.Figure)]
  _check_names('table', tables)
  _check_names('figure', figures)
  _check_rows(tables)
  written = Written(
    html=folder / 'report.html',
    markdown=folder / 'report.md',
    tables=[folder / f'{table.name}.csv' for table in tables],
    figures=[folder / f'{figure.name}.png' for figure in figures],
  )
  references = latex.references(tables)
  others = [
    *(folder / f'{table.name}.tex' for table in tables),
    *([folder / 'references.bib'] if references else []),
    *(path.with_suffix(x) for path in written.figures for x in _VECTORS),
  ]
  # The pages come after what they refer to.
  new = [
    *written.tables,
    *written.figures,
    *others,
    written.markdown,
    written.html,
  ]
  old = _files(folder, owner)
  for path in new:
    if path.name not in old and path.exists():
      raise UserError(
        f'{path} is not of this report, which needs the name: move the file'
      )
  _write_record(folder, owner, {*old, *(path.name for path in new)})

  drawn = {figure.name: picture(figure) for figure in figures}
  contents = [
    *(cells.csv_text(table).encode() for table in tables),
    *(drawn[figure.name]['png'] for figure in figures),
    *(latex.table_text(table).encode() for table in tables),
    *([references.encode()] if references else []),
    *(drawn[figure.name][x[1:]] for figure in figures for x in _VECTORS),
    markdown.page_text(page).encode(),
    html.page_text(page, drawn).encode(),
  ]
  _write(dict(zip(new, contents, strict=True)))
  return written


def _files(folder: paths.Path, owner: str) -> set[str]:
  """The names of a report's files in its folder; checks that it is its own."""
  try:
    if paths.is_cloud(folder):
      names = paths.listing(folder)
    else:
      names = sorted(path.name for path in folder.iterdir())
    if _RECORD in names:
      record = json.loads(paths.read(folder / _RECORD))
      found, files = record['report'], set(record['files'])
  except FileNotFoundError:
    return set()
  except OSError as error:
    raise _unwritable(folder, error) from None
  except (ValueError, KeyError, TypeError):
    raise UserError(
      f"{folder / _RECORD} is not a report's: a report goes into a folder of"
      ' its own, so move that file'
    ) from None
  # Hidden files are such as a file manager's.
  names = [name for name in names if not name.startswith('.')]
  if _RECORD not in names:
    if names:
      raise UserError(
        f'{folder} is where the report goes, and holds other files'
        f' ({names[0]}): move them, or choose another --workdir'
      )
    return set()
  if found != owner:
    raise UserError(
      f'{folder} holds another report ({found}): move it, or choose another'
      ' --workdir'
    )
  return files


def _write_record(folder: paths.Path, owner: str, files: set[str]) -> None:
  record = {'report': owner, 'files': sorted(files)}
  try:
    paths.make_folder(folder)
  except OSError as error:
    raise _unwritable(folder, error) from None
  _write({folder / _RECORD: json.dumps(record, indent=1).encode() + b'\n'})


def _write(contents: dict[paths.Path, bytes]) -> None:
  try:
    paths.write_all(contents)
  except OSError as error:
    raise _unwritable(next(iter(contents)).parent, error) from None


def _unwritable(folder: paths.Path, error: OSError) -> UserError:
  reason = ' '.join(str(error.strerror or error).split())
  return UserError(
    f'{folder} is where the report goes, and cannot be written ({reason}):'
    ' make room or change its permissions, or copy the runs to a folder that'
    ' can, and name that with --workdir'
  )


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
  """A figure in all its formats; closes the drawing.

  Returns:
    'png', 'pdf', 'svg' and 'phone_png', a PNG of the panels below each other:
    their content. 'width', 'height', 'phone_width' and 'phone_height' of the
    PNGs on a page, in CSS pixels. 'values' and 'phone_values', see
    pictures.values.
  """
  drawing = figure.drawing
  made: dict[str, Any] = dict(pictures.render_all(drawing))
  made |= _shape(drawing, '')
  pictures.stack(drawing)
  made['phone_png'] = pictures.render(drawing, 'png')
  made |= _shape(drawing, 'phone_')
  plt.close(drawing)
  return made


def _shape(drawing: Drawing, start: str) -> dict[str, Any]:
  width, height = drawing.get_size_inches() * _CSS_DPI
  return {
    f'{start}width': round(width),
    f'{start}height': round(height),
    f'{start}values': pictures.values(drawing),
  }
