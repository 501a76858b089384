"""launch.py labels: the card of a set of labels, and how two sets differ."""

import re

import numpy as np
from PIL import Image
import pytest

from experiments.cli import runtime
from sce_jax import noise
from sce_jax.data import label_files
from sce_jax.exit_codes import ExitCode
from sce_jax.runs import dataset_record, files
from sce_jax.storage import digests
from tests.data import reading

IDS = np.array([10, 20, 30, 40, 50, 60, 70, 80])
CLEAN = np.array([0, 0, 0, 0, 1, 1, 2, -1])
# Of class 0 one is labelled 1 and one 2, of class 1 one 0; of 80 none knows.
NOISY = np.array([0, 0, 1, 2, 0, 1, 2, 1])


@pytest.fixture
def run(tmp_path):
  """A run's folder, as far as its labels go."""
  folder = tmp_path / 'run'
  folder.mkdir()
  data = reading.made([0, 1, 2], class_names=('cat', 'dog', 'frog'))
  (folder / 'dataset.json').write_text(
    digests.dumps(dataset_record.describe(data.info, None, 0, {}))
  )
  section = {'name': 'pair_flip', 'rate': 0.4, 'mode': 'iid', 'seed': None}
  section |= {'imbalance': 'step', 'imbalance_ratio': 4.0}
  config = {'seed': 7, 'data': {'name': 'x'}, 'loss': {'name': 'ce'}}
  record = {'format': files.FORMAT, 'config': {**config, 'noise': section}}
  (folder / 'config.json').write_text(digests.dumps(record))
  label_files.save_npz(folder / 'noise.npz', IDS, NOISY, CLEAN)
  return folder


@pytest.fixture
def show(capsys):
  def call(*arguments, code=ExitCode.DONE):
    assert runtime.run(['launch.py', 'labels', *arguments]) == code
    out, err = capsys.readouterr()
    return out if code == ExitCode.DONE else err

  return call


def test_the_card_of_a_run(run, show, tmp_path):
  out = show(f'--workdir={run}', f'--picture={tmp_path}/T.png')
  digest = noise.fingerprint(IDS, NOISY)
  assert re.search(f'fingerprint: +{digest}\n', out)
  assert re.search(f'true labels: +{noise.fingerprint(IDS, CLEAN)}\n', out)
  assert 'wrong labels: 42.86 % of 7\n' in out  # 3 of 7.
  made = 'pair_flip 0.4, step imbalance 4, iid, seed 7'
  assert re.search(f'made by: +{made}\n', out)
  assert re.search('class sizes: +1 to 4, ratio 4\n', out)
  assert 'open-set' not in out
  counted, _, realised = out.partition('\nRealised T')
  table = [re.split(' {2,}', line) for line in counted.splitlines()[-3:]]
  assert table == [
    ['cat', '4', '50.0 %', 'dog', '25.0 %'],
    ['dog', '2', '50.0 %', 'cat', '50.0 %'],
    ['frog', '1', '0.0 %', '-', '-'],
  ]
  table = [re.split(' {2,}', line) for line in realised.splitlines()[-3:]]
  assert table == [
    ['0 cat', '50.0', '25.0', '25.0'],
    ['1 dog', '50.0', '50.0', '0.0'],
    ['2 frog', '0.0', '0.0', '100.0'],
  ]
  with Image.open(tmp_path / 'T.png') as picture:
    assert picture.format == 'PNG'


def test_labels_are_the_same_in_another_order_and_file(run, show, tmp_path):
  order = [3, 1, 0, 2, 7, 6, 5, 4]
  lines = [f'{i},{k}' for i, k in zip(IDS[order], NOISY[order], strict=True)]
  other = tmp_path / 'theirs.csv'
  other.write_text('\n'.join(['example_id,label', *lines]) + '\n')
  out = show(f'--workdir={run}', f'--other={other}')
  assert out.endswith('\n\nThe same labels of the same 8 examples.\n')
  assert 'wrong labels: the true labels are not known' in out
  assert out.count(noise.fingerprint(IDS, NOISY)) == 2


def test_how_labels_differ(run, show, tmp_path):
  other = tmp_path / 'theirs.npz'
  clean = CLEAN.copy()
  clean[4] = 2
  labels = np.where(IDS == 40, 1, NOISY)
  label_files.save_npz(other, np.where(IDS == 80, 90, IDS), labels, clean)
  assert show(f'--workdir={run}', f'--other={other}').endswith(
    'The labels differ:\n'
    '  examples of both: 7; only of the first: 1; only of the second: 1\n'
    '  of those of both, 1 are labelled differently\n'
    '    example 40: 2, 1\n'
    '  the true labels of 1 differ: these are other data, or the ids number the'
    ' examples in another order\n'
  )
  label_files.save_npz(other, IDS, NOISY, clean)
  assert (
    'The same labels of the same 8 examples, but the true labels of 1 differ: '
    in show(f'--workdir={run}', f'--other={other}')
  )


def test_what_has_no_labels_is_refused(run, show, tmp_path):
  bad = tmp_path / 'bad.csv'
  bad.write_text('example_id,label\n1,-1\n')
  empty = tmp_path / 'empty.csv'
  empty.write_text('example_id,label\n')
  odd = tmp_path / 'odd.npz'
  np.savez(odd, ids=IDS, labels=NOISY, clean_labels=CLEAN[:3])
  known = f'--workdir={run}'
  for arguments, message in (
    ([], 'labels needs the folder of a run, or a file of labels'),
    ([f'--workdir={tmp_path}'], 'holds no labels of a run (no noise.npz)'),
    (
      [known, f'--other={tmp_path}/no.npz'],
      'no.npz: the file of labels cannot',
    ),
    ([f'--workdir={bad}'], 'bad.csv: label -1 is no class'),
    ([f'--workdir={empty}'], 'empty.csv holds no label'),
    (
      [f'--workdir={odd}'],
      'odd.npz: clean labels must be a NumPy array of int',
    ),
    ([known, '--picture=T.pdf'], 'T.pdf cannot be drawn: a picture is a .png'),
    ([known, f'--picture={tmp_path}/no/T.png'], 'cannot be written'),
  ):
    line = show(*arguments, code=ExitCode.BAD_INPUT)
    assert message in line
    assert line.count('\n') == 1


def test_replaced_images_are_told_and_compared(run, show, tmp_path):
  other = tmp_path / 'theirs.npz'
  clean = np.where(IDS == 40, -1, CLEAN)
  replaced = noise.Replaced('far', np.array([40, 80]), np.array([1, 2]))
  label_files.save_npz(other, IDS, NOISY, clean, replaced)
  out = show(f'--workdir={other}')
  print_of = noise.fingerprint(IDS, NOISY, replaced)
  assert re.search(f'fingerprint: +{print_of}\n', out)
  assert 'open-set:     2 images (25.00 %) are those of far; what' in out
  assert 'wrong labels: 33.33 % of 6\n' in out
  out = show(f'--workdir={run}', f'--other={other}')
  assert 'of those of both, 0 are labelled differently\n' in out
  assert '  the images of 2 differ: one set was made with open-set' in out
  label_files.save_npz(tmp_path / 'same.npz', IDS, NOISY, clean, replaced)
  out = show(f'--workdir={other}', f'--other={tmp_path}/same.npz')
  assert out.endswith('The same labels of the same 8 examples.\n')
