"""Manifests: each line is a run, exactly as its config means it."""

import json

import pytest

from experiments.paper import registry, scales
from experiments.sweeps import expand, manifest
from sce_jax import errors
from sce_jax.config import fields
from sce_jax.config.check import check_config
from sce_jax.runs import read


def written_and_read(config, folder):
  path = folder / 'sweep.jsonl'
  manifest.write(path, [manifest.entry(config, folder)])
  (entry,) = manifest.load(str(path))
  return entry


def assert_exact(entry, config):
  # By repr: 1 and 1.0, which are equal, have different fingerprints.
  assert repr(check_config(entry.config)) == repr(check_config(config))
  assert fields.fingerprint(entry.config) == fields.fingerprint(config)
  assert entry.id == read.run_name(config) == read.run_name(entry.config)


@pytest.mark.parametrize(
  ('name', 'dataset'),
  [
    ('comparison', 'digits'),
    ('comparison', 'cifar100'),
    ('ablation', 'cifar10'),
    ('recipe', 'mnist'),
  ],
)
def test_manifest_keeps_configs_exactly(name, dataset, tmp_path):
  trials = registry.load(name).sweep(dataset, 'full')
  # Of each loss, and of each part of a recipe.
  some = {
    (t.config.loss.name, check_config(t.config).compile_key): t.config
    for t in trials
  }
  for config in some.values():
    assert_exact(written_and_read(config, tmp_path), config)


def test_manifest_keeps_all_kinds_of_values(tmp_path):
  config = scales.config(
    'cifar10',
    'short',
    rate=0.3,
    recipe='apl',
    changes={
      'optim.boundaries': (1, 3),
      'optim.nesterov': True,
      'optim.clip_norm': None,
      'optim.l2_names': '^fc1/"ä',
      'data.limit': 7,
      'optim.weight_decay': 0.1 + 0.2,
      'optim.l2': 1e-320,
      'optim.momentum': 0,
      'data.mean': (1 / 3, 0.0, 1.0),
      'data.label_sets': {'worse': 'worse_label'},
    },
  )
  entry = written_and_read(config, tmp_path)
  assert_exact(entry, config)
  assert entry.config['optim']['weight_decay'] == 0.30000000000000004
  assert entry.config['optim']['clip_norm'] is None
  assert entry.config['data']['label_sets'] == {'worse': 'worse_label'}


def tiny(seed):
  return scales.config('digits', 'tiny', seed=seed)


def test_manifest_can_move(tmp_path):
  root = tmp_path / 'runs'
  path = root / 'sweep.jsonl'
  planned = [manifest.entry(tiny(s), root, '/data', {'s': 'x'}) for s in (0, 1)]
  manifest.write(path, planned)
  assert [p.name for p in root.iterdir()] == ['sweep.jsonl']
  assert [e.workdir for e in manifest.load(str(path))] == [
    str(root / e.id) for e in planned
  ]
  assert [e.labels for e in manifest.load(str(path))] == [{'s': 'x'}] * 2
  assert (
    json.loads(path.read_text().splitlines()[0])['workdir'] == planned[0].id
  )
  elsewhere = manifest.load(str(path), str(tmp_path / 'others'), '/mine')
  assert elsewhere[1].workdir == str(tmp_path / 'others' / planned[1].id)
  assert [e.data_dir for e in elsewhere] == ['/mine', '/mine']


@pytest.mark.faults
@pytest.mark.parametrize(
  ('text', 'message'),
  [
    (None, 'cannot be read'),
    ('no json\n', 'line 1 is no run'),
    ('[1, 2]\n', 'line 1 is no run'),
    ('{"id": 1}\n', 'line 1 is no run'),
    ('{"id": "a", "workdir": "a", "config": [1]}', 'line 1 is no run'),
    ('{"id": "a", "workdir": 1, "config": {}}', 'line 1 is no run'),
    ('{"id": null, "workdir": "a", "config": {}}', 'line 1 is no run'),
    # Somebody else's may name any folder.
    ('{"id": "a", "workdir": "/a", "config": {}}', 'line 1 is no run'),
    ('{"id": "a", "workdir": "a/../../b", "config": {}}', 'line 1 is no run'),
    ('[' * 10**5, 'line 1 is no run'),
    (b'{"id": "a", "workdir": "a", "config": {}}\n\xff\n', 'line 2 is no run'),
  ],
)
def test_load_refuses_malformed_manifest(text, message, tmp_path):
  path = tmp_path / 'sweep.jsonl'
  if text is not None:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
  with pytest.raises(errors.UserError, match=message):
    manifest.load(str(path))


CONFIG = """
import numpy as np
from configs import digits

get_config = digits.get_config

def sweep():
  for seed in (0, 1):
    yield {'argument': f'ce,symmetric,0.2,seed={seed}'}
    yield {'seed': seed, 'loss.alpha': 0.5}
  yield {'seed': 1, 'loss.alpha': 0.5}

def sweep_field():
  yield {'optim.nope': 1}

def sweep_argument():
  yield {'argument': 'ce,symmetric,much'}

def sweep_kind():
  yield {'loss.alpha': np.arange(1)}
"""


@pytest.fixture
def config_file(tmp_path):
  path = tmp_path / 'mine.py'
  path.write_text(CONFIG)
  return str(path)


def test_of_config_changes_fields(config_file):
  found = expand.of_config(
    f'{config_file}:sl,symmetric,0.6', '', {'train.epochs': 2}, 'runs', '/data'
  )
  # The last run is the same as the one before it.
  assert [
    (
      e.config['loss']['name'],
      e.config['loss'].get('alpha'),
      e.config['noise']['rate'],
      e.config['seed'],
      e.config['train']['epochs'],
      e.data_dir,
    )
    for e in found
  ] == [
    ('ce', None, 0.2, 0, 2, '/data'),
    ('sl', 0.5, 0.6, 0, 2, '/data'),
    ('ce', None, 0.2, 1, 2, '/data'),
    ('sl', 0.5, 0.6, 1, 2, '/data'),
  ]


@pytest.mark.parametrize(
  ('name', 'message'),
  [
    ('nope', r'no function sweep_nope\(\): use no --name or --name=field or'),
    ('field', r'sweep_field\(\): .*optim.nope'),
    ('argument', r'sweep_argument\(\): .*rate'),
    ('kind', r'sweep_kind\(\): .*alpha'),
  ],
)
def test_of_config_names_what_is_wrong(name, message, config_file):
  with pytest.raises(errors.UserError, match=message):
    expand.of_config(config_file, name, {}, 'runs', None)


@pytest.mark.parametrize('dataset', ['digits', 'mnist', 'cifar10', 'cifar100'])
def test_every_data_set_has_a_sweep(dataset):
  found = expand.of_config(f'configs/{dataset}.py', '', {}, 'runs', None)
  assert len(found) == len({e.id for e in found}) >= 27
