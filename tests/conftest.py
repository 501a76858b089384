"""What all tests share: eight CPU devices, strict promotion, data folders."""

import contextlib
import functools
from importlib import metadata
import os
import pathlib
import subprocess
import sys
import uuid

# Before jax is imported, which reads it once. Most of the tests' time is spent
# on compiling, so that little is optimised here. Processes that the tests start
# compile as a user's do; so does everything if XLA_FLAGS is set, also to ''.
# jaxlib 0.12 no longer knows the second flag, which would end everything.
os.environ['XLA_FLAGS'] = '--xla_force_host_platform_device_count=8 ' + (
  os.environ.get(
    'XLA_FLAGS',
    '--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false'
    if metadata.version('jaxlib').startswith('0.10.')
    else '--xla_backend_optimization_level=0',
  )
)
os.environ['JAX_PLATFORMS'] = 'cpu'
os.environ['JAX_NUMPY_DTYPE_PROMOTION'] = 'strict'

import jax
import pytest

from experiments.cli import runtime
from sce_jax import models
from sce_jax.data.sources import prepare
from tests import clouds, fake_data

REPOSITORY = pathlib.Path(__file__).parent.parent


def pytest_configure(config):
  """Keeps compiled programs in pytest's cache for the next run of the tests."""
  if 'JAX_COMPILATION_CACHE_DIR' not in os.environ:
    programs = config.cache.mkdir('programs')
    jax.config.update('jax_compilation_cache_dir', str(programs))
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.0)
    jax.config.update('jax_persistent_cache_min_entry_size_bytes', -1)


def pytest_collection_modifyitems(items):
  """Marks the tests whose fixtures start processes, and the slow ones."""
  for item in items:
    if item.get_closest_marker('landing'):
      item.add_marker('slow')
    if {'launch', 'cloud', 'comparison'} & set(item.fixturenames):
      item.add_marker('process')


@pytest.fixture(autouse=True, scope='module')
def _forgotten_programs():
  """Frees a module's compiled programs, which would fill gigabytes."""
  yield
  jax.clear_caches()


@pytest.fixture
def x64():
  """float64 inside jax, for this test only."""
  with jax.enable_x64(True):
    yield


@pytest.fixture(scope='session')
def data_dir(tmp_path_factory) -> str:
  """A tfds folder with digits, and with fakes of the other data sets."""
  folder = tmp_path_factory.mktemp('tfds')
  prepare.download_and_prepare('digits', str(folder))
  fake_data.write_all(folder)
  return str(folder)


@pytest.fixture(scope='module')
def small_network():
  """Digits' network is one without convolutions: quickly compiled.

  For what does not depend on the network. It has batch norm, so that there are
  running statistics.
  """
  network = functools.partial(models.cnn.CNN, stages=(), pooled=(), hidden=16)
  with pytest.MonkeyPatch.context() as patch:
    patch.setitem(models.MODELS, 'digits_cnn', network)
    yield


@pytest.fixture(scope='session')
def shared_data() -> pathlib.Path:
  """The folder of real data that is no part of the project."""
  folder = pathlib.Path(
    os.environ.get('SCE_SHARED_DATA', REPOSITORY.parent / 'shared' / 'data')
  )
  if not (folder / 'mnist.npz').exists():
    pytest.skip(f'no real data in {folder} (SCE_SHARED_DATA)')
  return folder


@pytest.fixture(scope='session')
def _buckets():
  """Servers that have been started, by scheme, and their environments."""
  with contextlib.ExitStack() as stack:
    environments = {}

    def start(scheme):
      if scheme not in environments:
        found = stack.enter_context(clouds.serve(scheme))
        # This process looks at what lies there, too.
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in found.items():
          patch.setenv(name, value)
        if scheme == 's3':
          import s3fs  # noqa: PLC0415  Only where there is one.

          s3fs.S3FileSystem().mkdir(clouds.BUCKET)
        environments[scheme] = found
      return environments[scheme]

    yield start


@pytest.fixture
def cloud(_buckets):
  """Makes an empty folder in a local server's bucket: its address.

  Also the environment by which launch.py finds the server.
  """

  def make(scheme: str = 's3') -> tuple[str, dict[str, str]]:
    environment = _buckets(scheme)
    return f'{scheme}://{clouds.BUCKET}/{uuid.uuid4().hex}', environment

  return make


@pytest.fixture
def launch(data_dir, tmp_path):
  """Runs launch.py as a user would, on one device; returns the process."""

  def run(*arguments: str, data: str = data_dir, more=None, **options):
    return subprocess.run(
      command(*arguments),
      env=environment(data, tmp_path) | (more or {}),
      cwd=options.pop('cwd', REPOSITORY),
      capture_output=True,
      text=True,
      timeout=options.pop('timeout', 300),
      check=False,
      **options,
    )

  return run


@pytest.fixture
def launch_here(data_dir, capsys, monkeypatch):
  """Runs launch.py in this process; returns what a process would."""
  monkeypatch.setenv('TFDS_DATA_DIR', data_dir)

  def run(*arguments: str):
    capsys.readouterr()
    code = runtime.run(['launch.py', *arguments])
    out, err = capsys.readouterr()
    return subprocess.CompletedProcess(arguments, code, out, err)

  return run


def run_python(code: str, returncode: int = 0) -> str:
  """Runs Python code in a new process; returns what it prints.

  Args:
    code: the code.
    returncode: with which it is to end: -9 if it is killed.
  """
  done = subprocess.run(
    [sys.executable, '-c', code],
    cwd=REPOSITORY,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == returncode, done.stderr
  return done.stdout


def command(*arguments: str) -> list[str]:
  """The command line of launch.py."""
  return [sys.executable, str(REPOSITORY / 'launch.py'), *arguments]


def environment(data_dir: str, home: pathlib.Path) -> dict[str, str]:
  """The environment of a user without any accelerator."""
  return {
    'PATH': os.environ['PATH'],
    'HOME': str(home),
    'TFDS_DATA_DIR': data_dir,
    'JAX_PLATFORMS': 'cpu',
    # Compiled programs are shared by the tests, also of several workers.
    'XDG_CACHE_HOME': str(_shared_folder(data_dir) / 'cache'),
  }


def _shared_folder(data_dir: str) -> pathlib.Path:
  """A folder of this run of the tests, whichever worker asks."""
  folder = pathlib.Path(data_dir).parent
  return folder.parent if 'PYTEST_XDIST_WORKER' in os.environ else folder
