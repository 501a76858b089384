"""Folders of class folders, to a trained run."""

import csv
import json
import os
import shutil
import string
import sys

from hypothesis import strategies as st
import numpy as np
import pytest

from experiments.cli import runtime
from sce_jax.data import ids, labels
from sce_jax.data.sources import summary
from sce_jax.runs import files
from sce_jax.runs import read as read_runs
from tests.data import reading
from tests.data.reading import told
from tests.data.sources import odd, pictures

pytestmark = pytest.mark.usefixtures('cache')


def read(path, **changes):
  return reading.read('own', None, **{'path': str(path), **changes})


def write(root, *names, **options):
  for i, name in enumerate(names):
    pictures.write(root / name, seed=i, **options)


def test_the_first_folder_is_the_class(tmp_path):
  write(tmp_path, 'dog/b/2.png', 'cat/1.PNG', 'dog/a/1.JPG', '.git/x/1.png')
  write(tmp_path, 'cat/.hidden.png')
  (tmp_path / 'dog' / 'notes.txt').write_text('no image')
  data = read(tmp_path)
  assert data.info.class_names == ('cat', 'dog')
  assert data.info.image_shape == (8, 8, 3)
  assert data.train_names.tolist() == [
    'cat/1.PNG',
    'dog/a/1.JPG',
    'dog/b/2.png',
  ]
  assert data.train.label.tolist() == [0, 1, 1]
  assert (
    data.train.example_id.tolist()
    == ids.to_numbers(['cat/1.PNG', 'dog/a/1.JPG', 'dog/b/2.png']).tolist()
  )
  assert data.train.clean_label is None and not data.info.clean_labels
  assert data.test is None
  assert data.summary['classes'] == {'training': {'cat': 1, 'dog': 2}}
  assert "1 class with one training example: 'cat'" in data.summary['warnings']


def test_numbers_are_in_order_of_their_values(tmp_path):
  write(tmp_path, '10/a.png', '9/a.png', '0/a.png')
  assert read(tmp_path).info.class_names == ('0', '9', '10')


@pytest.mark.parametrize('held', ['val', 'valid', 'Validation', 'test'])
def test_splits_are_found(held, tmp_path):
  write(tmp_path, 'train/a/1.png', 'train/b/2.png', f'{held}/b/3.png')
  data = read(tmp_path)
  assert data.train_names.tolist() == ['train/a/1.png', 'train/b/2.png']
  assert data.test.label.tolist() == data.test.clean_label.tolist() == [1]
  assert not data.info.noisy_test
  is_test = held == 'test'
  assert data.summary['notes'] == (
    [] if is_test else ['the validation split is used as the test split']
  )


def test_the_test_split_stands_before_validation(tmp_path):
  write(tmp_path, 'train/a/1.png', 'train/b/2.png', 'val/a/3.png')
  write(tmp_path, 'test/b/4.png', 'test/c/5.png')
  data = read(tmp_path)
  assert data.test.label.tolist() == [1, 2]
  assert data.summary['notes'] == [
    'the validation split, 1 images, is not used'
  ]
  assert "1 class with no training example: 'c'" in data.summary['warnings']


def test_folders_and_classes_without_images_are_told(tmp_path):
  write(tmp_path, 'train/a/1.png', 'train/b/2.png', 'train/d/3.png')
  write(tmp_path, 'test/b/4.png')
  for name in ('train/c', 'test/c', 'val', 'test/.e'):
    (tmp_path / name).mkdir()
  (tmp_path / 'train' / 'd' / '3.png').write_bytes(b'')
  data = read(tmp_path, max_unreadable=0.3)
  assert data.info.class_names == ('a', 'b')
  assert data.summary['warnings'][:4] == [
    "1 folder(s) without images: 'val'",
    "1 folder(s) without images: 'test/c'",
    "1 folder(s) without images: 'train/c'",
    "no example of class 'd' can be read",
  ]


def test_splits_without_a_training_split_are_no_classes(tmp_path):
  write(tmp_path, 'test/a/1.png', 'test/b/2.png', 'val/a/3.png')
  assert told(read, tmp_path).endswith(
    "has 'test' and 'val', but no folder train: give that name to the images"
    ' that are to be trained on'
  )


@pytest.mark.faults
def test_names_cannot_break_a_line(tmp_path):
  write(tmp_path, 'a/1\n.png', 'b/\x1b[31m2.png', 'b/3.png')
  shutil.copy(tmp_path / 'a' / '1\n.png', tmp_path / 'b' / '4\n.png')
  bad = os.fsencode(tmp_path / 'b') + b'/\xff.png'
  shutil.copy(tmp_path / 'b' / '3.png', bad)
  data = read(tmp_path, max_unreadable=0.2)
  lost = r'the first: b/\udcff.png (its name is not in UTF-8: rename it)'
  assert summary.lines(data.summary)[-3:] == [
    f'warning: 1 file left out, named in data.json; {lost}',
    "warning: 1 class with one training example: 'a'",
    'warning: copies of images with another label: 1, such as b/4\\n.png of'
    ' a/1\\n.png',
  ]
  assert told(read, tmp_path).endswith(lost)


def test_a_class_may_be_called_train(tmp_path):
  write(tmp_path, 'plane/1.png', 'train/1.png')
  assert read(tmp_path).info.class_names == ('plane', 'train')


@pytest.mark.faults
def test_links_are_followed_but_not_in_circles(tmp_path):
  write(tmp_path / 'elsewhere', '1.png')
  write(tmp_path / 'data', 'a/1.png')
  (tmp_path / 'data' / 'b').symlink_to(tmp_path / 'elsewhere')
  (tmp_path / 'data' / 'a' / 'up').symlink_to(tmp_path / 'data')
  (tmp_path / 'data' / 'a' / 'gone.png').symlink_to(tmp_path / 'nothing')
  names = read(tmp_path / 'data', max_unreadable=0.5).train_names.tolist()
  assert names == ['a/1.png', 'b/1.png']


@pytest.mark.faults
def test_links_that_are_no_use_are_left_out(tmp_path):
  write(tmp_path / 'data', 'a/1.png', 'b/2.png')
  (tmp_path / 'data' / 'itself').symlink_to(tmp_path / 'data' / 'itself')
  assert len(read(tmp_path / 'data').train) == 2
  # 2^20 paths to one image.
  folder = tmp_path / 'data' / 'a'
  for _ in range(20):
    (folder / 'x').mkdir()
    (folder / 'y').symlink_to(folder / 'x')
    folder = folder / 'x'
  write(folder, '1.png')
  assert 'is reached by more than 100 paths' in told(read, tmp_path / 'data')


@pytest.mark.slow  # A thousand folders deep, which the system walks slowly.
@pytest.mark.faults
def test_folders_may_lie_deeper_than_pythons_stack(tmp_path, monkeypatch):
  write(tmp_path / 'data', 'a/1.png', 'b/2.png')
  monkeypatch.chdir(tmp_path / 'data' / 'a')
  for _ in range(sys.getrecursionlimit()):
    os.mkdir('d')
    os.chdir('d')
  shutil.copy(tmp_path / 'data' / 'a' / '1.png', '3.png')
  deep = f'a/{"d/" * sys.getrecursionlimit()}3.png'
  names = read(tmp_path / 'data').train_names.tolist()
  assert names == ['a/1.png', deep, 'b/2.png']
  os.remove('3.png')
  for _ in range(sys.getrecursionlimit()):  # pytest cannot remove it.
    os.chdir('..')
    os.rmdir('d')


def test_a_limit_takes_some_at_random(tmp_path):
  for k in range(3):
    write(tmp_path, *(f'{k}/{i}.png' for i in range(20)))
  data = read(tmp_path, limit=12)
  assert len(data.train) == 12 and set(data.train.label) == {0, 1, 2}
  again = read(tmp_path, limit=12)
  assert data.train_names.tolist() == again.train_names.tolist()


REFUSED = [
  ((), 'holds no images (.jpg, .jpeg, .png'),
  (('1.png', '2.png'), 'holds 2 images, but not in class folders'),
  (('a/1.png', 'a/2.png'), "training split has 1 class, 'a': at least 2"),
  (('train/a/1.png', 'train/b/1.png', 'test/a/1.png', 'more/1.png'), "'more'"),
  (('train/a/1.png', 'train/2.png', 'test/a/1.png'), 'in no class folder'),
  (
    ('train/a/1.png', 'train/b/1.png', 'holdout/b/1.png', 'holdout/c/1.png'),
    "'train' is the name of a split, and 'holdout' is not, but both have a"
    " folder 'b': call splits train, training, test, testing, val, valid,"
    " validation, or rename 'train' if it is a class",
  ),
  (('dev/a/1.png', 'Test/a/1.png', 'Test/b/1.png'), "'Test' is the name of a"),
]


@pytest.mark.faults
@pytest.mark.parametrize(('names', 'message'), REFUSED)
def test_what_is_no_data_set_is_refused(names, message, tmp_path):
  (tmp_path / 'data').mkdir()
  write(tmp_path / 'data', *names)
  assert message in told(read, tmp_path / 'data')


@pytest.mark.faults
@pytest.mark.parametrize(
  ('path', 'message'),
  [
    (None, 'needs the data: give --config.data.path'),
    ('nowhere', 'there is no nowhere'),
    ('a\0b', 'there is no'),
    ('gs://bucket/x', 'copy them to this machine'),
    (__file__, 'give a folder of class folders, a table'),
  ],
)
def test_a_path_that_cannot_be_used_is_refused(path, message):
  assert message in told(reading.read, 'own', None, path=path)


def test_copies_are_told(tmp_path):
  write(tmp_path, 'train/a/1.png', 'train/b/2.png', 'train/a/3.png')
  train = tmp_path / 'train'
  shutil.copy(train / 'a' / '1.png', train / 'a' / '4.png')
  shutil.copy(train / 'a' / '1.png', train / 'b' / '5.png')
  (tmp_path / 'test' / 'a').mkdir(parents=True)
  shutil.copy(train / 'b' / '2.png', tmp_path / 'test' / 'a' / '6.png')
  write(tmp_path, 'train/A/7.png', mode='L')
  warnings = read(tmp_path).summary['warnings']
  assert warnings == [
    "1 class with one training example: 'A'",
    "labels 'A' and 'a' differ only by case or spaces, and are used as"
    ' different classes',
    'copies of images with another label: 1, such as train/b/5.png of'
    ' train/a/1.png',
    'copies of images with the same label: 1, such as train/a/4.png of'
    ' train/a/1.png',
    'test images that are copies of training images: 1, such as test/a/6.png'
    ' of train/b/2.png',
  ]


def test_files_of_labels_that_do_not_fit_are_told_by_file_names(tmp_path):
  write(tmp_path / 'data', 'a/1.png', 'a/2.png', 'b/3.png', 'b/4.png')
  table = tmp_path / 'labels.csv'
  table.write_text('example_id,label\na/1.png,b\nb/5.png,a\n')
  message = told(read, tmp_path / 'data', relabel=str(table))
  assert message == (
    f"{table}: there is no training example 'b/5.png': are these choices for"
    ' other data, or do config.data.limit or config.data.held_out leave it out?'
  )
  noise = labels.NoiseConfig('file', 0.0, 'exact', None, str(table))
  message = told(labels.apply_label_noise, read(tmp_path / 'data'), noise, 0)
  assert message == (
    f"{table}: there is no label for example 'a/2.png': give each training"
    ' example one, by its file name'
  )


def test_held_out_examples_are_a_share_of_each_class(tmp_path):
  write(tmp_path, *(f'a/{i}.png' for i in range(10)))
  write(tmp_path, *(f'b/{i}.png' for i in range(5)), 'c/1.png', mode='L')
  data = read(tmp_path, held_out=0.2)
  assert np.bincount(data.test.label, minlength=3).tolist() == [2, 1, 0]
  assert np.bincount(data.train.label).tolist() == [8, 4, 1]
  assert data.info.noisy_test
  assert (data.info.num_train, data.info.num_test) == (13, 3)
  assert not {*data.train.example_id} & {*data.test.example_id}
  assert len(data.train_names) == 13
  assert data.summary['classes']['test'] == {'a': 2, 'b': 1, 'c': 0}
  # Labels that are the true ones are not noisy.
  assert not read(tmp_path, held_out=0.2, clean_labels=True).info.noisy_test
  # Which ones depends on nothing else.
  (tmp_path / 'a' / '3.png').unlink()
  fewer = read(tmp_path, held_out=0.2)
  assert len({*fewer.test.example_id} & {*data.test.example_id}) >= 2
  assert 'give a larger share' in told(read, tmp_path, held_out=0.01)


def test_copies_and_rare_classes_are_those_once_examples_are_held_out(
  tmp_path,
):
  for i in range(10):
    pictures.write(tmp_path / 'a' / f'{i}.png')  # All the same.
  for i in (1, 2):
    pictures.write(tmp_path / 'b' / f'{i}.png', seed=i)
  # Five of a and one of b are held out.
  told = read(tmp_path, held_out=0.5).summary['warnings']
  assert [line.partition(', such as')[0] for line in told] == [
    "1 class with one training example: 'b'",
    'copies of images with the same label: 4',
    'test images that are copies of training images: 5',
  ]


def test_other_files_in_class_folders_are_told(tmp_path):
  write(tmp_path, 'a/1.png', 'b/2.png')
  for name in ('a/1.gif', 'a/2.GIF', 'b/x/notes.txt', 'b/README', 'b/.h.gif'):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text('')
  # Beside the class folders there may be anything.
  (tmp_path / 'LICENSE').write_text('')
  assert read(tmp_path).summary['warnings'][0] == (
    '4 files in class folders are left out, for their names do not end in .jpg,'
    ' .jpeg, .png, .webp, .bmp, .tif, .tiff: 2 .gif, 1 without an ending,'
    ' 1 .txt; a table can name image files of any ending'
  )


NAMES = st.one_of(
  st.sampled_from(['train', 'Test', 'valid', 'a', 'b', 'A ', '.h', '..', '~']),
  st.text(string.printable + 'äß\u202e\ud7ff😀\udcff', min_size=1, max_size=8),
)
FILES = st.sampled_from(
  ['1.png', 'x/1.PNG', 'a/1.png', 'a/2.png', 'b/\n.jpeg', '.1.png', '1.txt', '']
)
CONTENTS = st.sampled_from(
  [
    pictures.content(),
    pictures.content(),
    b'',
    b'text',
    pictures.content()[:50],
  ]
)


@pytest.mark.faults
@odd.HOW_MANY
def test_odd_folders_are_used_or_refused(examples, tmp_path_factory, cache):
  def check(found):
    root = tmp_path_factory.mktemp('odd')
    for name, file, content in found:
      try:
        path = root / name.strip('/') / file
        path.parent.mkdir(parents=True, exist_ok=True)
        if file and root in path.resolve().parents:
          path.write_bytes(content)
      except (OSError, ValueError):
        continue
    data = odd.check(lambda: read(root, max_unreadable=0.7), root, cache)
    assert data is None or 2 <= data.info.num_classes <= len(found)

  strategy = st.lists(st.tuples(NAMES, FILES, CONTENTS), max_size=8)
  odd.for_all(strategy, check, examples)


@pytest.mark.filterwarnings('ignore:the load_module:DeprecationWarning')
@pytest.mark.landing
def test_a_folder_is_trained_on_by_launch(tmp_path, capsys, small_network):
  pictures.write_digits(tmp_path / 'digits', 64)
  (tmp_path / 'digits' / '0' / 'empty.png').write_bytes(b'')
  command = [
    'launch.py',
    '--config=configs/own.py:sl',
    f'--config.data.path={tmp_path / "digits"}',
    '--config.data.held_out=0.25',
    '--config.data.max_unreadable=0.02',
    '--config.train.epochs=1',
    '--config.train.drop_remainder',
    f'--workdir={tmp_path / "run"}',
  ]
  assert runtime.run(command) == 0
  out = capsys.readouterr().out
  folder = str(tmp_path / 'digits')
  assert f'{folder} (folder): images of 8 x 8 pixels, 1 channel(s)' in out
  assert 'warning: 1 file left out' in out and 'empty.png (empty)' in out
  assert 'noisy test accuracy' in out and 'accuracy (noisy)' in out
  result = files.read_result(tmp_path / 'run')
  assert result['dataset'] == 'digits' and result['noisy_test']
  assert result['test']['examples'] + result['train_eval']['examples'] == 64
  assert result['memorised'] is None
  config = files.read_config(tmp_path / 'run')
  assert config['model']['name'] == 'digits_cnn'
  assert config['train']['batch_size'] == 8
  assert config['loss']['alpha'] == 0.01
  told_data = json.loads((tmp_path / 'run' / 'data.json').read_text())
  assert told_data['unreadable'] == [{'file': '0/empty.png', 'reason': 'empty'}]
  # The same command returns the same result; the config fits the run's.
  assert runtime.run(command) == 0
  assert 'has already ended' in capsys.readouterr().out
  assert set(os.listdir(tmp_path / 'digits')) == set(map(str, range(10)))
  check_every_figure_is_called_noisy(tmp_path / 'run', capsys)


def check_every_figure_is_called_noisy(run, capsys):
  with open(run / 'results.csv') as file:
    (row,) = csv.DictReader(file)
  assert row['noisy_test'] == 'True'
  assert read_runs.frame(run).noisy_test.tolist() == [True]
  # As it is sent to TensorBoard and Weights & Biases.
  assert [x['noisy_test'] for x in files.read_metrics(run)] == [True]
  assert runtime.run(['launch.py', 'report', f'--workdir={run}']) == 0
  report = (run / 'report' / 'report.md').read_text()
  titles = [x for x in report.splitlines() if 'between status and' not in x]
  titles = [line for line in titles if 'accuracy' in line.lower()]
  assert len(titles) >= 3 and '  worst class (noisy) |' in titles[0]
  assert all('noisy test accuracy' in line.lower() for line in titles)
  capsys.readouterr()
  assert runtime.run(['launch.py', 'evaluate', f'--workdir={run}']) == 0
  assert '\nnoisy test split, 18 examples' in capsys.readouterr().out
