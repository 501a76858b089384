"""What a browser makes of the HTML page."""

import html

from matplotlib import pyplot as plt

from experiments.report import writer
from experiments.report.page import Cell, Figure, Heading, Page, Table, Text
from tests import browser

pytestmark = browser.NEEDED
evaluate = browser.evaluate

ROWS = [
  ['b10', Cell('9.5 ± 0.1', 9.5), 'x'],
  ['b9', Cell('10.1 ± 2.0', 10.1), 'y'],
  ['a', '–', 'x'],
  ['c', Cell('-3.0 ± 0.1', -3.0), ''],
  ['d', Cell('9.5 ± 0.3', 9.5), 'y'],
]
# Of the first table.
ORDER = """
  const headers = document.querySelector('thead').querySelectorAll('th');
  const click = (column) => headers[column].querySelector('button').click();
  const order = () => [...document.querySelector('tbody').rows].map(
    (row) => row.cells[0].textContent.trim()).join(' ');
  const sorts = () => [...headers].map(
    (header) => header.getAttribute('aria-sort'));
"""


def small():
  columns = ['Name', 'Number', 'Letter']
  blocks = [
    Table('table', 'Numbers.', columns, ROWS),
    Table('one', 'One row.', columns, ROWS[:1]),
    Table('empty', 'No rows.', columns, []),
  ]
  return Page('Small', 'Three tables.', blocks)


def wide():
  figure, ax = plt.subplots(figsize=(13, 4))
  ax.plot([1, 2])
  columns = [f'a long heading {number}' for number in range(12)]
  rows = [['a rather long name of a method'] + ['93.6 ± 1.7'] * 11] * 3
  return Page(
    'A_title_that_is_one_very_long_word_without_any_place_to_break_it',
    'Wide things.',
    [
      Heading('Wide'),
      Text('/a/very/long/path' * 10),
      Text('x' * 200, warning=True),
      Table('wide', 'y' * 100, columns, rows, 'z' * 100),
      Figure('figure', 'A wide one.', figure),
    ],
    facts=[('Command', '/work/' * 40), ('a_very_long_name' * 4, 'value')],
  )


def source(page, folder):
  return writer.write(page, folder / 'report', 'tests').html.read_text()


def test_sorts(tmp_path):
  script = f"""{ORDER}
    result = [];
    for (const column of [1, 1, 0, 0, 1, 2]) {{
      click(column);
      result.push([order(), sorts()]);
    }}
  """
  up, down = 'ascending', 'descending'
  assert evaluate(source(small(), tmp_path), script, tmp_path) == [
    # By the value; what is missing is last both times, equals keep their order.
    ['c b10 d b9 a', [None, up, None]],
    ['b9 b10 d c a', [None, down, None]],
    # Numbers in names count as numbers.
    ['a b9 b10 c d', [up, None, None]],
    ['d c b10 b9 a', [down, None, None]],
    ['c d b10 b9 a', [None, up, None]],
    ['b10 a d b9 c', [None, None, up]],
  ]


def test_headings_are_buttons_where_there_are_rows_to_sort(tmp_path):
  # A button is pressed by Enter and the space bar where it has the focus.
  script = """
    const [button] = document.querySelectorAll('button');
    button.focus();
    result = [
      document.activeElement === button,
      [...document.querySelectorAll('table')].map(
        (table) => table.querySelectorAll('button').length),
    ];
  """
  result = evaluate(source(small(), tmp_path), script, tmp_path)
  assert result == [True, [3, 0, 0]]


def test_page_does_not_scroll_sideways(tmp_path):
  # A window cannot be as narrow as a phone, a frame can. A frame of this
  # page's own text may be looked into.
  inner = html.escape(source(wide(), tmp_path))
  widths = [320, 390, 1366]
  frames = (
    f'<iframe style="border: 0; width: {width}px" srcdoc="{inner}"></iframe>'
    for width in widths
  )
  script = """
    result = [...document.querySelectorAll('iframe')].map((frame) => {
      const page = frame.contentDocument;
      const scroll = page.querySelector('.scroll');
      return [
        page.documentElement.clientWidth,
        page.documentElement.scrollWidth,
        scroll.scrollWidth > scroll.clientWidth,
      ];
    });
  """
  outer = f'<!doctype html><title></title>{"".join(frames)}'
  results = evaluate(outer, script, tmp_path)
  for width, result in zip(widths, results, strict=True):
    shown, needed, table_scrolls = result
    # A scroll bar may take some of it.
    assert width - 20 <= shown <= width
    assert needed == shown
    assert table_scrolls
