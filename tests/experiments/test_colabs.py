"""The notebooks: stored without output, thin, and executed with tiny values."""

import re

import nbclient
import nbformat
import pytest

from tests import conftest, pages

pytestmark = pytest.mark.process

FOLDER = conftest.REPOSITORY / 'experiments' / 'colabs'
NAMES = ('train_sce', 'your_data', 'explore_noise', 'losses')
# In place of the cell tagged 'parameters'.
TINY = {
  'train_sce': """
FOLDER = os.environ['RUNS']
NOISE = 'symmetric'
RATE = 0.4
EPOCHS = 4
SEEDS = 1
CIFAR10_EPOCHS = 0
CIFAR10_SCALE = 'tiny'
""",
  'your_data': """
FOLDER = os.environ['RUNS']
PATH = f'{FOLDER}/digits'
RATE = 0.3
EPOCHS = 2
FOLDS = 2
""",
  'explore_noise': """
RATE = 0.4
EXAMPLES = 200
IMAGES = 4
""",
  'losses': """
ALPHA, BETA, A = 0.1, 1.0, -4.0
SCALE = 'tiny'
""",
}


def read(name):
  return nbformat.read(FOLDER / f'{name}.ipynb', as_version=4)


def source(notebook, cell_type):
  """All of a notebook's code or text."""
  return '\n'.join(c.source for c in notebook.cells if c.cell_type == cell_type)


def parameters(notebook):
  """The cell of that tag."""
  (cell,) = (
    c for c in notebook.cells if 'parameters' in c.metadata.get('tags', [])
  )
  return cell


def assigned(code):
  return re.findall(r'^([A-Z0-9_, ]+) = ', code, re.MULTILINE)


@pytest.fixture
def execute(data_dir, tmp_path, monkeypatch):
  """Executes a notebook as a user would; returns texts and number of images."""
  # No kernel of the user's own, and no files in their home.
  monkeypatch.setenv('JUPYTER_DATA_DIR', str(tmp_path / 'jupyter'))
  monkeypatch.setenv('JUPYTER_CONFIG_DIR', str(tmp_path / 'jupyter'))
  env = conftest.environment(data_dir, tmp_path)

  def run(name, changes=''):
    notebook = read(name)
    parameters(notebook).source = TINY[name] + changes
    client = nbclient.NotebookClient(
      notebook,
      kernel_name='python3',
      timeout=1200,
      startup_timeout=300,
      coalesce_streams=True,
      resources={'metadata': {'path': str(FOLDER)}},
    )
    client.execute(env=env | {'RUNS': str(tmp_path / 'runs')})
    outputs = [
      output
      for cell in notebook.cells
      if cell.cell_type == 'code'
      for output in cell.outputs
    ]
    assert not [o for o in outputs if o.get('name') == 'stderr']
    data = [o.data for o in outputs if 'data' in o]
    texts = [o.text for o in outputs if o.output_type == 'stream']
    texts += [d['text/markdown'] for d in data if 'text/markdown' in d]
    return '\n'.join(texts), sum('image/png' in d for d in data)

  return run


def test_all_are_here():
  assert {p.stem for p in FOLDER.glob('*.ipynb')} == set(NAMES)


@pytest.mark.parametrize('name', NAMES)
def test_stored_without_output(name):
  notebook = read(name)
  nbformat.validate(notebook)
  assert set(notebook.metadata) <= {
    'accelerator',
    'kernelspec',
    'language_info',
  }
  assert set(notebook.metadata.language_info) == {'name'}
  for cell in notebook.cells:
    assert set(cell.metadata) <= {'tags'}
    if cell.cell_type == 'code':
      assert cell.outputs == []
      assert cell.execution_count is None


@pytest.mark.parametrize('name', NAMES)
def test_thin(name):
  notebook = read(name)
  assert not re.search(
    r'^ *(def|class) |\blambda\b', source(notebook, 'code'), re.M
  )
  assert 8 <= len(notebook.cells) <= 16


@pytest.mark.parametrize('name', NAMES)
def test_tiny_values_are_those_of_the_parameters(name):
  assert assigned(TINY[name]) == assigned(parameters(read(name)).source)


def test_all_begin_alike():
  first = {
    next(c.source for c in read(name).cells if c.cell_type == 'code')
    for name in NAMES
  }
  assert len(first) == 1


@pytest.mark.parametrize('name', NAMES)
def test_links_lead_here(name):
  notebook = read(name)
  assert f'{name}.ipynb' in pages.links('experiments/colabs/README.md')
  links = re.findall(r'\]\((?!http)([^)]+)\)', source(notebook, 'markdown'))
  assert links
  assert [link for link in links if not (FOLDER / link).exists()] == []


@pytest.mark.landing  # A minute each.
def test_train_sce(execute):
  text, images = execute('train_sce')
  assert text.count('symmetric learning (SL)') == images == 1
  assert re.search(r'CE: wrong label 0\.\d+, true label 0\.\d+', text)
  # So short a run may be done before it is asked to stop.
  assert re.search(r'exit code (75|0) after epoch [234]', text)
  end, again = re.findall(r'(?:training|anew): ([\d.]+)$', text, re.MULTILINE)
  assert end == again


@pytest.mark.landing
def test_train_sce_on_cifar10(execute):
  text, images = execute('train_sce', 'CIFAR10_EPOCHS = 1')
  assert text.count('symmetric learning (SL)') == images == 2
  assert 'cifar10, symmetric 0.4 label noise, 1 epoch,' in text


@pytest.mark.landing
def test_your_data(execute):
  text, images = execute('your_data')
  assert 'training: 1,198 examples, 10 classes' in text
  assert re.search(r'1,198 labels; estimated share of wrong ones: \d', text)
  assert len(re.findall(r'labels, test accuracy: 0\.\d+$', text, re.M)) == 2
  assert "['README.md', 'model.jax_export', 'model.json'" in text
  assert images == 1


@pytest.mark.landing
def test_explore_noise(execute):
  text, images = execute('explore_noise')
  assert 'exact 40.00 % of all are wrong; of a class 40.0 to 40.0 %' in text
  assert 'in the whole: True' in text
  half, both = re.findall(r'(?:half the rate|rate, too): (\d+)', text)
  assert half == both
  assert re.search(r'Overall: aggre [\d.]+ %, random1.* worse', text)
  assert re.search(r'\| true class +\| labelled as +\|', text)
  assert images == 6


@pytest.mark.landing
def test_losses(execute):
  text, images = execute('losses')
  by_jax, by_hand = re.findall(r'by \w+ +(\[.*\])', text)
  assert by_jax == by_hand
  same = re.findall(r'beta [\d.]+, A [-\d.]+: (\[.*\])', text)
  assert same == [by_jax] * 3
  assert re.search(r'^RCE +36\.00 to +36\.00$', text, re.MULTILINE)
  assert images == 2
