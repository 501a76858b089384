"""Image files are read for prediction as they were for training."""

import dataclasses

import numpy as np
from PIL import Image
import pytest

from configs import own
import sce_jax
from sce_jax import export
from sce_jax.config.check import check_config
from sce_jax.data import dataset
from sce_jax.exit_codes import ExitCode
from sce_jax.runs import restore
from sce_jax.runs.run import TrainingRun
from tests import synthetic
from tests.data.reading import told
from tests.data.sources import pictures
from tests.export.exported import launch, table


def write_odd_files(root):
  """Image files of every kind that the readers convert."""
  for name, mode, size in (
    ('a/colour.png', 'RGB', (30, 40)),
    ('a/grey.bmp', 'L', (28, 28)),
    ('a/bits.tif', '1', (50, 20)),
    ('b/palette.PNG', 'P', (33, 44)),
    ('b/cmyk.jpg', 'CMYK', (31, 29)),
    ('b/below/alpha.webp', 'RGBA', (40, 30)),
    # So large that a JPEG is decoded at a fraction of its size.
    ('b/large.jpeg', 'RGB', (640, 480)),
  ):
    pictures.write(root / name, mode, size, seed=len(name))
  exif = Image.Exif()
  exif[0x0112] = 6
  pictures.write(root / 'a' / 'turned.jpg', size=(29, 40), exif=exif)
  deep = np.arange(900, dtype=np.uint16).reshape(30, 30) * 70
  Image.fromarray(deep).save(root / 'a' / 'deep.png')
  (root / 'a' / 'cut.png').write_bytes(b'\x89PNG')


@pytest.fixture
def of_files(tmp_path, monkeypatch):
  """A run on a folder of such files, its export, and what it was read as."""
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  write_odd_files(tmp_path / 'files')
  config = own.get_config('ce')
  config.data.path = str(tmp_path / 'files')
  config.data.max_unreadable = 0.1
  config.model.name = 'digits_cnn'
  config.train.epochs, config.train.batch_size = 1, 8
  config.optim.weight_decay = 0.0
  checked = check_config(config)
  data = dataset.read(checked.data)
  trainer, inputs, _ = synthetic.program([config], data)
  run = TrainingRun.open(checked, tmp_path / 'run', data)
  run.save(trainer.device_put(trainer.init(inputs)), 0.0)
  run.close()
  return tmp_path / 'run', export.export(tmp_path / 'run', tmp_path / 'm'), data


def test_files_are_predicted_as_they_were_trained_on(
  of_files, tmp_path, capsys
):
  run, exported, data = of_files
  assert data.info.image_shape == (28, 28, 3) and len(data.train) == 9
  files, out = tmp_path / 'files', tmp_path / 'out.csv'
  model = sce_jax.load(exported)
  found = model.images(files)
  ((names, images),) = found.chunks(16)
  assert names == data.train_names.tolist()
  np.testing.assert_array_equal(images, data.train.image)
  assert [x[0] for x in found.unreadable] == ['a/cut.png']
  assert capsys.readouterr().out == ''
  arguments = f'--model={exported}', f'--images={files}', f'--out={out}'
  assert launch('predict', *arguments) == ExitCode.DONE
  expected, _ = restore.load(run).predict(data.train.image)
  rows = table(out)
  assert [row['file_name'] for row in rows] == names
  assert [int(row['label']) for row in rows] == expected.argmax(1).tolist()
  np.testing.assert_allclose(
    [float(row['probability']) for row in rows], expected.max(1), atol=5e-6
  )
  # Of another decoder, of no time, and of one that was trained on arrays.
  for decoding, said in (
    ({'version': 7, 'resize': 'bilinear'}, 'decoded by version 7 of'),
    (None, 'which did not record how its images were read'),
    ({'version': 1, 'resize': None}, None),
  ):
    info = model.info['input'] | {'decoding': decoding}
    changed = dataclasses.replace(model, info=model.info | {'input': info})
    capsys.readouterr()
    found = changed.images(files)
    if said is None:
      assert 'has 50x20 pixels, but' in told(list, found.chunks(16))
    else:
      ((_, images),) = found.chunks(16)
      np.testing.assert_array_equal(images, data.train.image)
      (line,) = capsys.readouterr().out.splitlines()
      assert said in line
