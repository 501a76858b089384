"""Hostile and degenerate input: one line, or it is used; nothing executed."""

import ast
import io
import json
import pickle
import re
import tarfile
import zipfile

import hypothesis
from hypothesis import strategies as st
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from configs import digits
from sce_jax import train
from sce_jax.config import check, fields
from sce_jax.data import dataset as dataset_lib
from sce_jax.data.sources import archives
from sce_jax.data.sources.web import archives as web_archives
from sce_jax.errors import UserError
from sce_jax.parallel import messages
from sce_jax.runs import files
from tests import conftest, synthetic
from tests.data import reading
from tests.data.reading import told

pytestmark = pytest.mark.faults

PLAIN = digits.get_config('sl,symmetric,0.4').to_dict()
FIELDS = sorted(fields.flatten(PLAIN))
SECTIONS = sorted({path.rpartition('.')[0] for path in FIELDS} - {''})
_ATOMS = st.one_of(
  st.none(),
  st.booleans(),
  st.integers(),
  st.sampled_from([0, 1, -1, 2**31, 2**32, 2**64, 10**400]),
  st.floats(),
  st.text(max_size=8),
  st.binary(max_size=4),
  st.sampled_from(['\n', '$(touch x)', '../..', '\x00', 'sl', '1e9', object()]),
  st.complex_numbers(),
)
VALUES = st.one_of(
  _ATOMS,
  st.lists(_ATOMS, max_size=3),
  st.tuples(_ATOMS, _ATOMS),
  st.dictionaries(st.text(max_size=3), _ATOMS, max_size=2),
  st.sets(st.integers(), max_size=2),
)


@pytest.fixture(scope='module')
def info():
  return synthetic.data().info


@pytest.mark.parametrize(
  'examples', [300, pytest.param(20_000, marks=pytest.mark.slow)]
)
def test_a_config_of_any_values_is_used_or_refused_in_a_line(
  examples, info, monkeypatch
):
  @hypothesis.settings(
    max_examples=examples, derandomize=True, database=None, deadline=None
  )
  @hypothesis.given(st.sampled_from([*FIELDS, *SECTIONS]), VALUES)
  def check_one(path, value):
    values = digits.get_config('sl,symmetric,0.4').to_dict()
    *sections, name = path.split('.')
    section = values
    for part in sections:
      section = section[part]
    section[name] = value
    # A whole number in a field of floats is left as it is.
    monkeypatch.setattr(jaxtyping.config, 'jaxtyping_disable', True)
    try:
      checked = check.check_config(values)
      check.check_fits(checked, info)
    except UserError as error:
      assert len(str(error).splitlines()) == 1
      assert str(error).isprintable()
    else:
      # What is used can be written to config.json and is the same there.
      json.loads(json.dumps(checked.to_dict(), allow_nan=False))

  check_one()


@pytest.mark.parametrize(
  ('path', 'value'),
  [
    ('optim.learning_rate', 10**400),
    ('train.epochs', 2**64),
    ('data.mean', ('x',)),
    ('data.std', (None,)),
    ('data.mean', (float('nan'),)),
    ('optim.boundaries', (True, 2.5)),
    ('data.label_sets', {'worse': 3}),
  ],
)
def test_what_is_inside_a_value_counts_too(path, value):
  values = section().to_dict()
  part, name = path.split('.')
  values[part][name] = value
  assert f'config.{path} is' in told(check.check_config, values)


def section(**changes):
  made = synthetic.config('ce,clean,0')
  made.model.name = 'digits_cnn'
  made.train.epochs = 1
  made.update_from_flattened_dict(changes)
  return made


def arrays(images, labels, made=None, **more):
  config = check.check_config(made or section())
  return dataset_lib.from_arrays(config.data, images, labels, **more)


@pytest.mark.parametrize(
  ('images', 'labels', 'more', 'message'),
  [
    (np.full((4, 8, 8, 1), np.nan), [0, 1, 0, 1], {}, 'from nan to nan'),
    (np.full((4, 8, 8, 1), np.inf), [0, 1, 0, 1], {}, 'finite|inf'),
    (np.zeros((0, 8, 8, 1), np.uint8), [], {}, 'of shape'),
    (np.zeros((4, 8, 8, 1), np.uint8), [0] * 4, {}, 'class'),
    (
      np.zeros((4, 8, 8, 1), np.uint8),
      [0, 1, 2, 0],
      {'class_names': ['a', 'b']},
      'label',
    ),
    (np.zeros((4, 8, 8, 1), np.uint8), [0, 1], {}, '4|2'),
    (np.zeros((4, 8, 8, 1), np.uint8), [{}, 1, 0, 1], {}, 'label'),
    (np.array([object()] * 4), [0, 1, 0, 1], {}, ''),
  ],
)
def test_arrays_that_cannot_be_used(images, labels, more, message):
  assert re.search(message, told(arrays, images, labels, **more))


def test_two_classes_and_a_batch_larger_than_the_data(small_network, tmp_path):
  rng = np.random.default_rng(0)
  images = rng.integers(0, 256, (12, 8, 8, 1), np.uint8)
  made = section(**{'train.batch_size': 16})
  data = arrays(
    images, np.arange(12) % 2, made, test_images=images[:1], test_labels=[0]
  )
  try:
    train.train_and_evaluate(made, tmp_path / 'run', dataset=data)
  except UserError as error:
    assert 'batch' in str(error) and not (tmp_path / 'run').exists()
  else:
    assert files.read_metrics(tmp_path / 'run')[-1]['epoch'] == 1


def test_members_of_archives_are_read_where_they_lie(tmp_path):
  """Links, devices and paths that leave the folder are never followed."""
  root = tmp_path / 'root'
  (root / 'images').mkdir(parents=True)
  secret = tmp_path / 'secret.jpg'
  secret.write_bytes(b'secret')
  kinds = {
    'a.jpg': tarfile.REGTYPE,
    'link.jpg': tarfile.SYMTYPE,
    'hard.jpg': tarfile.LNKTYPE,
    'device.jpg': tarfile.CHRTYPE,
    '../outside.jpg': tarfile.REGTYPE,
    'cifar/data_batch_1.bin': tarfile.SYMTYPE,
  }
  packed = root / 'images' / '0.tar'
  with tarfile.open(packed, 'w') as tar:
    for name, kind in kinds.items():
      member = tarfile.TarInfo(name)
      member.type = kind
      member.linkname = str(secret)
      member.size = 4 if kind == tarfile.REGTYPE else 0
      tar.addfile(member, io.BytesIO(b'here'))
  before = set(tmp_path.rglob('*'))
  found = web_archives.ImageFiles(root, [x for x in kinds if '/' not in x])
  assert found.missing == ['link.jpg', 'hard.jpg', 'device.jpg']
  assert found.read('a.jpg') == b'here'
  with tarfile.open(packed) as tar:
    assert 'holds no file' in told(archives._member, tar, 'data_batch_1.bin')
  path = tmp_path / 'own.npz'
  with zipfile.ZipFile(path, 'w') as file:
    for name in ('../images.npy', '/labels.npy'):
      file.writestr(name, b'x')
  assert "lacks the array 'images'" in told(
    reading.read, 'own', None, path=str(path)
  )
  assert {*tmp_path.rglob('*')} - before == {path}


@pytest.mark.parametrize(
  'sent',
  [
    b'',
    pickle.dumps(print),
    # Of the packages whose types a pickle would need, with other names in them.
    b'\x80\x04csce_jax.runs.metadata\nsubprocess.Popen\n(Vtrue\ntR.',
    b'\x80\x04cnumpy\nmemmap\n(V/tmp/executed\nVuint8\nVw+\nI0\n(I1\nttR.',
    messages.dumps(np.zeros(3)).replace(b'<f8', b'|O8'),
    messages.dumps(np.zeros(3)).replace(b'[3]', b'[9]'),
    messages.dumps(np.zeros(3)).replace(b'[3]', b'"3"'),
  ],
)
def test_what_another_process_sends_is_data(sent):
  with pytest.raises(ValueError):
    messages.loads(sent)


def test_what_is_sent_arrives():
  sent = {
    'plain': [None, True, 2**70, 0.1, float('inf'), 'ä'],
    'arrays': (
      np.arange(6, dtype=np.int32).reshape(2, 3).T,
      np.array([1.5, -2], jnp.bfloat16),
      np.array(['a', 'ä']),
      np.zeros((0, 2), bool),
      np.uint32(7),
    ),
  }
  found = messages.loads(messages.dumps(sent))
  assert found['plain'] == sent['plain']
  for array, other in zip(sent['arrays'], found['arrays'], strict=True):
    assert array.dtype == other.dtype
    np.testing.assert_array_equal(array, other, strict=array.ndim > 0)
  with pytest.raises(TypeError, match='set cannot be sent'):
    messages.dumps({1})


def test_nothing_is_unpickled_and_no_shell_is_started():
  """By the source: loads of pickles, numpy's too, shells, eval and exec."""
  found = []
  for folder in ('sce_jax', 'experiments', 'configs'):
    for path in sorted((conftest.REPOSITORY / folder).rglob('*.py')):
      for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
          found += [
            (str(path.relative_to(conftest.REPOSITORY)), what)
            for what in _risks(node)
          ]
  assert found == []


def _risks(call):
  name = ast.unparse(call.func)
  if name in (
    'eval',
    'exec',
    'os.system',
    'os.popen',
    'pickle.load',
    'pickle.loads',
    'pickle.Unpickler',
    'super().find_class',
    'marshal.loads',
    'joblib.load',
    'yaml.load',
    'pd.read_pickle',
  ):
    yield name
  for keyword in call.keywords:
    value = ast.unparse(keyword.value)
    if (keyword.arg, value) in (
      ('allow_pickle', 'True'),
      ('shell', 'True'),
      ('weights_only', 'False'),
    ):
      yield f'{keyword.arg}={value}'
  if name in ('np.load', 'numpy.load') and not any(
    x.arg == 'allow_pickle' for x in call.keywords
  ):
    yield f'{name} without allow_pickle=False'
