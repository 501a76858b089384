"""Trackers, offline: what is written is read back."""

import importlib
import io
import json
import struct
import sys
import time

from PIL import Image
import pytest
from tensorboardX.proto import event_pb2

from configs import digits
from sce_jax import errors, train
from sce_jax.runs import trackers

BLOCK = 2**15


@pytest.fixture
def tiny():
  config = digits.get_config('sl,symmetric,0.4,tiny')
  config.train.epochs = 2
  return config


@pytest.fixture
def wandb_offline(tmp_path, monkeypatch):
  """Weights & Biases that keeps all to itself; returns a reader of a run."""
  pytest.importorskip('wandb', reason='no wandb here: pip install wandb')
  for name in ('WANDB_DATA_DIR', 'WANDB_CACHE_DIR', 'WANDB_CONFIG_DIR'):
    monkeypatch.setenv(name, str(tmp_path / name))
  monkeypatch.setenv('WANDB_DIR', str(tmp_path))
  monkeypatch.setenv('WANDB_MODE', 'offline')
  monkeypatch.delenv('WANDB_API_KEY', raising=False)
  monkeypatch.setenv('NETRC', str(tmp_path / 'netrc'))
  yield tmp_path
  trackers.enable([])


def messages(path):
  """The messages in an offline file, a log as LevelDB's: blocks of chunks."""
  data, at, message = path.read_bytes(), 7, b''
  while at + 7 <= len(data):
    if BLOCK - at % BLOCK < 7:  # Too little for a chunk's head: padding.
      at += BLOCK - at % BLOCK
      continue
    _, size, kind = struct.unpack_from('<IHB', data, at)
    if at + 7 + size > len(data):  # Its end is still being written.
      return
    message += data[at + 7 : at + 7 + size]
    at += 7 + size
    if kind in (1, 4):  # Whole, or the last part of it.
      yield message
      message = b''


def recorded(folder, run):
  """What was written of a run, in order."""
  internal = importlib.import_module('wandb.proto.wandb_internal_pb2')
  (path,) = folder.glob(f'wandb/offline-run-*-{run}-*/*.wandb')
  # Its own process writes them, and may be behind.
  for _ in range(600):
    records = [internal.Record.FromString(m) for m in messages(path)]
    if any(record.HasField('exit') for record in records):
      break
    time.sleep(0.1)
  return records


def logged(folder, run):
  """The figures that were written of a run, an epoch each, and its config."""
  history, config = [], {}
  for record in recorded(folder, run):
    for item in record.run.config.update:
      config[item.key] = json.loads(item.value_json)
    if record.HasField('history'):
      history.append(
        {
          '/'.join(item.nested_key) or item.key: json.loads(item.value_json)
          for item in record.history.item
        }
      )
  return history, config


@pytest.mark.landing
def test_weights_and_biases_has_the_figures(
  tiny, wandb_offline, data_dir, capfd
):
  trackers.enable(['wandb'])
  train.train_and_evaluate(tiny, wandb_offline / 'run', data_dir)
  history, config = logged(wandb_offline, 'run')
  lines = (wandb_offline / 'run' / 'metrics.jsonl').read_text().splitlines()
  for line, seen in zip(map(json.loads, lines), history, strict=True):
    assert seen['_step'] == line['step']
    assert seen['test/accuracy'] == line['test']['accuracy']
    assert seen['train/loss'] == pytest.approx(line['train']['loss'])
  assert config['loss']['name'] == 'sl'
  assert 'wandb' not in capfd.readouterr().err
  records = recorded(wandb_offline, 'run')
  summary = [item for x in records for item in x.summary.update]
  assert 'noise/matrix' in {x.key for x in summary}
  files = [file for x in records for file in x.artifact.manifest.contents]
  assert {'config.json', 'metrics.jsonl', 'noise.npz'} <= {
    x.path for x in files
  }


@pytest.mark.landing
def test_runs_that_train_together_are_told_apart(tiny, wandb_offline, data_dir):
  other = tiny.copy_and_resolve_references()
  other.seed = 1
  trackers.enable(['wandb'])
  train.train_many(
    [tiny, other], [wandb_offline / 'a', wandb_offline / 'b'], data_dir
  )
  for name in ('a', 'b'):
    history, _ = logged(wandb_offline, name)
    lines = (wandb_offline / name / 'metrics.jsonl').read_text().splitlines()
    assert [x['test/loss'] for x in history] == [
      json.loads(x)['test']['loss'] for x in lines
    ]


def test_without_a_login_nothing_begins(wandb_offline, monkeypatch):
  monkeypatch.setenv('WANDB_MODE', 'online')
  with pytest.raises(errors.UserError, match='run `wandb login` first'):
    trackers.enable(['wandb'])


def test_what_is_not_there_is_told(monkeypatch):
  monkeypatch.setitem(sys.modules, 'wandb', None)
  with pytest.raises(errors.UserError, match='pip install "wandb'):
    trackers.enable(['wandb'])
  with pytest.raises(errors.UserError, match='mlflow is not known: use wandb'):
    trackers.enable(['mlflow'])


def values(folder):
  """All values in TensorBoard's files, by tag."""
  found = {}
  for path in folder.glob('events.out.tfevents*'):
    data, at = path.read_bytes(), 0
    while at < len(data):  # Records: length, checksum, event, checksum.
      (size,) = struct.unpack_from('<Q', data, at)
      event = event_pb2.Event.FromString(data[at + 12 : at + 12 + size])
      at += 16 + size
      for value in event.summary.value:
        found.setdefault(value.tag, []).append(value)
  return found


def test_tensorboard_has_config_classes_and_pictures(tmp_path):
  (tmp_path / 'noise.json').write_text(
    '{"rate": 0.25, "matrix": [[0.75, 0.25], [0.25, 0.75]]}'
  )
  config = {'loss': {'name': 'sl', 'alpha': 0.1}, 'seed': 3}
  (tracker,) = trackers.start(tmp_path, config, 0)
  test = {'accuracy': 0.6, 'accuracy_noisy': 0.6, 'examples': 9}
  record = {
    'epoch': 1,
    'step': 5,
    'seconds': 2.0,
    'learning_rate': 0.1,
    'test': {**test, 'class_accuracy': [0.4, None, 0.8]},
  }
  tracker.write(record)
  tracker.finish(record)
  tracker.close()
  picture = io.BytesIO()
  Image.new('RGB', (4, 6)).save(picture, 'png')
  trackers.add_picture(tmp_path, config, 'run', picture.getvalue())
  found = values(tmp_path)
  scalars = {
    tag: [round(x.simple_value, 4) for x in some]
    for tag, some in found.items()
    if some[0].HasField('simple_value')
  }
  assert scalars == {
    'learning_rate': [0.1],
    'test/accuracy': [0.6],
    'test/worst_class': [0.4],
    'test_class/00': [0.4],
    'test_class/02': [0.8],
  }
  (text,) = found['config/text_summary'][0].tensor.string_val
  assert b'| loss.alpha | 0.1 |' in text
  start = found['_hparams_/session_start_info'][0].metadata.plugin_data
  assert b'loss.alpha' in start.content
  with Image.open(
    io.BytesIO(found['noise/matrix'][0].image.encoded_image_string)
  ) as image:
    assert image.convert('L').getpixel((0, 0)) == 191  # 0.75 of 255.
    assert image.convert('L').getpixel((image.width - 1, 0)) == 64
  assert (found['run'][0].image.width, found['run'][0].image.height) == (4, 6)


def test_it_is_not_imported_unless_asked_for(tmp_path):
  started = trackers.start(tmp_path, {}, 0)
  assert [type(t) for t in started] == [trackers.TensorBoard]
  started[0].close()


def shown(folder):
  """Steps of a figure as TensorBoard shows them: from a marker on anew."""
  steps = []
  for path in sorted(folder.glob('events.out.tfevents*')):
    data, at = path.read_bytes(), 0
    while at < len(data):  # Records: length, checksum, event, checksum.
      (size,) = struct.unpack_from('<Q', data, at)
      event = event_pb2.Event.FromString(data[at + 12 : at + 12 + size])
      at += 16 + size
      if event.session_log.status == event_pb2.SessionLog.START:
        steps = [step for step in steps if step < event.step]
      steps += [event.step for value in event.summary.value if value.tag == 'x']
  return steps


@pytest.mark.faults
@pytest.mark.parametrize('saved', [0, 10])
def test_figures_trained_again_stand_once(saved, tmp_path):
  """Also where a run was killed before it had saved anything."""
  for i, (step, written) in enumerate([(0, (5, 10, 15)), (saved, (15, 20))]):
    (tracker,) = trackers.start(tmp_path / str(i), {}, step)
    for at in written:
      tracker.write({'x': 1.0, 'step': at})
    tracker.close()
  # The names of two files of one second would be the same.
  for path in (tmp_path / '1').iterdir():
    path.rename(tmp_path / '0' / f'{path.name}.later')
  kept = [step for step in (5, 10) if step <= saved]
  assert shown(tmp_path / '0') == [*kept, 15, 20]
