"""What training must not know of changes nothing of it, to the bit."""

import dataclasses

import jax
import numpy as np
import pytest

from experiments.paper import noisy_search, scales
from experiments.paper.noisy_search import Search
from experiments.paper.search_space import Range
from sce_jax import train
from sce_jax.config.check import check_config
from sce_jax.data import dataset as dataset_lib
from sce_jax.data import labels as labels_lib
from sce_jax.data import stream
from sce_jax.noise import Replaced
from sce_jax.runs import files, restore
from tests import synthetic


def config(loss, **changes):
  made = synthetic.config(f'{loss},symmetric,0.4')
  made.model.name = 'digits_cnn'
  made.update_from_flattened_dict(changes)
  return made


def trained(made, dataset, folder):
  """What a run ends with that anything but its figures depends on."""
  train.train_and_evaluate(made, folder, dataset=dataset)
  state = jax.device_get(restore.load(folder).state)
  learnt = {
    name: getattr(state, name)
    for name in ('params', 'batch_stats', 'opt_state', 'method')
  }
  losses = [
    (record['train']['loss'], record.get('validation'))
    for record in files.read_metrics(folder)
  ]
  # Those that settings are chosen by, and what was computed before training.
  validation = files.read_validation(folder)
  return learnt, losses, validation, files.read_record(folder, 'prepared.json')


def check_same(first, second):
  jax.tree.map(np.testing.assert_array_equal, first, second)


def with_other_true_labels(dataset, both):
  """The true labels of all examples are others, -1 where they were."""
  train_split = dataset.train
  clean = train_split.clean_label
  others = np.where(clean < 0, -1, (clean + 1 + np.arange(len(clean)) % 3) % 10)
  changed = dataclasses.replace(
    train_split, clean_label=others.astype(np.int32)
  )
  if both:  # The data's own labels are the true ones, before noise is drawn.
    changed = dataclasses.replace(changed, label=others.astype(np.int32))
  return dataclasses.replace(dataset, train=changed)


@pytest.mark.parametrize(
  ('loss', 'changes'),
  [
    # A network before it, and a state of its own; a choice by noisy labels.
    pytest.param(
      't_revision', {'data.validation': 0.25}, marks=pytest.mark.landing
    ),
    *(
      pytest.param(loss, changes, marks=pytest.mark.slow)
      for loss, changes in [
        # Chosen examples; two networks.
        ('gmm_selection', {'loss.warm_up': 1}),
        ('co_teaching', {}),
        ('elr', {}),
        ('dal', {}),
        ('d2l', {}),
        ('forward', {}),
        ('sop', {}),
        ('cores2', {}),
        ('vol_min_net', {}),
        ('peer', {}),
        ('sl', {'train.balanced_batches': 2}),
        ('sl', {'data.feed': 'stream'}),
      ]
    ),
  ],
)
def test_true_labels(loss, changes, small_network, tmp_path, monkeypatch):
  """Noise has been drawn; after that nobody asks for the true labels."""
  made, data = config(loss, **changes), synthetic.data()
  checked = check_config(made)
  drawn = labels_lib.apply_label_noise(data, checked.noise, 0)
  monkeypatch.setattr(labels_lib, 'apply_label_noise', lambda *_: drawn)
  found = trained(made, data, tmp_path / 'one')
  assert (found[2] is None) == ('data.validation' not in changes)
  other = with_other_true_labels(data, both=True)
  check_same(trained(made, other, tmp_path / 'other'), found)
  # They are counted against, so that they were others indeed.
  noise = [
    files.read_record(tmp_path / x, 'noise.json') for x in ('one', 'other')
  ]
  assert noise[0]['rate'] != noise[1]['rate']


@pytest.mark.slow
def test_true_labels_in_a_search_of_settings(
  small_network, tmp_path, monkeypatch
):
  """Twelve settings, of which the last follows from how good the others are."""
  pytest.importorskip('optuna')
  request = Search('digits', 'tiny', 'sl', 'symmetric 0.4', trials=12)
  space = {'loss.alpha': Range(0.001, 10.0, is_log=True)}
  monkeypatch.setattr(noisy_search, '_MOST_TOGETHER', 11)
  monkeypatch.setattr(scales, 'runs_per_program', lambda dataset: 11)
  asked = request.config(0, {})
  data = synthetic.data(train=80)
  drawn = labels_lib.apply_label_noise(data, asked.noise, 0)
  found = []
  for name in ('one', 'other'):
    with monkeypatch.context() as patch:
      patch.setattr(labels_lib, 'apply_label_noise', lambda *_: drawn)
      hidden = noisy_search.hide(data, asked, 0.5)
    found.append(noisy_search.search(request, space, hidden, tmp_path / name))
    data = with_other_true_labels(data, both=True)
  assert found[0] == found[1]
  assert len({trial.accuracy for trial in found[0]}) > 1


@pytest.mark.parametrize('noise', ['open set', 'imbalance'])
def test_true_labels_of_data_that_are_changed(noise, small_network, tmp_path):
  made, data = config('sl'), synthetic.data()
  if noise == 'imbalance':
    # Examples are left out by the labels that the data have.
    made.noise.update(imbalance='step', imbalance_ratio=2.0)
  made.noise.update(name='clean', rate=0.0)
  made.data.clean_labels = False
  given = (data.train.label + np.arange(len(data.train)) % 2) % 10
  split = dataclasses.replace(data.train, label=given.astype(np.int32))
  data = dataclasses.replace(data, train=split)
  if noise == 'open set':
    made.noise.update(open_set_from='elsewhere', open_set_rate=0.1)
    clean = split.clean_label.copy()
    clean[:4] = -1
    data = dataclasses.replace(
      data,
      train=dataclasses.replace(split, clean_label=clean),
      replaced=Replaced('elsewhere', split.example_id[:4], np.arange(4)),
    )
  found = trained(made, data, tmp_path / 'one')
  other = with_other_true_labels(data, both=False)
  check_same(trained(made, other, tmp_path / 'other'), found)


@pytest.mark.parametrize('feed', ['resident', 'stream'])
def test_test_images(feed, small_network, tmp_path):
  made, data = config('sl', **{'data.feed': feed}), synthetic.data()
  made.data.normalization = 'pixel_mean'
  found = trained(made, data, tmp_path / 'one')
  split = dataclasses.replace(
    data.test, image=255 - data.test.image, label=data.test.label[::-1].copy()
  )
  other = dataclasses.replace(data, test=split)
  check_same(trained(made, other, tmp_path / 'other'), found)
  accuracy = [
    files.read_result(tmp_path / x)['test']['loss'] for x in ('one', 'other')
  ]
  assert accuracy[0] != accuracy[1]


def contents(images):
  return [image.tobytes() for image in images]


def test_no_held_out_image_is_trained_on():
  """By their content: as read, and as they are handed to the step."""
  rng = np.random.default_rng(0)
  images = rng.integers(0, 256, (60, 8, 8, 1), np.uint8)
  section = dataclasses.replace(check_config(config('sl')).data, held_out=0.25)
  data = dataset_lib.from_arrays(section, images, np.arange(60) % 3)
  held_out, kept = (
    set(contents(split.image)) for split in (data.test, data.train)
  )
  assert not held_out & kept and held_out | kept == set(contents(images))
  size = len(data.train)
  order = stream.Order(
    positions=np.arange(size),
    order=None,
    first_epoch=0,
    batch_size=8,
    sizes=(8, 8),
    num_batches=-(-size // 8),
    share=(0, 1, 1),
  )
  made = stream.batches(
    stream.Pixels(data.train.image, 8), order, stop=order.num_batches
  )
  seen = {content for batch in made for content in contents(batch['image'])}
  made.close()
  assert seen == kept
