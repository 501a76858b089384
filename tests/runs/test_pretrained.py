"""ResNet-50 from a file in torchvision's names, by the real program."""

import hashlib
import json

import numpy as np
from PIL import Image
import pytest
from safetensors import numpy as safetensors

from tests.models.test_torch_names import published

COLOURS = {'red': (200, 40, 40), 'blue': (40, 40, 200)}


def write_images(folder, count):
  """Noise of a colour in a folder for each class."""
  rng = np.random.default_rng(0)
  for name, colour in COLOURS.items():
    (folder / name).mkdir(parents=True)
    for i in range(count):
      pixels = rng.normal(colour, 40, (64, 64, 3)).clip(0, 255)
      Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f'{i}.jpg')


def tensors():
  """Random weights with which a signal passes 50 layers."""
  rng = np.random.default_rng(0)
  found = {}
  for name, shape in published().items():
    if len(shape) > 1:
      scale = (2 / np.prod(shape[1:])) ** 0.5
      found[name] = rng.normal(0, scale, shape).astype(np.float32)
    else:
      is_one = name.endswith(('bn1.weight', 'bn2.weight', 'var', '1.weight'))
      found[name] = np.full(shape, float(is_one), np.float32)
  return found


@pytest.mark.slow
@pytest.mark.process
def test_it_trains_and_its_report_says_from_what(launch, tmp_path):
  write_images(tmp_path / 'images', 16)
  weights = tmp_path / 'weights.safetensors'
  weights.write_bytes(safetensors.save(tensors()))
  done = launch(
    '--config=configs/own.py:ce',
    f'--config.data.path={tmp_path / "images"}',
    '--config.data.image_size=64',
    '--config.model.name=imagenet_resnet50',
    '--config.model.use_bias=False',
    '--config.model.layout=nhwc',  # Compiled in half the time.
    '--config.model.batch_norm_epsilon=1e-5',
    f'--config.model.init_from={weights}',
    '--config.train.batch_size=8',
    '--config.train.epochs=2',
    f'--workdir={tmp_path / "run"}',
    timeout=3600,
  )
  assert done.returncode == 0, done.stderr
  sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
  assert f'sha256 {sha256[:16]}; head newly drawn' in done.stdout
  losses = [
    json.loads(line)['train']['loss']
    for line in (tmp_path / 'run' / 'metrics.jsonl').read_text().splitlines()
  ]
  assert losses[-1] < losses[0]
  result = json.loads((tmp_path / 'run' / 'result.json').read_text())
  assert result['init_sha256'] == sha256
  weights.unlink()
  done = launch('report', f'--workdir={tmp_path / "run"}')
  assert done.returncode == 0, done.stderr
  page = (tmp_path / 'run' / 'report' / 'report.md').read_text()
  assert f'initial weights: {weights}' in page
  assert sha256[:16] in page
