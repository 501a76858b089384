"""launch.py export and launch.py predict."""

import re
import sys

import numpy as np
from PIL import Image
import pytest

from sce_jax.exit_codes import ExitCode
from tests.export.exported import IMAGES, RTOL, content_of, launch, table


def test_launch_exports_and_predicts_an_array(
  plain, tmp_path, capsys, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  assert (
    launch('export', f'--workdir={plain.run}', '--out=model') == ExitCode.DONE
  )
  assert 'epoch 2 of 2' in capsys.readouterr().out
  expected = plain.expected
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
      [float(row['probability']) for row in rows],
      expected.max(1),
      rtol=RTOL,
      atol=6e-7,
    )


def test_launch_predicts_a_folder(plain, tmp_path, capsys):
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
  arguments = ('predict', f'--model={plain.folder}', f'--out={out}')
  assert launch(*arguments, f'--images={folder}') == ExitCode.DONE
  output = capsys.readouterr().out
  assert '2 files cannot be read and are left out:' in output
  assert '  cut.png: ' in output and '  empty.jpg: ' in output
  assert f'4 predictions: {out}' in output
  rows = table(out)
  names = ['b.PNG', 'below/a, "1".png', 'sixteen.png', 'turned.png']
  assert [row['file_name'] for row in rows] == names
  # All are the same image.
  np.testing.assert_allclose(
    [float(row['probability']) for row in rows],
    plain.expected[0].max(),
    rtol=RTOL,
    atol=6e-7,
  )
  assert launch(*arguments, f'--images={folder / "b.PNG"}') == ExitCode.DONE
  assert table(out) == rows[:1]


@pytest.fixture
def inputs(plain, tmp_path):
  """A run, its export, and files that cannot be predicted."""
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
  return {'R': str(plain.run), 'M': str(plain.folder), 'T': str(tmp_path)}


@pytest.mark.parametrize(
  ('line', 'message'),
  [
    ('export --out=T/new', 'export needs the folder of a run and one to write'),
    ('export --workdir=R', 'export needs the folder of a run and one to write'),
    ('export --model=M --workdir=R', 'export needs the folder of a run and'),
    ('export --model=M', 'is to become what? Give --format=onnx'),
    ('export --workdir=R --out=T/new --format=onnx', 'needs jax2onnx ('),
    ('export --model=M --format=onnx', '-r sce_jax/requirements-onnx.txt'),
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
    (
      'predict --model=M --images=T/objects.npy',
      'cannot be read (it holds Python objects',
    ),
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
  monkeypatch.setitem(sys.modules, 'jax2onnx', None)
  before = content_of(tmp_path)
  words = line.split()
  for name, path in inputs.items():
    words = [re.sub(rf'=({name})(?=/|$)', f'={path}', word) for word in words]
  assert launch(*words) == ExitCode.BAD_INPUT
  (said,) = capsys.readouterr().err.splitlines()
  assert message in said
  assert content_of(tmp_path) == before
