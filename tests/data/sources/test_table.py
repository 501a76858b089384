"""Tables of files and labels."""

import csv
import json
import shutil

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
import pytest

from sce_jax.errors import UserError
from tests.data import reading
from tests.data.reading import told
from tests.data.sources import pictures

pytestmark = pytest.mark.usefixtures('cache')
NAMES = ('1.png', 'x/2.png', '3.png')


def read(path, **changes):
  return reading.read('own', None, **{'path': str(path), **changes})


@pytest.fixture
def folder(tmp_path):
  for i, name in enumerate(NAMES):
    pictures.write(tmp_path / 'data' / name, seed=i)
  return tmp_path / 'data'


ROWS = [
  {'file_name': './1.png', 'label': 'b', 'split': '', 'clean_label': 'a'},
  {'file_name': 'x/2.png', 'label': 'a', 'split': 'train', 'clean_label': ''},
  {'file_name': '3.png', 'label': 'b', 'split': 'val', 'clean_label': 'c'},
]


def write(path, rows=ROWS):
  if path.suffix == '.jsonl':
    path.write_text('\n'.join(map(json.dumps, rows)))
  elif path.suffix == '.parquet':
    pandas = pytest.importorskip('pandas')
    pytest.importorskip('pyarrow')
    pandas.DataFrame(rows).to_parquet(path)
  else:
    with open(path, 'w', newline='') as file:
      dialect = 'excel-tab' if path.suffix == '.tsv' else 'excel'
      table = csv.DictWriter(file, list(rows[0]), dialect=dialect)
      table.writeheader()
      table.writerows(rows)


@pytest.mark.parametrize('suffix', ['csv', 'tsv', 'jsonl', 'parquet', 'CSV'])
def test_every_kind_of_table_is_read(suffix, folder):
  write(folder / f'own.{suffix}')
  # Also by its folder, in which it is the only one.
  for path in (folder / f'own.{suffix}', folder):
    data = read(path)
    assert data.train_names.tolist() == ['1.png', 'x/2.png']
    assert data.info.class_names == ('a', 'b', 'c')
    assert data.train.label.tolist() == [1, 0]
    assert data.train.clean_label.tolist() == [0, -1]
    assert data.info.clean_labels
    assert data.test.label.tolist() == [1]
    assert data.summary['source'] == f'table, own.{suffix}'


def test_numbers_are_labels_too(folder):
  rows = [
    {'image': name, 'label': k}
    for name, k in zip(NAMES, (10, 9, 9), strict=True)
  ]
  for suffix in ('csv', 'jsonl', 'parquet'):
    write(folder / f'own.{suffix}', rows)
    data = read(folder / f'own.{suffix}')
    assert data.info.class_names == ('9', '10')
    assert data.train.label.tolist() == [1, 0, 0]
    assert not data.info.clean_labels
  # Missing values make floats of whole numbers.
  write(folder / 'own.parquet', [row | {'clean_label': 9.0} for row in rows])
  assert read(folder / 'own.parquet').train.clean_label.tolist() == [0, 0, 0]


def test_labels_that_look_alike_are_told(folder):
  rows = [
    {'path': n, 'label': k}
    for n, k in zip(NAMES, ['a', ' a', 'A'], strict=True)
  ]
  write(folder / 'own.csv', rows)
  data = read(folder)
  assert data.info.class_names == (' a', 'A', 'a')
  assert data.summary['warnings'] == [
    "3 classes with one training example: ' a', 'A', 'a'",
    "labels ' a' and 'A' and 'a' differ only by case or spaces, and are used"
    ' as different classes',
  ]


def test_images_that_are_not_in_the_table_are_told(folder):
  write(folder / 'own.csv')
  shutil.copy(folder / '1.png', folder / 'x' / '4.png')
  assert (
    '1 images beside those of the table are not in it, such as x/4.png'
    in read(folder).summary['warnings']
  )


def changed(**values):
  return [ROWS[0], ROWS[1] | values, ROWS[2]]


REFUSED = [
  ([{'name': 'a', 'label': 'b'}], "lacks the column 'file_name'"),
  ([{'path': 'a', 'class': 'b'}], "lacks the column 'label'"),
  (changed(file_name='no.png'), "1 of 3 files are not there, the first is 'no"),
  (changed(file_name='x'), "1 of 3 files are not there, the first is 'x'"),
  (changed(file_name='x/../1.png'), "'1.png' stands twice, in rows 1 and 2"),
  (changed(file_name=' '), 'row 2 has no file_name'),
  (changed(label=''), '1 of 3 rows have no label, the first is row 2'),
  (changed(label='b'), "training split has 1 class, 'b'"),
  (changed(split='later'), "row 2: split is 'later': use one of train"),
]


@pytest.mark.parametrize(('rows', 'message'), REFUSED)
@pytest.mark.parametrize('suffix', ['csv', 'jsonl'])
def test_what_cannot_be_used_is_refused(rows, message, suffix, folder):
  write(folder / f'own.{suffix}', rows)
  assert message in told(read, folder / f'own.{suffix}')


@pytest.mark.parametrize(
  ('name', 'content', 'message'),
  [
    ('own.csv', b'', 'cannot be read as .csv'),
    ('own.csv', b'file_name,label\n', 'has no rows'),
    ('own.csv', b'\xff\xfe\x00', 'cannot be read as .csv'),
    ('own.csv', b'file_name,label\n1.png,a,b,c\n', 'cannot be read as .csv'),
    ('own.csv', b'file_name,label,LABEL\n1.png,a,b\n', "'label' twice"),
    ('own.jsonl', b'{', 'cannot be read as .jsonl: line 1'),
    ('own.jsonl', b'[1]', 'line 1 is no object'),
    ('own.parquet', b'PAR1', 'cannot be read as .parquet'),
  ],
)
def test_what_is_no_table_is_refused(name, content, message, folder):
  (folder / name).write_bytes(content)
  assert message in told(read, folder / name)


def test_a_folder_with_a_table_of_something_else_is_a_folder(tmp_path):
  for name in ('a/1.png', 'b/2.png'):
    pictures.write(tmp_path / 'data' / name)
  (tmp_path / 'data' / 'figures.csv').write_text('epoch,loss\n1,2\n')
  assert read(tmp_path / 'data').info.class_names == ('a', 'b')
  message = told(read, tmp_path / 'data', source='table')
  assert "lacks the column 'file_name'" in message
  (tmp_path / 'data' / 'more.csv').write_text('')
  message = told(read, tmp_path / 'data', source='table')
  assert 'holds 2 tables' in message


CELLS = st.one_of(
  st.sampled_from(
    ['1.png', 'x/2.png', '3.png', 'a', 'b', '', ' ', '-1', 'nan']
  ),
  st.sampled_from(
    ['../../etc/passwd', '/etc/passwd', 'x', '.', '..', '~', 'a' * 300]
  ),
  st.text(max_size=6),
)
HEADERS = st.lists(
  st.one_of(
    st.sampled_from(['file_name', 'path', 'label', 'split', 'clean_label']),
    st.text(max_size=4),
  ),
  min_size=1,
  max_size=5,
)


@settings(
  max_examples=400,
  deadline=None,
  suppress_health_check=list(HealthCheck),
)
@given(st.data())
def test_odd_tables_are_used_or_refused(folder, data):
  suffix = data.draw(st.sampled_from(['csv', 'tsv', 'jsonl']))
  header = data.draw(
    st.one_of(st.just(['file_name', 'label']), HEADERS), label='header'
  )
  rows = data.draw(
    st.lists(st.lists(CELLS, min_size=1, max_size=5), max_size=4), label='rows'
  )
  path = folder / f'odd.{suffix}'
  if suffix == 'jsonl':
    lines = [json.dumps(dict(zip(header, row, strict=False))) for row in rows]
    content = '\n'.join(lines)
  else:
    quoted = data.draw(st.booleans())
    mark = '\t' if suffix == 'tsv' else ','
    cells = [header, *rows]
    if quoted:
      cells = [['"' + x.replace('"', '""') + '"' for x in row] for row in cells]
    content = '\n'.join(mark.join(row) for row in cells)
  path.write_bytes(content.encode(errors='surrogatepass'))
  check(folder, path)


@settings(
  max_examples=200,
  deadline=None,
  suppress_health_check=list(HealthCheck),
)
@given(
  st.binary(max_size=60), st.sampled_from(['csv', 'tsv', 'jsonl', 'parquet'])
)
def test_bytes_are_used_or_refused(folder, content, suffix):
  path = folder / f'odd.{suffix}'
  path.write_bytes(content)
  check(folder, path)


def check(folder, path):
  """Reads a table; nothing else may end in an error or change a file."""
  before = sorted(folder.parent.rglob('*.*'))
  try:
    found = read(path)
    assert found.info.num_classes >= 2 and len(found.train) <= len(NAMES)
  except UserError as error:
    assert '\n' not in str(error)
  path.unlink()
  after = sorted(x for x in folder.parent.rglob('*.*') if x.suffix != '.npz')
  assert set(after) <= set(before)
