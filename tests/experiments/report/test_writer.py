"""What a report's files hold."""

import csv
import html.parser
import math
import os
import pathlib
import re

from matplotlib import pyplot as plt
import pytest

from experiments.report import latex, writer
from experiments.report.page import (
  Cell,
  Figure,
  Heading,
  Page,
  Table,
  Text,
  number,
)
from sce_jax import methods
from tests import pages
from tests.data.reading import told

LEGEND = (
  'bold: best; ≈: not told apart from the best by a two-sided paired t-test'
  ' over seeds (n = 3, p of at least 0.05), which is not to say that they are'
  ' equal'
)
PNG = b'\x89PNG\r\n\x1a\n'


def drawing():
  figure, ax = plt.subplots(figsize=(2, 1))
  ax.plot([1, 2])
  return figure


def table(*rows, name='accuracy', columns=('Method', 'sym 0.4')):
  return Table(name, 'Accuracy (%)', columns, rows)


def page(*blocks, **more):
  return Page('A title', 'A summary.', blocks, **more)


def write(shown, folder):
  return writer.write(shown, folder, 'tests')


class Elements(html.parser.HTMLParser):
  """The elements of a page: tag, attributes and the text up to the next."""

  def __init__(self, text):
    super().__init__()
    self.elements = []
    self.feed(text)
    self.close()

  def handle_starttag(self, tag, attrs):
    self.elements.append([tag, dict(attrs), ''])

  def handle_data(self, data):
    if self.elements:
      self.elements[-1][2] += data

  def named(self, tag):
    return [element[1:] for element in self.elements if element[0] == tag]


@pytest.fixture
def written(tmp_path):
  """A report of all there is."""
  plt.close('all')  # Drawings that other tests have left open.
  return write(
    Page(
      title='Losses <1>',
      summary='Three losses.',
      blocks=[
        Heading('Accuracy'),
        Text('All of *it*.'),
        Text('Not all runs ended.', warning=True),
        table(
          ['CE | plain', Cell('71.3 ± 0.4', 71.31)],
          [
            Cell('SCE', link='../runs/sce 1/'),
            Cell('87.0 ± 0.1', 87.02, bold=True),
          ],
          ['GCE', Cell('86.9 ± 0.2', 86.94, tied=3, note='2 of 3 runs')],
          ['D2L', '–'],
        ),
        Heading('Curves'),
        Figure('curves', 'Accuracy by epoch.', drawing()),
        Heading('Curves'),
        Figure('alpha', 'Accuracy by alpha.', drawing()),
        Table(
          'runs',
          'Runs.',
          ['Seed', 'Loss'],
          [[number(1, 'd'), number(0.5)]],
          'One run.',
        ),
      ],
      facts=[('Device', 'CPU'), ('Command', 'python -m x --seeds 3')],
    ),
    tmp_path / 'new' / 'folder',
  )


@pytest.fixture
def elements(written):
  return Elements(written.html.read_text())


def test_files(written):
  folder = written.html.parent
  assert written == writer.Written(
    html=folder / 'report.html',
    markdown=folder / 'report.md',
    tables=[folder / 'accuracy.csv', folder / 'runs.csv'],
    figures=[folder / 'curves.png', folder / 'alpha.png'],
  )
  # Nothing temporary is left.
  assert {path.name for path in folder.iterdir()} == {
    'report.html',
    'report.json',
    'report.md',
    *(f'{x}.{kind}' for x in ('accuracy', 'runs') for kind in ('csv', 'tex')),
    *(
      f'{x}.{kind}'
      for x in ('curves', 'alpha')
      for kind in ('png', 'pdf', 'svg')
    ),
    'references.bib',
  }
  assert (folder / 'curves.pdf').read_bytes().startswith(b'%PDF-')
  assert '<svg' in (folder / 'curves.svg').read_text()
  for path in written.figures:
    assert path.read_bytes().startswith(PNG)
  assert not plt.get_fignums()


def test_markdown(written):
  assert (
    written.markdown.read_text()
    == r"""# Losses \<1>

Three losses.

- Device: CPU
- Command: python -m x --seeds 3

[Accuracy](#accuracy) ·
[Curves](#curves) ·
[Curves](#curves-1)

## Accuracy

All of \*it\*.

> **Warning:** Not all runs ended.

Accuracy (%)

| Method                  |        sym 0.4 |
|:------------------------|---------------:|
| CE \| plain             |     71.3 ± 0.4 |
| [SCE](../runs/sce%201/) | **87.0 ± 0.1** |
| GCE                     |   86.9 ± 0.2 ≈ |
| D2L                     |              – |

LEGEND

[accuracy.csv](accuracy.csv)

## Curves

![Accuracy by epoch.](curves.png)

Accuracy by epoch.

## Curves

![Accuracy by alpha.](alpha.png)

Accuracy by alpha.

Runs.

|   Seed |   Loss |
|-------:|-------:|
|      1 |    0.5 |

One run.

[runs.csv](runs.csv)
""".replace('LEGEND', LEGEND)
  )


def test_csv(written):
  accuracy, runs = written.tables
  assert accuracy.read_text() == (
    'Method,sym 0.4,sym 0.4 (value)\n'
    'CE | plain,71.3 ± 0.4,71.31\n'
    'SCE,87.0 ± 0.1,87.02\n'
    'GCE,86.9 ± 0.2,86.94\n'
    'D2L,–,\n'
  )
  assert runs.read_text() == 'Seed,Loss\n1,0.5\n'


def test_csv_adds_no_values_that_are_the_texts(tmp_path):
  block = table(
    [Cell('1.50', 1.5), Cell('nan', math.nan), Cell('1.5', 1.52)],
    [Cell('2', 2), '-', 'a, "b"\nc'],
    columns=['same', 'nan', 'rounded'],
  )
  [path] = write(page(block), tmp_path).tables
  with path.open(newline='') as file:
    assert list(csv.reader(file)) == [
      ['same', 'nan', 'rounded', 'rounded (value)'],
      ['1.50', 'nan', '1.5', '1.52'],
      ['2', '-', 'a, "b"\nc', ''],
    ]


@pytest.mark.faults
@pytest.mark.parametrize(
  ('text', 'line'),
  [
    ('# 1', r'\# 1'),
    ('- 1', r'\- 1'),
    ('1. 2', r'1\. 2'),
    ('> 1', r'\> 1'),
    ('1.5 and -2', '1.5 and -2'),
    ('`a` [b](c) _d_ e_f', r'\`a\` \[b\](c) \_d\_ e_f'),
    ('<b> &lt; a & b', r'\<b> \&lt; a & b'),
    ('one\n\ntwo', 'one two'),
  ],
)
def test_markdown_shows_text_as_it_is(tmp_path, text, line):
  written = write(page(Text(text)), tmp_path)
  assert written.markdown.read_text().split('\n\n')[-1] == f'{line}\n'


def test_html_head(written, elements):
  assert written.html.read_text().startswith('<!doctype html>\n')
  assert elements.named('html') == [[{'lang': 'en'}, '\n']]
  assert elements.named('title')[0][1].strip() == 'Losses <1>'
  assert {
    'name': 'viewport',
    'content': 'width=device-width, initial-scale=1',
  } in [attributes for attributes, _ in elements.named('meta')]


def test_html_needs_no_other_file(written, elements):
  for _, attributes, _ in elements.elements:
    assert attributes.get('src', 'data:').startswith('data:')
    assert attributes.get('srcset', 'data:').startswith('data:')
    assert not {'action', 'style', 'onclick'} & set(attributes)
  assert [a['href'] for a, _ in elements.named('link')] == ['data:,']
  assert all('src' not in a for a, _ in elements.named('script'))
  # Neither do its styles and its script.
  text = re.sub('base64,[^"]*|sha256-[^\']*', '', written.html.read_text())
  # The name of SVG is no address that is asked.
  text = text.replace("'http://www.w3.org/2000/svg'", '')
  text = text.replace('http-equiv', '')
  for word in ('url(', '@import', 'http', 'fetch', 'import('):
    assert word not in text


def test_html_pictures(elements):
  images = [attributes for attributes, _ in elements.named('img')]
  assert [a['alt'] for a in images] == [
    'Accuracy by epoch.',
    'Accuracy by alpha.',
  ]
  assert all(a['src'].startswith('data:image/png;base64,') for a in images)
  # Two inches by one.
  assert (images[0]['width'], images[0]['height']) == ('192', '96')


def test_html_headings_and_contents(elements):
  slugs = ['accuracy', 'curves', 'curves-2']
  assert [a['id'] for a, _ in elements.named('h2')] == slugs
  links = [a['href'] for a, _ in elements.named('a')]
  assert links == [
    *(f'#{slug}' for slug in slugs),
    '../runs/sce%201/',
    'accuracy.csv',
    'accuracy.tex',
    'curves.pdf',
    'curves.svg',
    'alpha.pdf',
    'alpha.svg',
    'runs.csv',
    'runs.tex',
  ]


def test_html_has_no_contents_of_two_headings(tmp_path):
  written = write(page(Heading('A'), Heading('B')), tmp_path)
  assert '<nav' not in written.html.read_text()


def test_html_cells(elements):
  assert [
    (a.get('data-value'), a.get('class')) for a, _ in elements.named('td')
  ] == [
    ('71.31', 'number'),
    ('87.02', 'number'),
    ('86.94', 'number'),
    (None, 'number missing'),
    ('0.5', 'number'),
  ]
  strong = [text.strip() for _, text in elements.named('strong')]
  assert strong == ['Warning: Not all runs ended.', '87.0 ± 0.1']
  titles = [
    (a['title'], text.strip())
    for a, text in elements.named('span')
    if 'title' in a
  ]
  assert titles == [
    ('2 of 3 runs', '86.9 ± 0.2'),
    ('not told from the best, n = 3', '≈'),
  ]


def test_latex_cites_methods(tmp_path):
  block = table(
    [Cell('SL'), Cell('87.0 ± 0.1', 87.0, bold=True)],
    ['Forward, true T†', Cell('86.9 ± 0.2', 86.9, tied=3)],
    ['PHuber-CE', '5 % & more_'],
    ['CE', '–'],
    name='cited',
  )
  write(page(block), tmp_path)
  text = (tmp_path / 'cited.tex').read_text()
  assert r'SL~\cite{arxiv-1908.06112} & \textbf{87.0 $\pm$ 0.1} \\' in text
  assert (
    r'Forward, true T$\dagger$~\cite{arxiv-1609.03683} & 86.9 $\pm$ 0.2'
    r' $\approx$ \\' in text
  )
  assert r'5 \% \& more\_ \\' in text
  assert 'CE & -- ' in text
  assert '(n = 3, p of at least 0.05)' in text
  # What is cited is there once, and nothing else.
  references = (tmp_path / 'references.bib').read_text()
  cited = set(re.findall(r'cite{(.*?)}', text))
  assert sorted(re.findall(r'@\w+{(.*),', references)) == sorted(cited)
  assert len(cited) == 3
  assert 'eprint = {1908.06112}' in references
  assert 'Menon, Aditya Krishna and others' in references


def test_every_paper_of_a_method_can_be_cited():
  papers = pathlib.Path(latex.__file__).with_name('papers.bib').read_text()
  for spec in methods.SPECS.values():
    if re.match('[0-9]{4}[.]', spec.paper):
      assert f'eprint = {{{spec.paper}}}' in papers, spec
    elif spec.paper:
      author, year = spec.paper.split()[0].strip(','), spec.paper[-4:]
      (entry,) = [x for x in papers.split('\n\n') if f'{{{author},' in x]
      assert f'year = {{{year}}}' in entry


def test_html_legend_only_where_there_are_marks(written):
  text = written.html.read_text()
  assert text.count('not told apart from the best') == 1


def test_html_warning(elements):
  notes = [a for a, _ in elements.named('p') if a.get('role') == 'note']
  assert len(notes) == 1


@pytest.mark.faults
def test_html_escapes(tmp_path):
  evil = '"><script>alert(1)</script>'
  written = write(
    Page(
      evil,
      evil,
      [
        Heading(evil),
        Text(evil),
        Text(evil, warning=True),
        Table(
          'table',
          evil,
          [evil],
          [[Cell(evil, note=evil, link=f'javascript:{evil}')], [evil]],
          evil,
        ),
        Figure('figure', evil, drawing()),
      ],
      facts=[(evil, evil)],
    ),
    tmp_path,
  )
  text = written.html.read_text()
  assert '<script>alert' not in text
  assert '&lt;script&gt;alert(1)&lt;/script&gt;' in text
  assert 'javascript:' not in text
  assert 'javascript:' not in written.markdown.read_text().replace(evil, '')
  assert len(Elements(text).named('script')) == 1


def test_one_block(tmp_path):
  written = write(page(Text('All.')), tmp_path)
  assert written.markdown.read_text() == '# A title\n\nA summary.\n\nAll.\n'
  assert written.tables == written.figures == []
  assert '<p>All.</p>' in written.html.read_text()
  assert '<dl' not in written.html.read_text()


def test_table_without_rows(tmp_path):
  written = write(page(table()), tmp_path)
  assert written.tables[0].read_text() == 'Method,sym 0.4\n'
  assert (
    '| Method   | sym 0.4   |\n|----------|-----------|\n'
    in written.markdown.read_text()
  )
  assert 'colspan="2">no rows</td>' in written.html.read_text()


def test_infinity_and_nan(tmp_path):
  block = table(['a', Cell('∞', math.inf)], ['b', Cell('?', math.nan)])
  written = write(page(block), tmp_path)
  cells = Elements(written.html.read_text()).named('td')
  assert [a.get('data-value') for a, _ in cells] == ['Infinity', None]


@pytest.mark.parametrize(
  ('blocks', 'message'),
  [
    ([table(), table()], "two tables are named 'accuracy'"),
    ([table(name='../a')], 'no name for a file'),
    ([table(['a'])], '2 columns and a row of 1 cells'),
  ],
)
def test_refuses_before_it_writes(tmp_path, blocks, message):
  with pytest.raises(ValueError, match=message):
    write(page(*blocks), tmp_path / 'report')
  assert not (tmp_path / 'report').exists()


def test_refuses_figures_of_one_name(tmp_path):
  first, second = drawing(), drawing()
  try:
    with pytest.raises(ValueError, match="two figures are named 'a'"):
      write(page(Figure('a', '', first), Figure('a', '', second)), tmp_path)
  finally:
    plt.close('all')


def test_table_and_figure_may_share_a_name(tmp_path):
  write(page(table(name='a'), Figure('a', 'A.', drawing())), tmp_path)
  assert (tmp_path / 'a.csv').exists()
  assert (tmp_path / 'a.png').exists()


@pytest.mark.faults
def test_failure_leaves_what_was_there(tmp_path, monkeypatch):
  old = write(page(Text('Old.')), tmp_path)
  before = old.markdown.read_bytes()

  def fail(*_):
    raise OSError('the disk is full')

  monkeypatch.setattr(os, 'replace', fail)
  message = told(write, page(Text('New.')), tmp_path)
  assert f'{tmp_path} is where the report goes' in message
  assert 'cannot be written (the disk is full)' in message
  assert old.markdown.read_bytes() == before
  assert {path.name for path in tmp_path.iterdir()} == {
    'report.html',
    'report.json',
    'report.md',
  }


@pytest.mark.faults
@pytest.mark.parametrize('name', ['runs.csv', 'notes', 'report.html', 'sub/x'])
def test_files_of_others_are_refused(tmp_path, name):
  other = tmp_path / 'report' / name
  other.parent.mkdir(parents=True)
  other.write_text('mine')
  for refused in (writer.claim, write):
    arguments = (tmp_path / 'report', 'tests')
    if refused is write:
      arguments = (page(Text('New.')), tmp_path / 'report')
    message = told(refused, *arguments)
    assert f'holds other files ({name.split("/")[0]})' in message
  assert [x for x in other.parent.rglob('*') if x.is_file()] == [other]
  assert other.read_text() == 'mine'


def test_a_report_is_written_anew_by_its_owner_only(tmp_path):
  writer.claim(tmp_path / 'a', 'tests')
  write(page(Text('Old.')), tmp_path / 'a')
  # A file manager's, and one that came later under a name of no table.
  (tmp_path / 'a' / '.DS_Store').touch()
  (tmp_path / 'a' / 'notes.csv').write_text('mine')
  written = write(page(Text('New.')), tmp_path / 'a')
  assert 'New.' in written.markdown.read_text()
  message = told(writer.claim, tmp_path / 'a', 'runs on mnist')
  assert 'holds another report (tests)' in message
  # Now a table has that name.
  message = told(write, page(table(name='notes')), tmp_path / 'a')
  assert 'notes.csv is not of this report' in message
  assert (tmp_path / 'a' / 'notes.csv').read_text() == 'mine'
  assert 'New.' in written.markdown.read_text()


@pytest.mark.faults
@pytest.mark.parametrize('record', ['{}', '[1]', 'x', '{"report": "a"}'])
def test_a_foreign_record_is_refused(tmp_path, record):
  (tmp_path / 'report.json').write_text(record)
  assert "is not a report's" in told(writer.claim, tmp_path, 'tests')
  assert (tmp_path / 'report.json').read_text() == record


@pytest.mark.faults
def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
  (tmp_path / 'file').touch()
  for folder in (tmp_path / 'file', tmp_path / 'file' / 'report'):
    assert 'cannot be written (' in told(writer.claim, folder, 'tests')


def test_html_breaks_names_at_their_joints(tmp_path):
  block = table(['sl,a=1/<b>', '1'])
  written = write(page(block), tmp_path)
  text = written.html.read_text()
  assert 'sl,<wbr>a=<wbr>1/<wbr>&lt;b&gt;</div></th>' in text


@pytest.mark.parametrize(('parts', 'listed'), [(2, 0), (3, 3), (6, 6)])
def test_markdown_of_several_parts_begins_with_its_contents(
  parts, listed, tmp_path
):
  headings = [Heading(f'Part {n}: more & more') for n in range(parts)]
  write(page(*headings), tmp_path)
  text = (tmp_path / 'report.md').read_text()
  links = re.findall(r'\[Part \d.*\]\(#(.*)\)', text.partition('\n## ')[0])
  assert len(links) == listed and set(links) <= pages.anchors(text)
