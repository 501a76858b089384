"""What a browser makes of the HTML page."""

import html
import importlib.util
import pathlib

from matplotlib import pyplot as plt
import pytest

from experiments.report import writer
from experiments.report.page import (
  Cell,
  ComparedRun,
  Comparison,
  Figure,
  Heading,
  Page,
  Table,
  Text,
)
from tests import browser

# Only its script is used: what drives browsers with it need not be there.
_PACKAGE = importlib.util.find_spec('axe_playwright_python')
AXE = (
  pathlib.Path(_PACKAGE.origin).with_name('axe.min.js')
  if _PACKAGE and _PACKAGE.origin
  else None
)

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
  last = 'AMD EPYC, 2 cores'
  rows = [['a rather long name of a method', *['93.6 ± 1.7'] * 10, last]] * 3
  narrow = [[str(k), Cell('98.3', 98.3), Cell('60', 60.0)] for k in range(10)]
  return Page(
    'A_title_that_is_one_very_long_word_without_any_place_to_break_it',
    'Wide things.',
    [
      Heading('Wide'),
      Text('/a/very/long/path' * 10),
      Text('x' * 200, warning=True),
      Table('wide', 'y' * 100, columns, rows, 'z' * 100),
      Figure('figure', 'A wide one.', figure),
      Table('narrow', 'Narrow.', ['class', 'precision', 'examples'], narrow),
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
    # Of numbers the largest comes first, texts begin with the first letter.
    ['b9 b10 d c a', [None, down, None]],
    ['c b10 d b9 a', [None, up, None]],
    # Numbers in names count as numbers.
    ['a b9 b10 c d', [up, None, None]],
    ['d c b10 b9 a', [down, None, None]],
    ['b9 d b10 c a', [None, down, None]],
    ['b10 a b9 d c', [None, None, up]],
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
      const [scroll, narrow] = page.querySelectorAll('.scroll');
      const last = page.createRange();
      last.selectNodeContents(scroll.querySelector('td:last-child'));
      return [
        page.documentElement.clientWidth,
        page.documentElement.scrollWidth,
        scroll.scrollWidth > scroll.clientWidth,
        narrow.scrollWidth > narrow.clientWidth,
        new Set([...last.getClientRects()].map(({top}) => top)).size,
      ];
    });
  """
  outer = f'<!doctype html><title></title>{"".join(frames)}'
  results = evaluate(outer, script, tmp_path)
  for width, result in zip(widths, results, strict=True):
    shown, needed, table_scrolls, narrow_scrolls, lines = result
    # A scroll bar may take some of it.
    assert width - 20 <= shown <= width
    assert needed == shown
    assert table_scrolls
    assert not narrow_scrolls
    assert lines == 1


# All that a page may have.
def curves():
  figure, axes = plt.subplots(1, 2, figsize=(8, 3), layout='constrained')
  for ax, title in zip(axes, ('one', 'two'), strict=True):
    ax.plot([1, 2, 3], [10, 20, 30], label='SL')
    ax.plot([1, 2, 3], [40, 35, 5], label='CE')
    ax.set(title=title, xlabel='epoch')
  runs = [
    ComparedRun(
      f'{name} <&>, seed 0',
      {'test accuracy': f'{end} %', 'epochs': '3'},
      {'test accuracy': [(1, 10.0), (2, 20.0), (3, end)]},
      colour,
    )
    for name, end, colour in (
      ('SL', 91.5, 'red'),
      ('CE', 80.0, 'blue'),
      ('GCE', 85.0, 'green'),
    )
  ]
  rows = [[f'run {k}', Cell(f'{k}.0', float(k))] for k in range(25)]
  tied = [['SL', Cell('9', 9.0, bold=True)], ['CE', Cell('8', 8.0, tied=3)]]
  return Page(
    'Curves',
    'Curves and runs.',
    [
      Heading('Figures'),
      Text('Not all runs ended.', warning=True),
      Table('best', 'The best.', ['method', 'accuracy'], tied, 'A note.'),
      Figure('curves', 'Curves: two panels.', figure),
      Heading('Runs'),
      Table('long', 'A long table.', ['run', 'figure'], rows),
      Comparison('compare', runs),
      Heading('More'),
    ],
    facts=[('command', 'python launch.py report')],
  )


def test_values_are_shown_at_the_pointer_and_by_keys(tmp_path):
  script = """
    const host = document.querySelector('.values');
    const box = host.querySelector('.box');
    const area = host.getBoundingClientRect();
    const told = () => box.hidden ? null : [...box.children].map(
      (row) => row.textContent);
    result = [told()];
    const move = (x, y) => {
      host.dispatchEvent(new PointerEvent('pointermove', {
        clientX: area.left + x * area.width,
        clientY: area.top + y * area.height,
        bubbles: true}));
      result.push(told());
    };
    move(0.45, 0.5);
    move(0.45, 0.999);
    const press = (key) => {
      host.dispatchEvent(new KeyboardEvent('keydown', {key}));
      result.push(told());
    };
    for (const key of ['ArrowRight', 'ArrowRight', 'ArrowDown', 'Escape']) {
      press(key);
    }
  """
  first = ['one at 1', 'CE: 40', 'SL: 10']
  second = ['one at 2', 'CE: 35', 'SL: 20']
  assert evaluate(source(curves(), tmp_path), script, tmp_path) == [
    None,
    # The largest value first.
    ['one at 3', 'SL: 30', 'CE: 5'],
    None,
    first,
    second,
    ['two at 2', *second[1:]],
    None,
  ]


def test_two_runs_are_compared(tmp_path):
  script = """
    const [first, second] = document.querySelectorAll('.compare select');
    const told = () => [
      ...document.querySelectorAll('.compare tbody tr')].map((row) => [
        row.className, ...[...row.cells].map((cell) => cell.textContent)]);
    result = [first.selectedOptions[0].text, told()];
    second.value = 2;
    second.dispatchEvent(new Event('change'));
    result.push(told()[0], [...document.querySelectorAll('polyline')].map(
        (line) => line.getAttribute('stroke')),
      document.querySelector('.chart svg').getAttribute('aria-label'));
  """
  assert evaluate(source(curves(), tmp_path), script, tmp_path) == [
    'SL <&>, seed 0',
    [
      ['differs', 'test accuracy', '91.5 %', '80.0 %'],
      ['', 'epochs', '3', '3'],
    ],
    ['differs', 'test accuracy', '91.5 %', '85.0 %'],
    ['red', 'green'],
    'test accuracy (%) of SL <&>, seed 0 and GCE <&>, seed 0',
  ]


def test_long_tables_are_folded_on_the_screen_only(tmp_path):
  script = """
    const seen = () => [...document.querySelectorAll('[data-shown] tbody tr')]
      .filter((row) => row.offsetHeight > 0).length;
    const button = document.querySelector('.fold');
    result = [seen(), button.textContent];
    button.click();
    result.push(seen(), document.querySelectorAll('.fold').length);
    const rules = [...document.styleSheets[0].cssRules].filter(
      (rule) => rule.media && rule.media.mediaText === 'print').flatMap(
        (rule) => [...rule.cssRules]).filter(
          (rule) => (rule.selectorText || '').startsWith('.folded'));
    result.push(rules.map((rule) => rule.style.display));
  """
  assert evaluate(source(curves(), tmp_path), script, tmp_path) == [
    20,
    'Show all 25 rows',
    25,
    1,
    ['table-row'],
  ]


@pytest.mark.faults
def test_the_page_obeys_its_own_policy(tmp_path):
  # Under the policy the page's style and script work, and no other script.
  text = source(curves(), tmp_path)
  path = tmp_path / 'page.html'
  path.write_text(
    text.replace('</body>', '<script>document.title = "x"</script>')
  )
  shown, errors = browser.opened(path, tmp_path)
  assert '<title>Curves</title>' in shown
  assert 'class="fold"' in shown and '<polyline' in shown
  assert errors.count('CONSOLE') == 1
  assert 'Content Security Policy' in errors
  path.write_text(text)
  assert 'CONSOLE' not in browser.opened(path, tmp_path)[1]


@pytest.mark.skipif(not AXE, reason='there is no axe-core')
@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_axe_finds_nothing(tmp_path, scheme):
  script = """
    const found = await axe.run(document, {resultTypes: ['violations']});
    result = found.violations.map(({id, nodes}) => [
      id, nodes.map(({html}) => html.slice(0, 200))]);
    // It finds what is wrong.
    document.querySelector('main').append(document.createElement('img'));
    const wrong = await axe.run(document, {runOnly: ['image-alt']});
    result.push(wrong.violations.length);
  """
  text = source(curves(), tmp_path)
  if scheme == 'dark':
    text = text.replace('(prefers-color-scheme: dark)', 'all')
  code = AXE.read_text()
  found = evaluate(f'{text}<script>{code}</script>', script, tmp_path)
  assert found == [1]
