"""Files of probabilities, and noise that is made of them."""

import dataclasses

import numpy as np
import pytest

from sce_jax import noise
from sce_jax.data import labels
from sce_jax.data.labels import NoiseConfig
from tests.data import reading
from tests.data.reading import told

CLEAN = np.arange(30) % 3
ETA = np.random.default_rng(0).dirichlet([1, 1, 1], 30).astype(np.float32)
# Right for 20 of the 30.
ETA = np.where((np.arange(30) < 20)[:, None], np.eye(3)[CLEAN], 0) * 0.8 + (
  ETA * np.where(np.arange(30) < 20, 0.2, 1.0)[:, None]
)


@pytest.fixture
def data():
  return reading.made(CLEAN)


@pytest.fixture
def save(data, tmp_path):
  def write(**changes):
    arrays = {
      'example_id': data.train.example_id,
      'label': CLEAN,
      'probability': ETA,
      'averaged': ETA[:, [0, 1, 2]],
      **changes,
    }
    path = tmp_path / 'probabilities.npz'
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
    return path

  return write


def config(name, path, rate=0.4):
  return NoiseConfig(name, rate, 'exact', None, str(path))


@pytest.mark.parametrize('name', list(noise.FROM_PROBABILITIES))
def test_the_noise_is_that_of_the_file(name, data, save):
  order = np.random.default_rng(1).permutation(30)
  path = save(
    example_id=data.train.example_id[order],
    label=CLEAN[order],
    probability=ETA[order] if name != 'seal' else None,
    averaged=ETA[order] if name == 'seal' else None,
  )
  noise_config = config(name, path)
  labels.check_name(noise_config, {})
  labels.check_fits(noise_config, data.info)
  drawn = labels.apply_label_noise(data, noise_config, 2)
  make = noise.FROM_PROBABILITIES[name].make
  expected = make(data.train.example_id, ETA)(
    CLEAN, data.train.example_id, 3, 0.4, 2, 'exact'
  )
  np.testing.assert_array_equal(drawn.labels, expected.labels)
  assert labels.transition_matrix(noise_config, data.info) is None
  # A second noise is drawn of these labels.
  both = dataclasses.replace(noise_config, second='pair_flip', second_rate=0.9)
  drawn = labels.apply_label_noise(data, both, 2)
  assert np.mean((drawn.labels - expected.labels) % 3 == 1) > 0.8


@pytest.mark.faults
@pytest.mark.parametrize(
  ('name', 'changes', 'message'),
  [
    ('seal', {'averaged': None}, 'lacks averaged: a file of probabilities'),
    ('pmd_type2', {'example_id': None, 'label': None}, 'lacks example_id'),
    (
      'pmd_type1',
      {'example_id': np.arange(30) + 1, 'label': None},
      'there are no probabilities of example 40 (27 of 30 lack them)',
    ),
    ('seal', {'averaged': ETA[:, :2]}, '[30, 2] for 30 examples: of 3 classes'),
    ('seal', {'averaged': ETA[0]}, 'averaged is float64 of shape [3]: it must'),
    ('seal', {'averaged': CLEAN[:, None]}, 'must be floating-point numbers'),
    ('seal', {'averaged': 2 * ETA}, 'are not numbers from 0 on that sum to 1'),
    (
      'seal',
      {'label': CLEAN[:4]},
      'label must be a NumPy array of integers of shape',
    ),
    (
      'pmd_type3',
      {'label': (CLEAN + 1) % 3},
      'is of other data: the true label of example 10 is 0, and 1 there',
    ),
    (
      'pmd_type3',
      {'label': np.where(CLEAN == 1, 0, CLEAN), 'clean_label': CLEAN},
      'trained on labels of which 33.3 % are wrong: audit with the noise clean',
    ),
  ],
)
def test_a_file_that_cannot_be_used(name, changes, message, data, save):
  path = save(**changes)
  said = told(labels.apply_label_noise, data, config(name, path), 0)
  assert said.startswith(f'{path}: ')
  assert message in said


@pytest.mark.faults
def test_what_is_no_such_file(data, tmp_path):
  path = tmp_path / 'no.npz'
  said = told(labels.apply_label_noise, data, config('seal', path), 0)
  assert 'cannot be read (No such file or directory): make one with' in said
  for content in (b'', b'text', b'\x93NUMPY'):
    path.write_bytes(content)
    said = told(labels.apply_label_noise, data, config('seal', path), 0)
    assert f'{path}: is no .npz file of probabilities (' in said
    assert 'allow_pickle' not in said
  np.save(tmp_path / 'one.npy', ETA)
  said = told(
    labels.apply_label_noise, data, config('seal', tmp_path / 'one.npy'), 0
  )
  assert 'it is a single array' in said


def test_a_rate_that_the_network_does_not_give(data, save):
  path = save()
  said = told(
    labels.apply_label_noise, data, config('pmd_type1', path, 0.01), 0
  )
  assert said.startswith(f'{path}: PMD noise made of these probabilities has')
  assert 'not 0.01: give another rate' in said


def test_noise_of_a_network_needs_true_labels(save):
  data = reading.made(CLEAN, clean_labels=False)
  said = told(labels.check_fits, config('seal', save()), data.info)
  assert "noise 'seal' corrupts clean labels, which are not known" in said
