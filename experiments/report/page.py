"""What a report page is made of, in any output format."""

from collections.abc import Mapping, Sequence
import dataclasses
import math
from typing import TypeAlias

from matplotlib.figure import Figure as Drawing

# Above this a difference over paired seeds is taken for chance.
SIGNIFICANCE = 0.05


@dataclasses.dataclass(frozen=True)
class Cell:
  """A table's cell.

  Attributes:
    text: what is shown.
    value: the number that it shows and is sorted by; None: it is text.
    bold: whether it is the best of its column.
    tied: over how many seeds it was compared with the best and not told from
      it; shown as a mark after it. 0: it was told from it, or not compared.
    note: more about it, shown as a tooltip.
    link: a path it leads to, relative to the page.
  """

  text: str
  value: float | None = None
  bold: bool = False
  tied: int = 0
  note: str = ''
  link: str = ''


def number(value: float | None, form: str = '.1f') -> Cell:
  """A cell that shows a number, and '-' where there is none (None, nan).

  Args:
    value: the number.
    form: its format, such as '.1f' or '+.2f'.
  """
  if value is None or math.isnan(value):
    return Cell('-')
  return Cell(format(value, form), float(value))


@dataclasses.dataclass(frozen=True)
class Heading:
  """Begins a part of the page."""

  text: str


@dataclasses.dataclass(frozen=True)
class Text:
  """A paragraph of plain text, or a warning."""

  text: str
  warning: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
  """A table.

  Attributes:
    name: of its CSV file, such as 'accuracy'.
    caption: what it shows, with units.
    columns: their headings.
    rows: a cell, or plain text, for each column.
    note: what stands below it.
  """

  name: str
  caption: str
  columns: Sequence[str]
  rows: Sequence[Sequence[Cell | str]]
  note: str = ''


@dataclasses.dataclass(frozen=True)
class Figure:
  """A picture.

  Attributes:
    name: of its PNG file, such as 'curves'.
    caption: what it shows; also what is read out in its place.
    drawing: a matplotlib figure; closed once it is written.
  """

  name: str
  caption: str
  drawing: Drawing


@dataclasses.dataclass(frozen=True)
class ComparedRun:
  """A run that a reader may compare with another one.

  Attributes:
    name: what it is called.
    facts: its settings and figures, as text, by what they are called.
    curves: shares in per cent by what they are: pairs of epoch and value.
    colour: of its method, as in all pictures.
  """

  name: str
  facts: Mapping[str, str]
  curves: Mapping[str, Sequence[tuple[int, float]]]
  colour: str


@dataclasses.dataclass(frozen=True)
class Comparison:
  """Two runs side by side, chosen by the reader; only the HTML page has it.

  Attributes:
    name: of this part, such as 'compare'.
    runs: from which two are chosen.
  """

  name: str
  runs: Sequence[ComparedRun]


Block: TypeAlias = Heading | Text | Table | Figure | Comparison


# Of two parts there is nothing to choose.
_FEW_PARTS = 2


@dataclasses.dataclass(frozen=True)
class Page:
  """A report.

  Attributes:
    title: its title.
    summary: what it is about, in a sentence or two.
    blocks: what is on it, in order.
    facts: name and value of what holds for all of it: command, device, date.
  """

  title: str
  summary: str
  blocks: Sequence[Block]
  facts: Sequence[tuple[str, str]] = ()

  @property
  def has_contents(self) -> bool:
    """Whether its headings are listed at its top."""
    parts = sum(isinstance(block, Heading) for block in self.blocks)
    return parts > _FEW_PARTS
