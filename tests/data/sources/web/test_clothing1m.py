"""Clothing1M's lists as they are found: their traps, counts, splits, T."""

import numpy as np
import pytest

from sce_jax.data.sources.web import clothing1m, listing
from tests import fake_web
from tests.data.reading import data_config, read, told


def find(folder):
  return clothing1m.find(data_config('clothing1m', path=str(folder)))


def write_lists(folder, noisy, clean, splits, names=clothing1m.CLASSES):
  """Lists of 'NAME LABEL' and of names, by hand."""
  for file, lines in (('noisy_label_kv', noisy), ('clean_label_kv', clean)):
    fake_web._write_list(folder / f'{file}.txt', lines)
  for split in ('noisy_train', 'clean_train', 'clean_val', 'clean_test'):
    lines = splits.get(split, ())
    fake_web._write_list(folder / f'{split}_key_list.txt', lines)
  fake_web._write_list(folder / 'category_names_eng.txt', names)


SMALL = {
  'noisy': ['images/0/00/a,b c.jpg 3', 'images/1/b.jpg 13', 'images/1/t.jpg 2'],
  'clean': ['images/1/t.jpg 5', 'images/2/v.jpg 0'],
  'splits': {
    'noisy_train': ['images/0/00/a,b c.jpg', 'images/1/b.jpg'],
    'clean_test': ['images/1/t.jpg'],
    'clean_val': ['images/2/v.jpg'],
  },
}


def test_names_with_commas_and_spaces_and_no_final_newline(tmp_path):
  write_lists(tmp_path, **SMALL)
  splits = find(tmp_path).splits
  train = splits['noisy_train']
  assert dict(zip(train.names, train.noisy_label.tolist(), strict=True)) == {
    'images/0/00/a,b c.jpg': 3,
    'images/1/b.jpg': 13,
  }
  assert splits['test'].names == ['images/1/t.jpg']
  assert splits['test'].clean_label.tolist() == [5]
  assert splits['test'].noisy_label.tolist() == [2]
  assert splits['validation'].noisy_label.tolist() == [-1]


def test_windows_line_ends_and_lists_in_annotations(tmp_path):
  write_lists(tmp_path / 'annotations', **SMALL)
  for file in (tmp_path / 'annotations').iterdir():
    file.write_bytes(
      b'\xef\xbb\xbf' + file.read_bytes().replace(b'\n', b'\r\n')
    )
  found = find(tmp_path)
  assert len(found.splits['noisy_train']) == 2 and found.root == tmp_path
  assert found.class_names[0] == 'T-Shirt'


def test_lines_that_lack_something_are_told(tmp_path):
  small = {**SMALL, 'clean': [*SMALL['clean'], 'images/5/x.jpg']}
  small['splits'] = {
    **SMALL['splits'],
    'noisy_train': [*SMALL['splits']['noisy_train'], 'images/9/n.jpg'],
    'clean_val': ['images/2/v.jpg', 'images/1/t.jpg'],
  }
  write_lists(tmp_path, **small)
  found = find(tmp_path)
  told_of = '\n'.join(found.warnings)
  assert 'clean_label_kv.txt: 1 lines without a name or a label' in told_of
  assert 'the first is line 3' in told_of
  assert '1 files of the noisy_train list have no label' in told_of
  # In two splits: it stays a test image.
  assert '1 lines of the validation list are left out' in told_of
  assert found.splits['validation'].names == ['images/2/v.jpg']


def test_counts_are_compared_with_the_published_ones(tmp_path):
  write_lists(tmp_path, **SMALL)
  (warning,) = find(tmp_path).warnings
  assert 'noisy_train 2 (1,000,000)' in warning
  assert 'clean_train 0 (47,570)' in warning
  assert 'validation 1 (14,313), test 1 (10,526)' in warning


def test_published_counts_add_up():
  """facts: 1,000,000 and 72,409; the largest balanced set is 14 x 18,976."""
  sizes = {split: sum(x) for split, x in clothing1m.COUNTS.items()}
  assert sizes == {
    'noisy_train': 1_000_000,
    'clean_train': 47_570,
    'validation': 14_313,
    'test': 10_526,
  }
  assert min(clothing1m.COUNTS['noisy_train']) * 14 == 265_664


def test_exchanged_lists_are_noticed(tmp_path, monkeypatch):
  """Validation 1 and test 2, where 2 and 1 are published."""
  splits = {**SMALL['splits'], 'clean_test': ['images/1/t.jpg', 'images/u.jpg']}
  clean = [*SMALL['clean'], 'images/u.jpg 1']
  write_lists(tmp_path, **{**SMALL, 'clean': clean, 'splits': splits})
  counts = {'validation': (2,), 'test': (1,)}
  monkeypatch.setattr(clothing1m, 'COUNTS', counts)
  assert 'are clean_val_key_list.txt and clean_test_key_list.txt' in ' '.join(
    find(tmp_path).warnings
  )


def test_t_is_measured_on_images_with_both_labels(tmp_path):
  names = [f'{i}.jpg' for i in range(6)]
  made = listing.make(
    'x',
    'x',
    tmp_path,
    ['a', 'b', 'c'],
    {'noisy_train': names[5:], 'clean_train': names[:3], 'test': names[3:5]},
    {'0.jpg': 0, '1.jpg': 1, '3.jpg': 1, '4.jpg': 1, '5.jpg': 2},
    {'0.jpg': 0, '1.jpg': 0, '2.jpg': 2, '3.jpg': 0, '4.jpg': 1},
  )
  # Of clean 0: one 0, two 1; of clean 1: one 1; of clean 2 none has both.
  assert made.both == [[1, 2, 0], [0, 1, 0], [0, 0, 0]]
  expected = [[1 / 3, 2 / 3, 0], [0, 1, 0], [0, 0, 1]]
  np.testing.assert_allclose(listing.transition(made.both), expected)


@pytest.mark.faults
@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    (
      {'noisy': ['images/1/b.jpg 14']},
      'has label 14, but there are names of 14',
    ),
    ({'noisy': ['images/1/b.jpg 99999999999999']}, 'has label 999999999'),
    (
      {'noisy': ['a.jpg 1', 'a.jpg 2']},
      "'a.jpg' has label 2 here and 1 before",
    ),
    ({'noisy': ['a.jpg,1', 'b.jpg']}, 'no line reads NAME LABEL'),
    ({'names': ['one', 'two']}, 'names 2 classes, but Clothing1M has 14'),
    ({'noisy': ['../b.jpg 1'], 'train': ['../b.jpg']}, 'leaves the folder'),
    ({'noisy': ['other.jpg 1']}, 'no training image has a label'),
  ],
)
def test_lists_that_cannot_be_used(changes, message, tmp_path):
  changes = dict(changes)
  train = changes.pop('train', None)
  small = {**SMALL, **changes}
  if train:
    small['splits'] = {**SMALL['splits'], 'noisy_train': train}
  write_lists(tmp_path, **small)
  assert message in told(find, tmp_path)


def test_a_folder_without_lists(tmp_path):
  message = told(find, tmp_path)
  assert 'lacks noisy_label_kv.txt, clean_label_kv.txt' in message
  assert '--config.data.path' in message
  assert 'there is no' in told(find, tmp_path / 'nowhere')
  (tmp_path / 'file').touch()
  assert 'is a file' in told(find, tmp_path / 'file')
  message = told(read, 'clothing1m')
  assert 'clothing1m is not prepared in' in message
  assert '--config.data.path' in message and '--data_dir' in message


@pytest.mark.faults
def test_a_damaged_list(tmp_path):
  write_lists(tmp_path, **SMALL)
  (tmp_path / 'clean_test_key_list.txt').write_bytes(b'images/\xff.jpg')
  assert 'is no text in UTF-8, from byte 7 on' in told(find, tmp_path)
