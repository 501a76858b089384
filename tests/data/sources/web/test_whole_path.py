"""From a folder in Clothing1M's layout to the report, by the real program.

SCE_WHOLE_PATH=1 trains on all of the images, 2,000 of 3,000, with the config's
own batch of 32, which takes many times as long.
"""

import json
import os
import signal
import subprocess
import time

import pytest

from tests import conftest, fake_web

COUNT = 3000
LIMIT = None if os.environ.get('SCE_WHOLE_PATH') else 32
SMALL = (
  '--config.data.image_size=64',
  '--config.data.prepared_side=72',
  '--config.data.workers=0',
  '--config.model.init_from=random',
  '--config.model.layout=nhwc',  # Compiled in half the time.
  '--config.train.epochs=2',
  '--config.checkpoint.every=1',
)
# 4 batches an epoch, each a second of CPU time; all is prepared.
FEW = (
  f'--config.data.limit={LIMIT}',
  '--config.train.batch_size=8',
  '--config.train.steps_per_dispatch=4',
)
TIMEOUT = 3600


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.process
def test_prepared_killed_resumed_reported_exported(launch, tmp_path):
  """Images of odd sizes; ResNet-50 at 64 pixels; kill -9 in epoch 2."""
  odd = {3: fake_web.picture(3, 3, 'CMYK'), 5: b'no image', 7: b''}
  fake_web.write_clothing1m(tmp_path / 'clothes', COUNT, odd=odd)
  run = tmp_path / 'run'
  arguments = (
    '--config=configs/clothing1m.py:forward',
    f'--config.data.path={tmp_path / "clothes"}',
    f'--data_dir={tmp_path / "data"}',
    f'--workdir={run}',
    *SMALL,
    *(FEW if LIMIT else ()),
  )
  process = subprocess.Popen(
    conftest.command(*arguments),
    env=conftest.environment(str(tmp_path / 'data'), tmp_path),
    cwd=conftest.REPOSITORY,
    stdout=subprocess.DEVNULL,
  )
  while not list(run.glob('checkpoints/*/commit_success.txt')):
    assert process.poll() is None
    time.sleep(0.2)
  process.send_signal(signal.SIGKILL)
  process.wait()

  (folder,) = (tmp_path / 'data' / 'clothing1m').iterdir()
  prepared = {x: x.stat().st_mtime_ns for x in folder.rglob('*.array_record')}
  done = launch(*arguments, timeout=TIMEOUT)
  assert done.returncode == 0, done.stderr
  assert 'resumes at step' in done.stdout
  assert {x: x.stat().st_mtime_ns for x in prepared} == prepared
  result = json.loads((run / 'result.json').read_text())
  assert result['epochs'] == 2 and result['init_from'] == 'random'
  # Every one once; two of noisy train cannot be used.
  seen = [result[x]['examples'] for x in ('train_eval', 'validation', 'test')]
  assert seen == [min(x, LIMIT or x) for x in (1998, 250, 250)]
  manifest = json.loads((folder / 'manifest.json').read_text())
  counts = manifest['splits']['noisy_train']
  assert (counts['prepared'], counts['examples']) == (2000, 1998)
  data = json.loads((run / 'data.json').read_text())
  assert len(data['unreadable']) == 2

  done = launch('evaluate', f'--workdir={run}', timeout=TIMEOUT)
  assert done.returncode == 0, done.stderr
  assert f'validation split, {seen[1]} examples' in done.stdout
  assert 'not pretrained' in done.stdout
  done = launch('report', f'--workdir={run}')
  assert done.returncode == 0, done.stderr
  page = (run / 'report' / 'report.md').read_text()
  assert 'validation accuracy' in page
  assert 'Forward¶' in page and '¶: its transition matrix was measured' in page
  picture = (run / 'report' / 'matrices.svg').read_text()
  assert 'clothing1m, measured' in picture
  assert 'random: not pretrained' in page and 'Downcoat' in page
  assert f'{100 * result["validation"]["accuracy"]:.1f}' in page
  done = launch('export', f'--workdir={run}', f'--out={tmp_path / "model"}')
  assert done.returncode == 0, done.stderr
  assert 'not pretrained' in done.stdout
  images = next((tmp_path / 'clothes' / 'images' / '3').iterdir())
  done = launch(
    'predict',
    f'--model={tmp_path / "model"}',
    f'--images={images}',
    f'--out={tmp_path / "predictions.csv"}',
    timeout=TIMEOUT,
  )
  assert done.returncode == 0, done.stderr
  assert 'not pretrained' in done.stdout
  predicted = (tmp_path / 'predictions.csv').read_text().splitlines()
  assert len(predicted) == 1 + len(list(images.iterdir()))
