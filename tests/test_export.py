"""A run's network, exported and used without the run."""

import csv
import dataclasses
import json
import re
import shutil
from unittest import mock

import jax
from jax import export as jax_export
import numpy as np
from PIL import Image
import pytest
from safetensors import numpy as safetensors
from sklearn import datasets
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from configs import own
from experiments.cli import runtime
import sce_jax
from sce_jax import export, inference, train
from sce_jax.config.check import check_config
from sce_jax.data import dataset
from sce_jax.errors import UserError
from sce_jax.exit_codes import ExitCode
from sce_jax.models import conv3x3
from sce_jax.runs import files, restore
from sce_jax.runs.run import TrainingRun
from sce_jax.storage import paths
from tests import synthetic
from tests.data.reading import told
from tests.data.sources import pictures

IMAGES = datasets.load_digits().images[:7, ..., None].astype(np.uint8)
# The export convolves and sums in another order than the layout for CPUs, and
# Winograd's transforms add and subtract before they multiply: of float32's 7
# digits five layers lose one or two. A change of the logits, which are of order
# 1 to 10, is a relative change of the probabilities: 5e-6 was seen.
RTOL = 2e-5


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  return tmp_path_factory.mktemp('export')


@pytest.fixture(scope='module')
def plain(folder, data_dir):
  """A trained run, and its export."""
  config = synthetic.config('sl,symmetric,0.4')
  config.model.name = 'digits_cnn'
  config.model.layout = None
  config.data.normalization = 'mean_std'
  config.data.limit = 64
  config.train.epochs = 1
  run = folder / 'plain'
  train.train_and_evaluate(config, run, data_dir)
  return run, export.export(run, folder / 'plain-model')


@pytest.fixture(scope='module')
def winograd(folder):
  """An export of two networks with batch norm, and what their run gives.

  They have not been trained, but have random statistics; the run's products
  are Winograd's.
  """
  config = synthetic.config('co_teaching,symmetric,0.4')
  config.model.layout = None
  config.data.normalization = 'pixel_mean'
  trainer, inputs, _ = synthetic.program([config])
  rng = np.random.default_rng(0)
  state = trainer.init(inputs)
  state = state.replace(
    batch_stats=jax.tree.map(
      lambda x: x + rng.uniform(-0.2, 0.2, x.shape).astype(np.float32),
      state.batch_stats,
    )
  )
  run = TrainingRun.open(check_config(config), folder / 'two', synthetic.data())
  run.save(trainer.device_put(state), 0.0)
  run.close()
  with mock.patch.object(conv3x3, '_WINOGRAD_WORK', 0):
    exported = export.export(folder / 'two', folder / 'two-model')
    expected, _ = restore.load(folder / 'two').predict(IMAGES)
  return exported, expected


def copy_of(exported, tmp_path):
  return shutil.copytree(exported, tmp_path / 'copy')


def change(folder, **values):
  """Changes fields of model.json."""
  file = folder / 'model.json'
  file.write_text(json.dumps(json.loads(file.read_text()) | values))


def check(model, expected):
  # A network that gives one class to all images would hide a wrong input.
  assert np.ptp(np.log(expected), axis=0).max() > 0.5
  for size in (1, 3, 7):
    found = model.predict_proba(IMAGES[:size])
    assert (found.shape, found.dtype) == ((size, 10), np.float32)
    np.testing.assert_allclose(found, expected[:size], rtol=RTOL)


def test_an_export_gives_the_probabilities_of_its_run(plain):
  run, exported = plain
  expected, _ = restore.load(run).predict(IMAGES)
  model = sce_jax.load(exported)
  check(model, expected)
  np.testing.assert_array_equal(model.predict(IMAGES), expected.argmax(axis=1))
  assert model.predict_proba(IMAGES[:0]).shape == (0, 10)
  many = np.concatenate([IMAGES] * 40)  # More than are computed at a time.
  np.testing.assert_allclose(
    model.predict_proba(many)[-7:], expected, rtol=RTOL
  )
  assert model.classes == tuple('0123456789')


def test_so_does_one_of_several_networks_with_winograds_products(winograd):
  exported, expected = winograd
  model = sce_jax.load(exported)
  check(model, expected)
  assert model.info['metrics'] is None  # It has not ended.


def test_several_networks_are_exported_as_the_first(winograd, folder):
  exported, _ = winograd
  tensors = safetensors.load((exported / 'model.safetensors').read_bytes())
  state = restore.load(folder / 'two').state
  kernels = state.params['conv2']['kernel']
  assert kernels.shape == (2, 3, 3, 32, 64)
  np.testing.assert_array_equal(tensors['params.conv2.kernel'], kernels[0])
  np.testing.assert_array_equal(
    tensors['batch_stats.conv2_bn.var'],
    state.batch_stats['conv2_bn']['var'][0],
  )
  assert {x.dtype for x in tensors.values()} == {np.dtype('float32')}


def test_the_program_is_for_all_platforms_and_has_no_layout_of_cpus(plain):
  _, exported = plain
  program = jax_export.deserialize(
    bytearray((exported / 'model.jax_export').read_bytes())
  )
  assert program.platforms == ('cpu', 'cuda', 'tpu')
  text = str(program.mlir_module())
  # Each platform has its own copy of 3 convolutions and 2 products; the layout
  # for CPUs has products only, and transposes.
  assert text.count('stablehlo.convolution(') == 3 * 3
  assert text.count('stablehlo.dot_general') == 3 * 2
  assert 'stablehlo.transpose' not in text
  assert set(re.findall(r'dim_numbers = (\[[^]]*\]).*->(\[[^]]*\])', text)) == {
    ('[b, 0, 1, f]', '[b, 0, 1, f]')
  }


def test_the_folder_says_what_it_is(plain):
  run, exported = plain
  info = sce_jax.load(exported).info
  assert info['metrics'] == files.read_result(run)
  assert info['input'] == {
    'shape': [8, 8, 1],
    'dtype': 'uint8',
    'decoding': {'version': 1, 'resize': None, 'scale': None},
  }
  record = json.loads((run / 'dataset.json').read_text())
  assert info['data']['digest'] == record['digest']
  assert info['normalization']['mean'] == record['info']['mean']
  assert info['versions'] == {
    'jax': jax.__version__,
    'sce_jax': sce_jax.__version__,
  }
  assert (info['run']['epoch'], info['run']['loss']['name']) == (1, 'sl')
  assert info['network']['name'] == 'digits_cnn'


def test_its_readme_runs(plain, tmp_path, monkeypatch, capsys):
  exported = copy_of(plain[1], tmp_path)
  monkeypatch.chdir(exported)
  (exported / 'photos').mkdir()
  Image.fromarray(IMAGES[0, ..., 0]).save(exported / 'photos' / 'a.png')
  page = Sybil([PythonCodeBlockParser()]).parse(exported / 'README.md')
  page.namespace['images'] = IMAGES
  found = []
  for example in page.examples():
    example.evaluate()
    found.append(np.asarray(page.namespace['probabilities']))
    if len(found) == 1:
      names = [str(x) for x in found[0].argmax(axis=1)]
      assert page.namespace['names'] == names
    page.namespace['images'] = IMAGES  # As a name it is used twice.
  first, _, last = found
  np.testing.assert_allclose(first, last, rtol=RTOL)
  assert capsys.readouterr().out.startswith("['a.png'] [[")


@pytest.mark.parametrize('which', ['plain', 'winograd'])
def test_a_foreign_program_is_replaced_by_the_parameters(
  which, request, tmp_path, capsys
):
  found = request.getfixturevalue(which)
  exported = found[1] if which == 'plain' else found[0]
  expected = sce_jax.load(exported).predict_proba(IMAGES)
  assert capsys.readouterr().out == ''
  copy = copy_of(exported, tmp_path)
  (copy / 'model.jax_export').write_bytes(b'of another network')
  check(sce_jax.load(copy), expected)
  (line,) = capsys.readouterr().out.splitlines()
  assert line.startswith(f'{copy / "model.jax_export"} cannot be used here (')
  assert 'is not the file that was exported (18 bytes)' in line


def damage(program):
  # In the middle of the parameters: nothing but a checksum tells.
  middle = len(program) // 2
  return program[:middle] + bytes(50) + program[middle + 50 :]


@pytest.mark.parametrize(
  ('spoil', 'reason'),
  [
    (lambda program: program[:-100], 'unpack_from'),
    (lambda program: b'', 'unpack_from'),
    (None, 'expired'),
    (damage, 'is not the file'),
  ],
  ids=['cut', 'empty', 'expired', 'damaged'],
)
def test_so_is_one_that_jax_cannot_read(
  spoil, reason, plain, tmp_path, capsys, monkeypatch
):
  _, exported = plain
  expected = sce_jax.load(exported).predict_proba(IMAGES)
  copy = copy_of(exported, tmp_path)
  file = copy / 'model.jax_export'
  if spoil is None:
    monkeypatch.setattr(
      jax_export,
      'deserialize',
      mock.Mock(side_effect=ValueError('it has expired')),
    )
  else:
    file.write_bytes(spoil(file.read_bytes()))
  if spoil is not damage:
    sums = sce_jax.load(exported).info['sha256']
    capsys.readouterr()
    sums['model.jax_export'] = inference.checksum(file.read_bytes())
    change(copy, sha256=sums)
  found = sce_jax.load(copy).predict_proba(IMAGES)
  np.testing.assert_allclose(found, expected, rtol=RTOL)
  (line,) = capsys.readouterr().out.splitlines()
  assert reason in line


def test_what_is_no_export_is_refused(plain, tmp_path):
  run, exported = plain
  assert 'holds no exported network' in told(sce_jax.load, tmp_path / 'no')
  assert 'holds no exported network' in told(sce_jax.load, run)
  file = exported / 'model.json'
  assert 'holds no exported network' in told(sce_jax.load, file)
  copy = copy_of(exported, tmp_path)
  change(copy, sce_jax_format=7)
  assert 'another version of sce_jax (format 7' in told(sce_jax.load, copy)
  change(copy, sce_jax_format=1, network={'name': 'digits_cnn', 'more': 1})
  (copy / 'model.jax_export').unlink()
  assert 'this version of sce_jax lacks (' in told(sce_jax.load, copy)
  for content, reason in (
    ('{"sce_ja', 'is damaged (Unterminated'),
    ('{"sce_jax_format": 1}', "is damaged (it lacks 'classes')"),
    ('[1]', 'is not of an exported network'),
    ('{"model_type": "bert"}', 'is not of an exported network'),
  ):
    (copy / 'model.json').write_text(content)
    assert reason in told(sce_jax.load, copy)


def test_damaged_parameters_are_refused(plain, tmp_path):
  _, exported = plain
  copy = copy_of(exported, tmp_path)
  file = copy / 'model.safetensors'
  file.write_bytes(file.read_bytes()[:-1])
  assert 'is not the file that was exported' in told(sce_jax.load, copy)
  file.unlink()
  assert 'cannot be read (No such file' in told(sce_jax.load, copy)


@pytest.mark.parametrize(
  'images', [IMAGES.astype(np.float32), IMAGES[:, :7], IMAGES[..., [0, 0]]]
)
def test_images_of_another_shape_or_type_are_refused(images, plain):
  model = sce_jax.load(plain[1])
  assert 'takes uint8 images [N, 8, 8, 1]' in told(model.predict, images)


def content_of(folder):
  return {x: x.read_bytes() for x in folder.rglob('*') if x.is_file()}


def test_nothing_else_is_replaced(plain, tmp_path):
  run, exported = plain
  (tmp_path / 'file').write_text('mine')
  copy = copy_of(exported, tmp_path)
  (copy / 'notes.txt').write_text('mine')
  foreign = tmp_path / 'foreign'
  foreign.mkdir()
  (foreign / 'model.safetensors').write_text('mine')
  before = content_of(tmp_path)
  for out, reason in (
    (tmp_path / 'file', 'is a file'),
    (tmp_path / 'file' / 'below', 'cannot be written'),
    (copy, 'holds notes.txt, which is not of an exported network'),
    (run, 'which is not of an exported network'),
    (foreign, 'is there and would be replaced'),
  ):
    assert reason in told(export.export, run, out)
  assert content_of(tmp_path) == before


def test_an_export_appears_whole_or_not_at_all(plain, tmp_path, monkeypatch):
  run, exported = plain
  copy = copy_of(exported, tmp_path)
  change(copy, created='before')
  before = content_of(tmp_path)
  with monkeypatch.context() as patch:
    patch.setattr(export.paths, 'write', mock.Mock(side_effect=OSError))
    for out in (copy, tmp_path / 'new'):
      with pytest.raises(OSError):
        export.export(run, out)
  assert content_of(tmp_path) == before
  assert not (tmp_path / 'new').exists()
  assert export.export(run, copy) == copy
  assert sce_jax.load(copy).info['created'] != 'before'
  assert [x.name for x in tmp_path.iterdir()] == ['copy']


def test_an_export_can_be_in_a_cloud(plain, cloud):
  run, exported = plain
  address, _ = cloud()
  for _ in range(2):  # The second replaces the first.
    export.export(run, f'{address}/model')
  found = sce_jax.load(f'{address}/model').predict_proba(IMAGES)
  np.testing.assert_array_equal(
    found, sce_jax.load(exported).predict_proba(IMAGES)
  )
  paths.write(paths.path(f'{address}/model/notes.txt'), 'mine')
  assert 'holds notes.txt' in told(export.export, run, f'{address}/model')


def launch(*arguments):
  return runtime.run(['launch.py', *map(str, arguments)])


def table(file):
  with open(file, encoding='utf-8') as opened:
    return list(csv.DictReader(opened))


def test_launch_exports_and_predicts_an_array(
  plain, tmp_path, capsys, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  run, _ = plain
  assert launch('export', f'--workdir={run}', '--out=model') == ExitCode.DONE
  assert 'epoch 1 of 1' in capsys.readouterr().out
  expected = sce_jax.load('model').predict_proba(IMAGES)
  np.save('plain.npy', IMAGES[..., 0])
  np.savez('named.npz', images=IMAGES, labels=np.zeros(7))
  for name in ('plain.npy', 'named.npz'):
    done = launch(
      'predict', '--model=model', f'--images={name}', '--out=new/out.csv'
    )
    assert done == ExitCode.DONE
    rows = table('new/out.csv')
    assert [row['index'] for row in rows] == list('0123456')
    labels = expected.argmax(axis=1)
    assert [int(row['label']) for row in rows] == labels.tolist()
    assert [row['class_name'] for row in rows] == [str(x) for x in labels]
    # As printed, six places.
    np.testing.assert_allclose(
      [float(row['probability']) for row in rows], expected.max(1), atol=6e-7
    )


def test_launch_predicts_a_folder(plain, tmp_path, capsys):
  _, exported = plain
  folder, out = tmp_path / 'images', tmp_path / 'out.csv'
  (folder / 'below').mkdir(parents=True)
  (folder / '.hidden').mkdir()
  grey = Image.fromarray(IMAGES[0, ..., 0])
  grey.save(folder / 'b.PNG')
  grey.save(folder / '.hidden' / 'c.png')
  grey.convert('RGBA').save(folder / 'below' / 'a, "1".png')
  wide = IMAGES[0, ..., 0].astype(np.uint16) * 256
  Image.fromarray(wide).save(folder / 'sixteen.png')
  # Stored turned by a quarter, and a tag that says so.
  turned = grey.transpose(Image.Transpose.ROTATE_90)
  exif = Image.Exif()
  exif[0x0112] = 6
  turned.save(folder / 'turned.png', exif=exif)
  (folder / 'cut.png').write_bytes((folder / 'b.PNG').read_bytes()[:60])
  (folder / 'empty.jpg').touch()
  (folder / 'notes.txt').write_text('no image')
  arguments = ('predict', f'--model={exported}', f'--out={out}')
  assert launch(*arguments, f'--images={folder}') == ExitCode.DONE
  output = capsys.readouterr().out
  assert '2 files cannot be read and are left out:' in output
  assert '  cut.png: ' in output and '  empty.jpg: ' in output
  assert f'4 predictions: {out}' in output
  rows = table(out)
  names = ['b.PNG', 'below/a, "1".png', 'sixteen.png', 'turned.png']
  assert [row['file_name'] for row in rows] == names
  # All are the same image.
  expected = sce_jax.load(exported).predict_proba(IMAGES[:1])
  assert {row['probability'] for row in rows} == {f'{expected.max():.6f}'}
  assert launch(*arguments, f'--images={folder / "b.PNG"}') == ExitCode.DONE
  assert table(out) == rows[:1]


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


@pytest.fixture
def inputs(plain, tmp_path):
  """A run, its export, and files that cannot be predicted."""
  run, exported = plain
  (tmp_path / 'none').mkdir()
  (tmp_path / 'cut').mkdir()
  (tmp_path / 'cut' / 'a.png').write_bytes(b'\x89PNG')
  Image.new('L', (9, 8)).save(tmp_path / 'wide.png')
  np.save(tmp_path / 'small.npy', IMAGES[:, :7])
  np.save(tmp_path / 'float.npy', IMAGES / 16)
  np.save(tmp_path / 'objects.npy', np.array([{}]), allow_pickle=True)
  np.save(tmp_path / 'empty.npy', IMAGES[:0])
  np.savez(tmp_path / 'other.npz', y=IMAGES)
  (tmp_path / 'text.npy').write_text('no array')
  return {'R': str(run), 'M': str(exported), 'T': str(tmp_path)}


@pytest.mark.parametrize(
  ('line', 'message'),
  [
    ('export --out=T/new', 'export needs the folder of a run and one to write'),
    ('export --workdir=R', 'export needs the folder of a run and one to write'),
    ('export --workdir=T/no --out=T/new', 'holds no run'),
    ('export --workdir=R --out=T', 'which is not of an exported network'),
    ('predict --images=T', 'predict needs an exported network and images'),
    ('predict --model=M', 'predict needs an exported network and images'),
    ('predict --model=R --images=T/wide.png', 'holds no exported network'),
    ('predict --model=M --images=T/no', 'there is no'),
    ('predict --model=M --images=T/none', 'holds no images (.jpg'),
    ('predict --model=M --images=T/cut', 'no image that can be read (a.png: '),
    ('predict --model=M --images=T/wide.png', 'has 9x8 pixels, but the netw'),
    ('predict --model=M --images=T', 'has 9x8 pixels, but the network takes'),
    ('predict --model=M --images=T/small.npy', 'holds uint8 of shape [7, 7,'),
    ('predict --model=M --images=T/float.npy', 'holds float64 of shape'),
    ('predict --model=M --images=T/objects.npy', 'cannot be read (Object arr'),
    ('predict --model=M --images=T/text.npy', 'cannot be read ('),
    ('predict --model=M --images=T/empty.npy', 'holds no images'),
    ('predict --model=M --images=T/other.npz', 'no array named images or x'),
    ('predict --model=M --images=s3://a/b', 'copy the images here first'),
    ('predict --model=M --images=T/wide.png --out=T', 'is a folder: name a'),
  ],
)
def test_bad_input_gets_one_line_and_writes_nothing(
  line, message, inputs, tmp_path, capsys, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  before = content_of(tmp_path)
  words = line.split()
  for name, path in inputs.items():
    words = [re.sub(rf'=({name})(?=/|$)', f'={path}', word) for word in words]
  assert launch(*words) == ExitCode.BAD_INPUT
  (said,) = capsys.readouterr().err.splitlines()
  assert message in said
  assert content_of(tmp_path) == before


def test_an_unknown_name_of_the_package_is_an_error():
  with pytest.raises(AttributeError, match="no attribute 'nope'"):
    _ = sce_jax.nope


def test_a_run_without_a_checkpoint_is_refused(plain, tmp_path):
  run, _ = plain
  copy = shutil.copytree(run, tmp_path / 'run')
  shutil.rmtree(files.checkpoints(copy))
  with pytest.raises(UserError, match='has no checkpoint yet'):
    export.export(copy, tmp_path / 'model')
  assert not (tmp_path / 'model').exists()
