"""What all pictures have: a title, a legend, files, a shape for phones."""

from collections.abc import Iterable, Mapping, Sequence
import io
import textwrap
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
import numpy as np

from sce_jax.storage import paths

FORMATS = ('png', 'pdf', 'svg')
BAND = 'line: mean over seeds, band: ± 1 standard deviation'
# Letters of a title and of a legend to an inch, about.
_LETTERS = 13
# Of the picture that phones show, in inches: about 350 of their pixels.
_PHONE_WIDTH = 4.2
# Points of a line that a page can name.
_MOST_POINTS = 240
_DPI = 130


def noise_title(noise: Mapping[str, Any]) -> str:
  """What label noise is called; given labels have no rate, clean ones no name.

  Args:
    noise: the `noise` section of a config.
  """
  names = []
  for name, rate in (
    (noise['name'], noise['rate']),
    # Which runs of earlier versions do not have; nor those below.
    (noise.get('second', ''), noise.get('second_rate', 0.0)),
  ):
    if name not in ('', 'clean'):
      names.append(f'{name} {rate:g}' if rate else name)
  return ' + '.join(names)


def changes_of_examples(noise: Mapping[str, Any]) -> list[str]:
  """What a noise does to the examples, beside their labels: a phrase each."""
  phrases = []
  if noise.get('imbalance'):
    phrases.append(
      f'{noise["imbalance"]} imbalance {noise.get("imbalance_ratio", 1):g}'
    )
  if noise.get('open_set_from'):
    phrases.append(
      f'open-set images of {noise["open_set_from"]}'
      f' {noise.get("open_set_rate", 0):g}'.removesuffix(' 0')
    )
  return phrases


def about(configs: Iterable[Mapping[str, Any]], note: str = BAND) -> str:
  """What a picture shows, for its title: data, noises, seeds, what a band is.

  Args:
    configs: of the runs that are shown.
    note: what its lines and bands are.
  """
  configs = list(configs)
  if not configs:
    return note
  noises = dict.fromkeys(
    ', '.join(
      [
        noise_title(c['noise']) or 'labels as they are',
        *changes_of_examples(c['noise']),
      ]
    )
    for c in configs
  )
  seeds = sorted({c['seed'] for c in configs})
  count = len(seeds)
  if count == 1:
    said = f'seed {seeds[0]} (n = 1)'
  elif seeds == list(range(seeds[0], seeds[-1] + 1)):
    said = f'seeds {seeds[0]} to {seeds[-1]} (n = {count})'
  else:
    said = f'seeds {", ".join(map(str, seeds))} (n = {count})'
  parts = [
    ', '.join(dict.fromkeys(c['data']['name'] for c in configs)),
    ', '.join(noises) if len(noises) <= 3 else f'{len(noises)} label noises',
    said,
  ]
  # One seed has no band.
  if note and not (note == BAND and count == 1):
    parts.append(note)
  return '; '.join(parts)


def add_title(figure: Figure, text: str) -> None:
  """Writes what a picture shows above it, in as many lines as it takes."""
  width = int(figure.get_size_inches()[0] * _LETTERS)
  figure.suptitle(
    textwrap.fill(' '.join(text.split()), width), fontsize=9, color='0.3'
  )


def add_legend(figure: Figure, **more: Any) -> None:
  """One legend for all panels, below them, in columns that fit the width."""
  found: dict[str, Any] = {}
  for ax in figure.axes:
    for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
      found.setdefault(label, handle)
  if found:
    _legend(figure, list(found.values()), list(found), **more)


def _legend(
  figure: Figure, handles: list[Any], labels: list[str], **more: Any
) -> None:
  width = figure.get_size_inches()[0]
  most = max(12, int(width * _LETTERS) - 8)
  labels = [textwrap.fill(label, most) for label in labels]
  longest = max(len(line) for x in labels for line in x.split('\n'))
  # A line's sample takes the width of eight letters.
  columns = max(1, int(width * _LETTERS * 0.95 / (longest + 8)))
  rows = -(-len(labels) // columns)
  figure.legend(
    handles,
    labels,
    loc='outside lower center',
    ncols=-(-len(labels) // rows),
    frameon=False,
    fontsize=9,
    handlelength=3.2,
    **more,
  )


def render_all(figure: Figure) -> dict[str, bytes]:
  """The picture in all FORMATS, by their names, all of one layout.

  The layout, which takes longer than to draw, is found once.
  """
  first, *others = FORMATS
  made = {first: render(figure, first)}
  engine = figure.get_layout_engine()
  figure.set_layout_engine(None)
  made |= {kind: render(figure, kind) for kind in others}
  if engine is not None:
    figure.set_layout_engine(engine)
  return made


def render(figure: Figure, kind: str) -> bytes:
  """The picture as the content of a PNG, PDF or SVG file."""
  content = io.BytesIO()
  # Without a date the same picture is the same file.
  dates: dict[str, Any] = {'pdf': {'CreationDate': None}, 'svg': {'Date': None}}
  figure.savefig(content, format=kind, dpi=_DPI, metadata=dates.get(kind))
  return content.getvalue()


def save(figure: Figure, path: paths.Path) -> paths.Path:
  """Writes a picture as PNG, and beside it as PDF and SVG; closes it.

  Args:
    figure: the picture.
    path: of the PNG.

  Returns:
    path
  """
  made = render_all(figure).items()
  paths.write_all({path.with_suffix(f'.{kind}'): x for kind, x in made})
  plt.close(figure)
  return path


def stack(figure: Figure) -> None:
  """Puts the panels of a picture below each other, as wide as a phone.

  What panels had from their neighbours, such as the name of an axis, each has
  for itself then.
  """
  panels = []
  for ax in list(figure.axes):
    if ax.get_subplotspec() is None:  # Such as a bar of colours of all panels.
      info = getattr(ax, '_colorbar_info', None)
      if info:
        # Places that are left empty are gone below.
        info['parents'] = [x for x in info['parents'] if x.axison]
        info['shrink'] /= max(1, len(info['parents']))
      continue
    if ax.axison:
      panels.append(ax)
    else:
      ax.remove()
  if not panels:
    return
  places = [_spec(ax) for ax in panels]
  for ax, place in zip(panels, places, strict=True):
    _take_names(ax, place, list(zip(panels, places, strict=True)))
  box = panels[0].get_position()
  width, height = figure.get_size_inches()
  ratio = min(1.0, max(0.6, box.height * height / (box.width * width)))
  grid = figure.add_gridspec(len(panels), 1)
  for number, ax in enumerate(panels):
    ax.set_subplotspec(grid[number])
    ax.tick_params(labelleft=True, labelbottom=True)
  legends = [
    (legend.legend_handles, [x.get_text() for x in legend.texts], legend)
    for legend in figure.legends
  ]
  rows = sum(len(labels) for _, labels, _ in legends)
  figure.set_size_inches(
    _PHONE_WIDTH, len(panels) * _PHONE_WIDTH * ratio + 0.2 * rows + 0.5
  )
  for handles, labels, legend in legends:
    title = legend.get_title().get_text()
    legend.remove()
    _legend(figure, handles, labels, **({'title': title} if title else {}))
  if figure.get_suptitle():
    add_title(figure, figure.get_suptitle())


def _spec(ax: Axes) -> Any:
  spec = ax.get_subplotspec()
  assert spec is not None
  return spec


def _take_names(
  ax: Axes, place: Any, others: Sequence[tuple[Axes, Any]]
) -> None:
  for other, its in others:
    is_row = its.rowspan.start == place.rowspan.start
    is_column = its.colspan.start == place.colspan.start
    if is_row and not ax.get_ylabel():
      ax.set_ylabel(other.get_ylabel())
    if is_column and not ax.get_xlabel():
      ax.set_xlabel(other.get_xlabel())
    if is_column and not ax.get_title():
      ax.set_title(other.get_title())


def values(figure: Figure) -> list[dict[str, Any]]:
  """What a page says where a pointer is: the values of the panels' lines.

  Args:
    figure: drawn, so that its layout is done.

  Returns:
    Of each panel with named lines: `box`, its left, top, right and bottom edge
    as shares of the picture; `title`; `x`, the values; `at`, where these are,
    as shares of the picture's width; and `lines`, each with a `label` and a
    value `y` for each x, None where it has none.
  """
  found = []
  for ax in figure.axes:
    lines = [
      line
      for line in ax.get_lines()
      if not str(line.get_label()).startswith('_')
      and line.get_linestyle() not in ('None', 'none', '')
      and np.size(line.get_xdata()) > 1
    ]
    if not lines:
      continue
    curves = [
      dict(zip(*_numbers(line.get_xdata(), line.get_ydata()), strict=True))
      for line in lines
    ]
    x = sorted(set().union(*curves))
    x = x[:: -(-len(x) // _MOST_POINTS)]
    places = ax.transData.transform([(value, 1) for value in x])[:, 0]
    box = ax.get_position()
    found.append(
      {
        'box': [
          round(edge, 4) for edge in (box.x0, 1 - box.y1, box.x1, 1 - box.y0)
        ],
        'title': ax.get_title(),
        'x': x,
        'at': [round(float(p / figure.bbox.width), 4) for p in places],
        'lines': [
          {'label': str(line.get_label()), 'y': [curve.get(v) for v in x]}
          for line, curve in zip(lines, curves, strict=True)
        ],
      }
    )
  return found


def _numbers(*arrays: Any) -> list[list[float | None]]:
  """With four digits each; None for what is none."""
  return [
    [
      float(f'{value:.4g}') if np.isfinite(value) else None
      for value in np.asarray(array, float)
    ]
    for array in arrays
  ]
