"""Runs whose noise changes the examples: imbalance and open-set images."""

import numpy as np
import pytest

from configs import digits
from sce_jax import noise, train
from sce_jax.data import label_files
from sce_jax.runs import files, restore
from tests.data.reading import told

pytestmark = pytest.mark.usefixtures('small_network')


@pytest.fixture(scope='module')
def others(tmp_path_factory):
  """Images of nothing, which are brighter than any digit."""
  path = tmp_path_factory.mktemp('others') / 'bright.npz'
  pixels = np.random.default_rng(0).integers(100, 256, (60, 8, 8), np.uint8)
  np.savez(path, images=pixels, labels=np.arange(60) % 2)
  return str(path)


def get_config(others, seed):
  c = digits.get_config(f'ce,symmetric,0.5,tiny,seed={seed}')
  c.noise.imbalance, c.noise.imbalance_ratio = 'step', 2.0
  c.noise.open_set_from, c.noise.open_set_rate = others, 0.25
  return c


@pytest.mark.landing
def test_runs_on_other_examples(others, data_dir, tmp_path, capsys):
  folders = [tmp_path / 'zero', tmp_path / 'one']
  configs = [get_config(others, seed) for seed in (0, 1)]
  results = train.train_many(configs, folders, data_dir)
  said = capsys.readouterr()
  prints = set()
  for folder, result in zip(folders, results, strict=True):
    ids, labels = label_files.read(folder / 'noise.npz')
    clean = label_files.read_clean(folder / 'noise.npz')
    replaced = label_files.read_replaced(folder / 'noise.npz')
    # Half of the classes have half of their examples, of 40 in all.
    assert 25 <= len(ids) <= 35 and replaced.source.startswith('own-')
    assert len(replaced.ids) == round(0.25 * len(ids))
    np.testing.assert_array_equal(clean < 0, np.isin(ids, replaced.ids))
    known = clean >= 0
    counts = np.bincount(clean[known], minlength=10)
    wrong = (labels != clean)[known]
    assert wrong.sum() == np.rint(counts * 0.5).sum()
    # What counts against true labels leaves the others out.
    assert result['realised_rate'] == pytest.approx(wrong.mean(), abs=1e-6)
    own = result['train_eval']
    prints.add(noise.fingerprint(ids, labels, replaced))
    assert files.read_noise(folder)['rate'] == pytest.approx(wrong.mean())
    # The images that it was trained on are those that it is asked about.
    seen = restore.predict_run(folder, 'train', data_dir).split
    np.testing.assert_array_equal(seen.example_id, ids)
    bright = seen.image.min(axis=(1, 2, 3)) >= 100
    np.testing.assert_array_equal(bright, ~known)
    figures = restore.evaluate_run(folder, data_dir)
    for name in ('accuracy_noisy', 'class_accuracy', 'memorised'):
      assert figures['train_eval'][name] == own[name]
  assert len(prints) == 2
  line = 'training images are replaced by those of'
  assert (said.out + said.err).count(line) == 2
  again = train.train_many(configs, folders, data_dir)
  assert again == results


@pytest.mark.parametrize('alone', [True, False])
def test_a_file_of_replaced_images_needs_them(alone, data_dir, tmp_path):
  """Its labels are not trained on with the images that were replaced."""
  path = tmp_path / 'labels.npz'
  ids = np.arange(40)
  replaced = noise.Replaced('mnist', ids[:5], np.arange(5))
  label_files.save_npz(path, ids, ids % 10, None, replaced)
  clean = digits.get_config('ce,symmetric,0.0,tiny')
  config = digits.get_config('ce,symmetric,0.0,tiny')
  config.noise.name, config.noise.path = 'file', str(path)
  configs = [config] if alone else [clean, config]
  folders = [tmp_path / str(i) for i in range(len(configs))]
  message = told(train.train_many, configs, folders, data_dir)
  assert message == (
    f"{path}: 5 images of its examples were replaced by those of 'mnist': set"
    ' --config.noise.open_set_from=mnist'
  )
  assert not any(folder.exists() for folder in folders)
