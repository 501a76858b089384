"""Tables of files and labels."""

import csv
import json
import shutil

from hypothesis import strategies as st
import pytest

from tests.data import reading
from tests.data.reading import told
from tests.data.sources import odd, pictures

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


@pytest.mark.parametrize(
  ('labels', 'clean', 'names'),
  [
    # pandas makes floats of whole numbers, of which some are missing.
    (['0', '1', '1'], ['0.0', '', '1.0'], ('0', '1')),
    (['0.0', '1.0', '10.0'], ['0', '', '10'], ('0', '1', '10')),
    # And objects of booleans.
    (['True', 'False', 'True'], ['1.0', '', '0.0'], ('0', '1')),
    (['True', 'False', 'True'], ['True', '', 'False'], ('False', 'True')),
    # Not all are whole numbers.
    (['1', '1.5', '1.0'], ['1', '', ''], ('1', '1.0', '1.5')),
  ],
)
def test_labels_and_clean_labels_are_written_alike(
  labels, clean, names, folder
):
  rows = [
    {'file_name': file, 'label': label, 'clean_label': true}
    for file, label, true in zip(NAMES, labels, clean, strict=True)
  ]
  write(folder / 'own.csv', rows)
  assert read(folder).info.class_names == names


def test_clean_labels_of_other_classes_are_refused(folder):
  rows = [
    {'file_name': file, 'label': label, 'clean_label': true}
    for file, label, true in zip(NAMES, '010', ['', 'cat', 'dog'], strict=True)
  ]
  write(folder / 'own.csv', rows)
  assert (
    "no clean label, such as 'cat', is also a label, such as '0': write the"
    ' classes of both alike'
  ) in told(read, folder)


def test_a_limit_leaves_the_numbers_of_the_classes(folder):
  pictures.write(folder / '4.png', seed=3)
  rows = [
    {'file_name': file, 'label': label}
    for file, label in zip([*NAMES, '4.png'], 'badc', strict=True)
  ]
  write(folder / 'own.csv', rows)
  # Of four examples it leaves the first and the third.
  data = read(folder, limit=2)
  assert data.info.class_names == ('a', 'b', 'c', 'd')
  assert data.train.label.tolist() == [1, 3]
  assert data.train_names.tolist() == ['1.png', '3.png']


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


@pytest.mark.faults
@pytest.mark.parametrize(('rows', 'message'), REFUSED)
@pytest.mark.parametrize('suffix', ['csv', 'jsonl'])
def test_what_cannot_be_used_is_refused(rows, message, suffix, folder):
  write(folder / f'own.{suffix}', rows)
  assert message in told(read, folder / f'own.{suffix}')


@pytest.mark.faults
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
    (
      'own.jsonl',
      b'{"path": "1.png", "label": "a"}\n{"path": "3.png", "label": "\\ud800"}',
      "label '\\ud800' is no text of Unicode: rename it",
    ),
    ('own.jsonl', b'{"path": "1.png", "label": [1]}', 'label is of type list'),
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
  data = read(tmp_path / 'data')
  assert data.info.class_names == ('a', 'b')
  assert data.summary['warnings'][0] == (
    f'figures.csv beside the folders is not used: {tmp_path}/data/figures.csv'
    " lacks the column 'file_name': it must have file_name (or path, or image)"
    " and label; it has 'epoch', 'loss'"
  )
  message = told(read, tmp_path / 'data', source='table')
  assert "lacks the column 'file_name'" in message
  (tmp_path / 'data' / 'more.csv').write_text('')
  message = told(read, tmp_path / 'data', source='table')
  assert 'holds 2 tables' in message


def test_several_tables_beside_class_folders_are_told(tmp_path):
  for name in ('a/1.png', 'b/2.png'):
    pictures.write(tmp_path / name)
  for name in ('1.csv', '2.tsv'):
    write(tmp_path / name, [{'file_name': 'a/1.png', 'label': 'c'}])
  assert read(tmp_path).summary['warnings'][:2] == [
    f'{name} beside the folders is not used: there are 2 tables: name one with'
    ' config.data.path'
    for name in ('1.csv', '2.tsv')
  ]


def test_why_a_table_is_not_used_is_told_where_there_are_no_folders(folder):
  write(folder / 'own.csv', [{'filename': n, 'label': 'a'} for n in NAMES])
  shutil.rmtree(folder / 'x')
  message = told(read, folder)
  assert 'holds 2 images, but not in class folders' in message
  assert "own.csv lacks the column 'file_name'" in message


@pytest.mark.parametrize(
  ('columns', 'message'),
  [
    # Images themselves, as Hugging Face has them.
    (
      {'image': [{'bytes': b'PNG'}] * 3, 'label': [1, 2, 3]},
      'row 1: image is of type dict: give texts or numbers, and images as',
    ),
    ({'path': NAMES, 'label': [[1], [2], [3]]}, 'label is of type ndarray'),
    ({'path': NAMES, 'label': [1, 2, None]}, '1 of 3 rows have no label'),
  ],
)
def test_parquet_of_other_columns_is_refused(columns, message, folder):
  pandas = pytest.importorskip('pandas')
  pytest.importorskip('pyarrow')
  # So that what is missing is pandas.NA, not a float.
  frame = pandas.DataFrame(columns).convert_dtypes()
  frame.to_parquet(folder / 'own.parquet')
  assert message in told(read, folder / 'own.parquet')


CELLS = st.one_of(
  st.sampled_from(
    ['1.png', 'x/2.png', '3.png', 'a', 'b', '', ' ', '-1', 'nan']
  ),
  st.sampled_from(
    ['../../etc/passwd', '/etc/passwd', 'x', '.', '..', '~', 'a' * 300]
  ),
  st.text(max_size=6),
)
VALUES = st.one_of(
  CELLS,
  st.none(),
  st.booleans(),
  st.integers(),
  st.floats(),
  st.lists(st.integers(), max_size=2),
  st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
HEADERS = st.one_of(
  st.just(['file_name', 'label']),
  st.just(['image', 'label', 'split', 'clean_label']),
  st.lists(
    st.one_of(
      st.sampled_from(['file_name', 'path', 'label', 'split', 'clean_label']),
      st.text(max_size=4),
    ),
    min_size=1,
    max_size=5,
  ),
)


def rows_of(cells):
  return st.lists(st.lists(cells, min_size=1, max_size=5), max_size=4)


@st.composite
def tables(draw):
  """The name and the content of a table; of two rows some are all right."""
  suffix = draw(st.sampled_from(['csv', 'tsv', 'jsonl']))
  header = draw(HEADERS)
  rows = draw(rows_of(VALUES if suffix == 'jsonl' else CELLS))
  if draw(st.booleans()):
    header = ['file_name', 'label', 'split', 'clean_label']
    last = st.tuples(CELLS, st.sampled_from(['', 'Train', 'val']), CELLS)
    rows = [['1.png', 'a', '', ''], ['3.png', 'b', 'train', '']]
    rows.append(['x/2.png', *draw(last)])
  if suffix == 'jsonl':
    lines = [json.dumps(dict(zip(header, row, strict=False))) for row in rows]
    return suffix, '\n'.join(lines).encode()
  mark = '\t' if suffix == 'tsv' else ','
  cells = [header, *rows]
  if draw(st.booleans()):
    cells = [['"' + x.replace('"', '""') + '"' for x in row] for row in cells]
  text = '\n'.join(mark.join(row) for row in cells)
  return suffix, text.encode(errors='surrogatepass')


BYTES = st.tuples(
  st.sampled_from(['csv', 'tsv', 'jsonl', 'parquet']), st.binary(max_size=60)
)


@pytest.mark.faults
@odd.HOW_MANY
@pytest.mark.parametrize('strategy', [tables(), BYTES], ids=['cells', 'bytes'])
def test_odd_tables_are_used_or_refused(strategy, examples, folder, cache):
  def check(table):
    suffix, content = table
    path = folder / f'odd.{suffix}'
    path.write_bytes(content)
    data = odd.check(lambda: read(path), folder.parent, cache)
    assert data is None or len(data.train) <= len(NAMES)

  odd.for_all(strategy, check, examples)


@pytest.mark.faults
@odd.HOW_MANY
def test_odd_parquet_is_used_or_refused(examples, folder, cache):
  pandas = pytest.importorskip('pandas')
  pytest.importorskip('pyarrow')
  path = folder / 'odd.parquet'

  def check(table):
    header, columns, kind = table
    size = min(map(len, columns))
    frame = pandas.DataFrame(
      {
        name: column[:size]
        for name, column in zip(header, columns, strict=False)
      }
    )
    try:
      if kind:
        frame = frame.astype(kind)
      frame.to_parquet(path)
    except Exception:  # noqa: BLE001  Not each can be of each type, or written.
      return
    odd.check(lambda: read(path), folder.parent, cache)

  names = st.one_of(
    st.just(['1.png', '3.png']),
    st.lists(st.sampled_from(['1.png', '3.png', None]), min_size=2),
  )
  column = st.one_of(
    names,
    st.lists(CELLS, min_size=2),
    st.lists(st.one_of(st.none(), st.integers(0, 3)), min_size=2),
    st.lists(st.floats(), min_size=2),
    st.lists(st.lists(st.integers(0, 3), max_size=2), min_size=2),
    st.lists(st.dates(), min_size=2),
    st.lists(st.fixed_dictionaries({'bytes': st.binary()}), min_size=2),
  )
  columns = st.tuples(names, column, column, column)
  kinds = st.sampled_from([None, None, 'category', 'string', 'Int64'])
  odd.for_all(st.tuples(HEADERS, columns, kinds), check, examples)
