"""Files of labels, written here or by other programs."""

import pickle

import numpy as np
import pytest

from sce_jax.data import ids, label_files
from sce_jax.noise import Replaced
from tests.data.reading import told
from tests.noise.errors import refuses

_IDS = np.array([7, 3, 2**40])
_LABELS = np.array([1, 0, 9], np.uint8)
_CLEAN = np.array([1, 2, 9], np.int16)


def test_plain_numpy_reads_it(tmp_path):
  path = tmp_path / 'labels.npz'
  label_files.save_npz(path, _IDS, _LABELS, _CLEAN)
  with np.load(path, allow_pickle=False) as file:
    assert sorted(file) == ['clean_labels', 'digest', 'ids', 'labels']
    for name, array, dtype in [
      ('ids', _IDS, np.int64),
      ('labels', _LABELS, np.int32),
      ('clean_labels', _CLEAN, np.int32),
    ]:
      np.testing.assert_array_equal(file[name], array)
      assert file[name].dtype == dtype


def test_clean_labels_that_nobody_knows_are_not_there(tmp_path):
  path = tmp_path / 'labels.npz'
  label_files.save_npz(path, _IDS, _LABELS)
  with np.load(path, allow_pickle=False) as file:
    assert sorted(file) == ['digest', 'ids', 'labels']


def test_which_images_were_replaced_is_in_the_digest(tmp_path):
  path = tmp_path / 'labels.npz'
  replaced = Replaced('svhn', _IDS[:2].astype(np.int64), np.array([5, 6]))
  label_files.save_npz(path, _IDS, _LABELS, replaced=replaced)
  assert label_files.read_replaced(path).images.tolist() == [5, 6]
  with np.load(path, allow_pickle=False) as file:
    arrays = dict(file)
  for name in ('replaced_ids', 'replaced_by', 'replaced_from'):
    for changed in (arrays[name][..., None][:0], None):
      other = arrays | {name: changed}
      if changed is None:
        del other[name]
      np.savez(path, **other)
      assert 'another digest' in told(label_files.read, path)
  # As an earlier version wrote it: of the labels alone.
  plain = tmp_path / 'plain.npz'
  label_files.save_npz(plain, _IDS, _LABELS)
  with np.load(plain, allow_pickle=False) as file:
    np.savez(path, **(arrays | {'digest': file['digest']}))
  assert label_files.read_replaced(path).images.tolist() == [5, 6]


@pytest.mark.faults
def test_damage_behind_the_labels_is_told_in_a_line(tmp_path):
  path = tmp_path / 'labels.npz'
  label_files.save_npz(path, _IDS, _LABELS, _CLEAN)
  content = bytearray(path.read_bytes())
  content[content.index(b'clean_labels.npy') + 40] ^= 255
  path.write_bytes(content)
  for read in (label_files.read_clean, label_files.read_replaced):
    assert told(read, path).startswith(f'{path}: is no .npz file')


def check(path):
  """It holds _IDS and _LABELS."""
  ids, labels = label_files.read(path)
  np.testing.assert_array_equal(ids, _IDS)
  np.testing.assert_array_equal(labels, _LABELS)
  assert (ids.dtype, labels.dtype) == (np.int64, np.int32)


def test_reads_what_it_saved(tmp_path):
  path = str(tmp_path / 'labels.npz')
  label_files.save_npz(path, _IDS[:1], _LABELS[:1], _CLEAN[:1])
  label_files.save_npz(path, _IDS, _LABELS, _CLEAN)
  check(path)


@pytest.mark.parametrize('save', [np.savez, np.savez_compressed])
def test_reads_what_another_program_saved(save, tmp_path):
  path = tmp_path / 'labels.npz'
  save(path, ids=_IDS, labels=_LABELS, clean_labels=_CLEAN, extra=_IDS)
  check(path)
  save(path, ids=_IDS, labels=_LABELS.astype(np.int64))
  check(path)


@pytest.mark.parametrize(
  'text',
  [
    f'example_id,label\n7,1\n3,0\n{2**40},9\n',
    # Other columns, another order, spaces, no last line end.
    f'label,note,example_id\n1,"a, b",7\n 0,,3\n9,x,{2**40}',
    # From Excel: a byte order mark and its line ends.
    f'\ufeffexample_id,label\r\n7,1\r\n3,0\r\n{2**40},9\r\n',
    # Line ends of old Macs.
    f'example_id,label\r7,1\r3,0\r{2**40},9\r',
  ],
)
def test_reads_a_table(text, tmp_path):
  path = tmp_path / 'labels.csv'
  path.write_bytes(text.encode())
  check(path)


@pytest.mark.parametrize('name', ['labels.csv', 'labels.npz'])
def test_ids_may_be_any_text(name, tmp_path):
  path = tmp_path / name
  given = ['0.png', 'train_12', '00000000-ab', '5000000000']
  if path.suffix == '.npz':
    np.savez(path, ids=np.array(given), labels=np.arange(4))
  else:
    rows = [f'{i},{label}' for label, i in enumerate(given)]
    path.write_text('\n'.join(['example_id,label', *rows]))
  found, labels = label_files.read(path)
  np.testing.assert_array_equal(found, ids.to_numbers(given))
  assert found[[1, 3]].tolist() == [12, 5_000_000_000]
  assert labels.tolist() == [0, 1, 2, 3]


@pytest.mark.faults
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
  tmp_path, monkeypatch
):
  path = tmp_path / 'labels.npz'
  label_files.save_npz(path, _IDS, _LABELS, _CLEAN)

  def fail(file, **arrays):
    file.write(b'half of a file')
    raise OSError('disk full')

  monkeypatch.setattr(np, 'savez_compressed', fail)
  with pytest.raises(OSError, match='disk full'):
    label_files.save_npz(path, _IDS, _CLEAN, _CLEAN)
  assert list(tmp_path.iterdir()) == [path]
  check(path)


def test_refuses_to_save_what_it_could_not_read(tmp_path):
  path = tmp_path / 'labels.npz'
  save = label_files.save_npz
  twice = np.array([7, 7, 3])
  refuses('ids must be unique', save, path, twice, _LABELS, _CLEAN)
  refuses('labels must be a', save, path, _IDS, _LABELS[:2], _CLEAN)
  refuses('clean labels must be a', save, path, _IDS, _LABELS, _CLEAN / 2)
  refuses(
    "as .npz, not as 'labels.npy'",
    save,
    tmp_path / 'labels.npy',
    _IDS,
    _LABELS,
    _CLEAN,
  )
  assert not list(tmp_path.iterdir())


def refusal(path):
  """What is wrong with a file, without its name."""
  message = told(label_files.read, path)
  assert message.startswith(f'{path}: ')
  return message.removeprefix(f'{path}: ')


@pytest.mark.faults
@pytest.mark.parametrize(
  ('arrays', 'message'),
  [
    ({'ids': _IDS}, 'lacks labels: a file of labels holds ids and labels'),
    ({'a': _IDS}, 'lacks ids, labels: a file of labels holds ids and labels'),
    (
      {'ids': _IDS, 'labels': _LABELS[:1]},
      'labels must be a NumPy array of integers of shape [3], not uint8 of'
      ' shape [1]',
    ),
    (
      {'ids': _IDS, 'labels': _LABELS / 2},
      'labels must be a NumPy array of integers of shape [3], not float64 of'
      ' shape [3]',
    ),
    (
      {'ids': _IDS[:, None], 'labels': _LABELS},
      'ids must be of shape [N], not [3, 1]',
    ),
    (
      {'ids': np.array([7, 3, 7]), 'labels': _LABELS},
      'id 7 stands twice, at places 0 and 2 from 0 on: give each example one',
    ),
    # What does not fit into int32 must not become another label.
    ({'ids': _IDS, 'labels': np.array([1, 0, 2**32 + 1])}, ''),
    (
      {'ids': _IDS, 'labels': _LABELS.astype(object)},
      'is no .npz file (it holds Python objects, which could run code: save',
    ),
    (
      {'ids': _IDS.astype(object), 'labels': _LABELS},
      'is no .npz file (it holds Python objects, which could run code: save',
    ),
  ],
)
def test_refuses_other_arrays(arrays, message, tmp_path):
  path = tmp_path / 'labels.npz'
  np.savez(path, **arrays)
  assert refusal(path).startswith(message)


def single_array(path):
  with open(path, 'wb') as file:
    np.save(file, _LABELS)


def cut_off(path):
  np.savez(path, ids=_IDS, labels=_LABELS)
  path.write_bytes(path.read_bytes()[:-40])


def damaged(path):
  np.savez_compressed(path, ids=np.arange(1000), labels=np.arange(1000))
  content = bytearray(path.read_bytes())
  content[200:300] = bytes(100)
  path.write_bytes(content)


@pytest.mark.faults
@pytest.mark.parametrize(
  'write',
  [
    lambda path: path.write_bytes(b''),
    lambda path: path.write_bytes(b'no zip, but some text\n' * 9),
    lambda path: path.write_bytes(pickle.dumps({'ids': _IDS})),
    single_array,
    cut_off,
    damaged,
  ],
  ids=['empty', 'text', 'pickle', 'npy', 'cut off', 'damaged'],
)
def test_refuses_what_is_no_npz(write, tmp_path):
  path = tmp_path / 'labels.npz'
  write(path)
  said = refusal(path)
  assert said.startswith(('is no .npz file (', 'is a single array, not an'))
  assert 'allow_pickle' not in said and 'unsafely' not in said


@pytest.mark.faults
@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('', 'lacks the column(s) example_id, label: a file of labels has a'),
    ('id,label\n1,2\n', 'lacks the column(s) example_id: a file of labels'),
    ('example_id,Label\n1,2\n', 'lacks the column(s) label: '),
    ('1,2\n3,4\n', 'lacks the column(s) example_id, label: '),
    (
      'example_id,label\n1,2\n3,cat\n',
      'line 3: give an example_id, and as label a whole number, not'
      " '3' and 'cat'",
    ),
    ('example_id,label\n1,2.0\n', 'line 2: give an example_id, and as label'),
    ('example_id,label\n1\n', "whole number, not '1' and None"),
    ('label,example_id\n1\n', "whole number, not None and '1'"),
    ('example_id,label\n1,2\n\n1,0\n', "id '1' stands twice, at places 0"),
    (f'example_id,label\n1,{2**40}\n', ''),
    (f'example_id,label\n{"1" * 2**18},0\n', 'field larger than field limit'),
  ],
)
def test_refuses_other_tables(text, message, tmp_path):
  path = tmp_path / 'labels.csv'
  path.write_text(text)
  assert message in refusal(path)


@pytest.mark.faults
def test_refuses_a_table_that_is_no_text(tmp_path):
  path = tmp_path / 'labels.csv'
  path.write_bytes(b'example_id,label\n\xff\xfe,1\n')
  assert refusal(path)


@pytest.mark.parametrize('name', ['labels.npz', 'labels.csv'])
def test_refuses_a_file_that_is_not_there(name, tmp_path):
  assert refusal(tmp_path / name) == (
    'the file of labels cannot be read (No such file or directory)'
  )
  (tmp_path / name).mkdir()
  assert 'cannot be read (Is a directory)' in refusal(tmp_path / name)


@pytest.mark.parametrize('name', ['labels.npy', 'labels', 'labels.txt'])
def test_refuses_other_kinds_of_files(name, tmp_path):
  path = tmp_path / name
  path.write_text('example_id,label\n1,2\n')
  assert refusal(path) == 'a file of labels ends in .npz or .csv'


NUMBERED = ('1', '2', '3')  # Titles that are numbers, but not their places.


@pytest.mark.parametrize(
  ('titles', 'given', 'expected'),
  [
    (NUMBERED, ['3', ' 1', '2'], [2, 0, 1]),
    (('-1', '1'), ['1', '-1', '1'], [1, 0, 1]),
    (('cat', 'dog'), ['dog', 'cat ', '1'], [1, 0, 1]),
    ((' a', 'a'), [' a', 'a', '1'], [0, 1, 1]),
    (('0', '1', '2'), ['2', '0', '1'], [2, 0, 1]),
  ],
)
def test_a_label_may_be_the_title_of_a_class(titles, given, expected, tmp_path):
  table = tmp_path / 'labels.csv'
  rows = [f'{i},{label}' for i, label in enumerate(given)]
  table.write_text('\n'.join(['example_id,label', *rows]))
  assert label_files.read(table, titles)[1].tolist() == expected
  assert label_files.read_choices(table, titles)[1].tolist() == expected
  path = tmp_path / 'labels.npz'
  np.savez(path, ids=np.arange(3), labels=np.array(given))
  assert label_files.read(path, titles)[1].tolist() == expected


def test_numbers_in_a_file_of_others_are_titles_where_these_differ(tmp_path):
  path = tmp_path / 'labels.npz'
  np.savez(path, ids=_IDS, labels=np.array([3, 1, 2]))
  assert label_files.read(path, NUMBERED)[1].tolist() == [2, 0, 1]
  assert label_files.read(path)[1].tolist() == [3, 1, 2]
  # What is written here are places, as noise.npz of a run.
  label_files.save_npz(path, _IDS, np.array([2, 0, 1]))
  assert label_files.read(path, NUMBERED)[1].tolist() == [2, 0, 1]


@pytest.mark.parametrize(
  ('titles', 'label', 'message'),
  [
    (NUMBERED, '0', "one of the classes '1', '2', '3', not '7' and '0'"),
    (
      ('cat', 'dog'),
      'cow',
      "one of the classes 'cat', 'dog', or a whole number, not '7' and 'cow'",
    ),
    (tuple('abcdefghij'), 'z', "'g', 'h' and 2 more, or a whole number, not"),
  ],
)
def test_a_label_that_is_no_title_is_refused(titles, label, message, tmp_path):
  path = tmp_path / 'labels.csv'
  path.write_text(f'example_id,label\n7,{label}\n')
  assert message in told(label_files.read, path, titles)
  path = tmp_path / 'labels.npz'
  np.savez(path, ids=[7], labels=np.array([label]))
  line = told(label_files.read, path, titles)
  assert f'label {label!r} is not one of the classes' in line


def test_choices_are_labels_or_drop(tmp_path):
  path = tmp_path / 'choices.csv'
  path.write_text('example_id,label\n7, drop\n3,0\ntrain_5,9\n')
  ids, labels = label_files.read_choices(path)
  assert ids.tolist() == [7, 3, 5]
  assert labels.tolist() == [label_files.DROP, 0, 9]
  # Of what a data set is labelled with, nothing can be dropped.
  assert "not '7' and ' drop'" in told(label_files.read, path)
  path.write_text('example_id,label\n7,keep\n')
  message = told(label_files.read_choices, path)
  assert "a whole number or drop, not '7' and 'keep'" in message
  assert 'ends in .csv' in told(label_files.read_choices, tmp_path / 'c.npz')
