"""From a folder in Clothing1M's layout to the report, by the real program."""

import json
import signal
import subprocess
import time

import pytest

from tests import conftest, fake_web

SMALL = (
  '--config.data.image_size=64',
  '--config.data.prepared_side=72',
  '--config.data.workers=0',
  '--config.model.init_from=random',
  '--config.model.layout=nhwc',  # Compiled in half the time.
  '--config.train.epochs=2',
  # 8 batches an epoch, each a second of CPU time; all is prepared.
  '--config.data.limit=64',
  '--config.train.batch_size=8',
  '--config.train.steps_per_dispatch=8',
  '--config.checkpoint.every=1',
)


@pytest.mark.slow
@pytest.mark.process
def test_prepared_killed_resumed_reported_exported(launch, tmp_path):
  """3,000 images of odd sizes; ResNet-50 at 64 pixels; kill -9 in epoch 2."""
  odd = {3: fake_web.picture(3, 3, 'CMYK'), 5: b'no image', 7: b''}
  fake_web.write_clothing1m(tmp_path / 'clothes', 3000, odd=odd)
  run = tmp_path / 'run'
  arguments = (
    '--config=configs/clothing1m.py:forward',
    f'--config.data.path={tmp_path / "clothes"}',
    f'--data_dir={tmp_path / "data"}',
    f'--workdir={run}',
    *SMALL,
  )
  process = subprocess.Popen(
    conftest.command(*arguments),
    env=conftest.environment(str(tmp_path / 'data'), tmp_path),
    cwd=conftest.REPOSITORY,
    stdout=subprocess.DEVNULL,
  )
  metrics = run / 'metrics.jsonl'
  while not (metrics.exists() and metrics.read_text()):
    assert process.poll() is None
    time.sleep(0.2)
  process.send_signal(signal.SIGKILL)
  process.wait()

  (folder,) = (tmp_path / 'data' / 'clothing1m').iterdir()
  prepared = {x: x.stat().st_mtime_ns for x in folder.rglob('*.array_record')}
  done = launch(*arguments, timeout=1800)
  assert done.returncode == 0, done.stderr
  assert 'resumes at step' in done.stdout
  assert {x: x.stat().st_mtime_ns for x in prepared} == prepared
  result = json.loads((run / 'result.json').read_text())
  assert result['epochs'] == 2 and result['init_from'] == 'random'
  # Every one once.
  assert result['test']['examples'] == result['validation']['examples'] == 64
  assert result['train_eval']['examples'] == 64
  manifest = json.loads((folder / 'manifest.json').read_text())
  counts = manifest['splits']['noisy_train']
  assert (counts['prepared'], counts['examples']) == (2000, 1998)
  data = json.loads((run / 'data.json').read_text())
  assert len(data['unreadable']) == 2

  done = launch('evaluate', f'--workdir={run}', timeout=1800)
  assert done.returncode == 0, done.stderr
  assert 'validation split, 64 examples' in done.stdout
  done = launch('report', f'--workdir={run}')
  assert done.returncode == 0, done.stderr
  page = (run / 'report' / 'report.md').read_text()
  assert 'validation accuracy' in page
  assert 'clothing1m, measured' in (run / 'report' / 'report.html').read_text()
  assert 'random' in page and 'Downcoat' in page
  assert f'{100 * result["validation"]["accuracy"]:.1f}' in page
  done = launch('export', f'--workdir={run}', f'--out={tmp_path / "model"}')
  assert done.returncode == 0, done.stderr
  done = launch(
    'predict',
    f'--model={tmp_path / "model"}',
    f'--images={tmp_path / "clothes" / "images" / "3"}',
    f'--out={tmp_path / "predictions.csv"}',
    timeout=600,
  )
  assert done.returncode == 0, done.stderr
  assert len((tmp_path / 'predictions.csv').read_text().splitlines()) > 100
