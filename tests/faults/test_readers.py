"""Every reader of a file, damaged in drawn ways: it is used, or one line.

Those of images, tables and arrays of a user's own are in tests/data/sources, of
a run's records in test_records.py, of exported networks in tests/export, and of
prepared data in tests/data/sources/web.
"""

import dataclasses
import functools
import io
import os
import tarfile

from flax import traverse_util
from hypothesis import strategies as st
import numpy as np
import pytest
from safetensors import numpy as safetensors

from experiments.analysis import label_card
from experiments.cli import recorded
from experiments.sweeps import manifest
from sce_jax import models
from sce_jax.config import check as config_check
from sce_jax.data import dataset as dataset_lib
from sce_jax.data import decode, label_files, unlabelled
from sce_jax.data import labels as labels_lib
from sce_jax.data.sources.web import archives as web_archives
from sce_jax.data.sources.web import clothing1m, food101n, listing, webvision
from sce_jax.errors import UserError
from sce_jax.noise import Replaced
from sce_jax.runs import files, initial
from tests import fake_web, synthetic
from tests.data import reading
from tests.data.sources import damaged, odd

pytestmark = pytest.mark.faults

IDS = np.arange(10, 130, 10)
CLEAN = np.arange(12) % 3
NOISY = np.where(IDS < 50, (CLEAN + 1) % 3, CLEAN)
DATA = reading.made(CLEAN)
ETA = np.random.default_rng(0).dirichlet([1, 1, 1], 12)
ETA = 0.6 * np.eye(3)[CLEAN] + 0.4 * ETA
# Arrays that may well be ids, labels or probabilities.
LIKELY = st.one_of(
  st.sampled_from([IDS, NOISY, CLEAN, ETA, IDS[::-1], IDS[:1], NOISY[:0]]),
  st.sampled_from([IDS.astype(str), IDS * 1.0, ETA[:, :1], ETA[:1], -CLEAN]),
  st.sampled_from([ETA * np.nan, ETA * 1e300, NOISY + 2**40, NOISY > 0]),
  st.sampled_from([ETA.astype(np.float16), CLEAN.astype(np.uint64), ETA[0]]),
)


def save_labels(folder):
  # Whatever another program writes: without a digest.
  path = folder / 'labels.npz'
  label_files.save_npz(path, IDS, NOISY, CLEAN, Replaced('o', IDS[:2], IDS[:2]))
  return path


def save_table(folder):
  path = folder / 'labels.csv'
  lines = [f'{i},{label}' for i, label in zip(IDS, NOISY, strict=True)]
  path.write_text('\n'.join(['example_id,label', *lines, '']))
  return path


def save_choices(folder):
  path = save_table(folder).rename(folder / 'choices.csv')
  path.write_text(path.read_text().replace('120,2', '120,drop'))
  return path


def save_probabilities(folder):
  path = folder / 'probabilities.npz'
  arrays = {'example_id': IDS, 'label': CLEAN, 'clean_label': CLEAN}
  np.savez(path, probability=ETA, averaged=ETA, **arrays)
  return path


def read_labels(path):
  """As noise that a config names, and as a card."""
  ids, found = label_files.read(path)
  assert (ids.dtype, found.dtype) == (np.int64, np.int32)
  assert ids.shape == found.shape == (len({*ids.tolist()}),)
  clean = label_files.read_clean(path)
  assert clean is None or clean.shape == ids.shape
  replaced = label_files.read_replaced(path)
  assert replaced is None or {*replaced.ids.tolist()} <= {*ids.tolist()}
  card = label_card.read(str(path))
  label_card.card(card).encode()
  label_card.compare(card, dataclasses.replace(card, labels=card.labels + 1))
  return noise('from_file', path)


def read_choices(path):
  config = dataclasses.replace(reading.data_config(), relabel=str(path))
  found = dataset_lib._relabelled(DATA, config).choices
  assert found.shape == (12,) and -2 <= found.min() <= found.max() < 3
  assert (found != label_files.DROP).any()
  return found


def read_probabilities(path):
  noise('pmd_type1', path)
  return noise('seal', path)


def noise(name, path):
  config = labels_lib.NoiseConfig(name, 0.2, 'iid', None, str(path))
  found = labels_lib.apply_label_noise(DATA, config, 0).labels
  assert found.shape == (12,) and 0 <= found.min() <= found.max() < 3
  return found


MODEL = config_check.check_config(synthetic.config()).model
MODEL = dataclasses.replace(MODEL, name='mlp')
SHAPES = models.shapes(MODEL, 10, (2, 2, 1))


def save_weights(folder):
  path = folder / 'model.safetensors'
  shapes = traverse_util.flatten_dict(SHAPES, sep='.')
  path.write_bytes(
    safetensors.save(
      {name: np.zeros(x.shape, x.dtype) for name, x in shapes.items()}
    )
  )
  return path


def read_weights(path):
  config = dataclasses.replace(MODEL, init_from=str(path))
  found = initial.load(config, lambda: SHAPES)
  wanted = traverse_util.flatten_dict(SHAPES, sep='.')
  for name, x in traverse_util.flatten_dict(found.variables, sep='.').items():
    assert x.shape == wanted[name].shape and x.dtype == np.float32
  files.initial_title(found.record)
  return found


def save_manifest(folder):
  configs = [synthetic.config() for _ in range(3)]
  for seed, made in enumerate(configs):
    made.seed = seed
  path = folder / 'sweep.jsonl'
  manifest.write(path, [manifest.entry(c, folder, 'd') for c in configs])
  return path


def read_manifest(path):
  for entry in manifest.load(str(path)):
    assert isinstance(entry.id, str)
    inside = os.path.normpath(entry.workdir)
    assert inside.startswith(str(path.parent))
    assert entry.ended is None
    assert all(isinstance(x, str) for x in entry.labels.values())
  return path


def save_images(folder, shape=(3, 2, 2, 1)):
  path = folder / 'images.npz'
  np.savez(path, images=np.zeros(shape, np.uint8))
  return path


def read_images(path, shape):
  """As what a network is to classify: images, or feature vectors."""
  told = decode.description(is_resized=True, scale=255)
  for names, some in unlabelled.Images(path, shape, told).chunks(2):
    assert some.shape == (len(names), *shape)
    assert some.dtype == (np.uint8 if len(shape) > 1 else np.float32)


def save_config(folder):
  path = folder / 'given.json'
  path.write_text(recorded.text(synthetic.config()))
  return path


def read_config(path):
  try:
    found = recorded.get_config(str(path))
  except ValueError as error:
    raise UserError(str(error)) from None
  return config_check.check_config(found)


TO_CLASSIFY = damaged.arrays(
  *('images', 'x'),
  like=st.sampled_from(
    [np.zeros((2, 2, 2)), np.ones((2, 2)), np.ones((1, 3, 3, 1)) * 9]
  ),
)
READERS = {
  'labels.npz': (
    save_labels,
    damaged.arrays(
      *('ids', 'labels', 'clean_labels', 'replaced_ids', 'replaced_by'),
      *('replaced_from', 'digest'),
      like=LIKELY,
      without='digest',
    ),
    read_labels,
  ),
  'labels.csv': (save_table, damaged.TABLES, read_labels),
  'choices.csv': (save_choices, damaged.TABLES, read_choices),
  'probabilities.npz': (
    save_probabilities,
    damaged.arrays(
      *('example_id', 'label', 'clean_label', 'probability', 'averaged'),
      like=LIKELY,
    ),
    read_probabilities,
  ),
  'images to classify': (
    save_images,
    TO_CLASSIFY,
    functools.partial(read_images, shape=(2, 2, 1)),
  ),
  'features to classify': (
    lambda folder: save_images(folder, (3, 2)),
    TO_CLASSIFY,
    functools.partial(read_images, shape=(2,)),
  ),
  'weights': (
    save_weights,
    # What begins otherwise is given to torch, in a process of its own.
    damaged.BYTES.map(
      lambda damage: lambda content: content[:9] + damage(content[9:])
    ),
    read_weights,
  ),
  'a sweep': (save_manifest, damaged.JSON, read_manifest),
  'a config': (save_config, damaged.JSON, read_config),
}


@odd.HOW_MANY
@pytest.mark.parametrize('name', READERS)
def test_damaged_files_are_used_or_refused(name, examples, tmp_path):
  save, damages, read = READERS[name]
  path = save(tmp_path)
  read(path)  # Whole, it is used.
  # Of a config the field is named.
  names = '' if name == 'a config' else None
  odd.check_file(path, damages, lambda: read(path), examples, names=names)


LISTS = {
  clothing1m: [*clothing1m._LISTS.values(), 'noisy_label_kv.txt'],
  food101n: [
    f'Food-101N_release/meta/{x}'
    for x in ('classes.txt', 'imagelist.tsv', 'verified_val.tsv')
  ]
  + ['food-101/meta/test.txt'],
  webvision: ['info/train_filelist_google.txt', 'info/val_filelist.txt'],
}
LISTS[clothing1m] += ['clean_label_kv.txt', 'category_names_eng.txt']


@odd.HOW_MANY
@pytest.mark.parametrize('source', LISTS, ids=lambda x: x.NAME)
def test_damaged_lists_are_used_or_refused(source, examples, tmp_path):
  name = source.NAME.removesuffix('_mini')
  write = getattr(fake_web, f'write_{name}')
  write(tmp_path)
  config = reading.data_config(source.NAME, path=str(tmp_path))

  def read():
    found = source.find(config)
    assert {*found.splits} & {listing.NOISY_TRAIN, listing.CLEAN_TRAIN}
    for rows in found.splits.values():
      for label in (rows.noisy_label, rows.clean_label):
        assert -1 <= label.min() <= label.max() < len(found.class_names)
      for file in rows.names:
        inside = os.path.normpath(tmp_path / file)
        assert inside.startswith(f'{tmp_path}/')
    return found

  read()
  for file in LISTS[source]:
    odd.check_file(
      tmp_path / file,
      damaged.TABLES,
      read,
      -(-examples // len(LISTS[source])),
      names=str(tmp_path),
    )


@odd.HOW_MANY
def test_damaged_tars_are_used_or_refused(examples, tmp_path):
  (tmp_path / 'images').mkdir()
  path = tmp_path / 'images' / '0.tar'
  names = [f'images/0/{k}.jpg' for k in range(4)]
  with tarfile.open(path, 'w') as tar:
    for k, name in enumerate(names):
      member = tarfile.TarInfo(name.removeprefix('images/'))
      content = fake_web.picture(k, k, size=(8, 8))
      member.size = len(content)
      tar.addfile(member, io.BytesIO(content))

  def read():
    found = web_archives.ImageFiles(tmp_path, names)
    for name in names:
      if name not in found.missing:
        try:
          decode.jpeg(found.read(name), 8, 90)
        except decode.UnreadableError as error:
          assert error.reason.isprintable()
    return found

  # Of the headers every byte counts, of pictures most do not.
  headers = st.builds(
    lambda edits: damaged.Bytes(
      [(what, place % 600, some) for what, place, some in edits]
    ),
    st.lists(
      st.tuples(
        st.sampled_from(['write', 'cut']),
        st.integers(0, 600),
        st.one_of(st.binary(min_size=1, max_size=12), st.just(b'7' * 11)),
      ),
      min_size=1,
      max_size=3,
    ),
  )
  odd.check_file(path, st.one_of(damaged.BYTES, headers), read, examples)
