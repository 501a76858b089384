"""Sweeps on Ray clusters of this machine, and what is killed in them."""

import contextlib
import fcntl
import importlib.util
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

import psutil
import pytest

from experiments.sweeps import ray_cluster
from experiments.sweeps.ray_cluster import Resources
from sce_jax import errors
from sce_jax.runs import files
from tests import conftest
from tests.experiments.sweeps import small

pytestmark = pytest.mark.process

needs_ray = pytest.mark.skipif(
  importlib.util.find_spec('ray') is None, reason='Ray is not installed'
)
TOKEN = 'a-token-of-the-tests-that-is-long-enough'
TIMES = ('seconds', 'images_per_second', 'train_seconds')

CONFIG = (
  small.CONFIG
  + """
def sweep():
  yield {'seed': 0}
  yield {'seed': 1}

def sweep_long():
  for seed in range(3):
    yield {'seed': seed, 'train.epochs': 60}
"""
)

# Two nodes of one core each on loopback; ends when its input does.
CLUSTER = """
import json, sys
from ray import cluster_utils

cluster = cluster_utils.Cluster()
nodes = [
  cluster.add_node(
    num_cpus=1,
    node_ip_address='127.0.0.1',
    include_dashboard=False,
    object_store_memory=80 * 2**20,
  )
  for _ in range(2)
]
raylets = [n.all_processes['raylet'][0].process.pid for n in nodes]
print(json.dumps({'address': cluster.address, 'raylets': raylets}), flush=True)
sys.stdin.read()
cluster.shutdown()
"""


def wait_for(condition, seconds=240):
  end = time.monotonic() + seconds
  while not (value := condition()):
    assert time.monotonic() < end
    time.sleep(0.05)
  return value


def has_ended(process):
  try:
    return process.status() == psutil.STATUS_ZOMBIE
  except psutil.NoSuchProcess:
    return True


def matching(is_wanted):
  """Those processes of this machine of which something is true."""
  found = []
  for process in psutil.process_iter():
    with contextlib.suppress(psutil.Error):  # It may be gone by now.
      if is_wanted(process):
        found.append(process)
  return found


@pytest.fixture
def short_folder():
  """Ray's sockets lie in it, whose paths must not be long."""
  with tempfile.TemporaryDirectory(
    prefix='ray', ignore_cleanup_errors=True
  ) as folder:
    yield folder


@pytest.fixture
def environment(data_dir, tmp_path, short_folder):
  variables = conftest.environment(data_dir, tmp_path)
  yield {
    **variables,
    'RAY_TMPDIR': short_folder,
    # Else Ray puts another address in the place of 127.0.0.1.
    'RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER': '0',
    'PYTHONWARNINGS': 'ignore',
  }
  # All that a test has started, orphans of a lost node too, is gone in the end.
  home = variables['HOME']
  wait_for(lambda: not matching(lambda p: p.environ().get('HOME') == home))


@pytest.fixture
def sweep(tmp_path, environment):
  """Starts launch.py on a small sweep; returns the process."""
  (tmp_path / 'small.py').write_text(CONFIG)
  started = []

  def start(name, *flags, folder='runs', executor='ray', **variables):
    process = subprocess.Popen(
      conftest.command(
        'sweep',
        f'--config={tmp_path / "small.py"}:sl,symmetric,0.4',
        *([f'--name={name}'] if name else []),
        f'--executor={executor}',
        f'--workdir={tmp_path / folder}',
        *flags,
      ),
      env={**environment, **variables},
      cwd=conftest.REPOSITORY,
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )
    started.append(process)
    return process

  yield start
  for process in started:
    process.kill()
    process.communicate()


@pytest.fixture
def cluster(environment):
  """Two nodes; their address and raylets."""
  process = subprocess.Popen(
    [sys.executable, '-c', CLUSTER],
    env={**environment, 'RAY_AUTH_MODE': 'token', 'RAY_AUTH_TOKEN': TOKEN},
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  )
  with process:
    try:
      yield json.loads(process.stdout.readline())
      process.communicate('', timeout=60)
    finally:
      process.kill()


def refusal(process):
  _, err = process.communicate(timeout=120)
  assert process.returncode == 2, err
  assert len(err.splitlines()) == 1, err
  return err


@needs_ray
@pytest.mark.slow
def test_a_sweep_on_a_cluster_of_its_own(sweep, tmp_path):
  driver = sweep('')
  folder = tmp_path / 'runs'
  wait_for(lambda: list(folder.glob('sweep-small.logs/*.log')))
  family = psutil.Process(driver.pid).children(recursive=True)
  # Nobody is let in from elsewhere, and nobody else here.
  (raylet,) = (process for process in family if process.name() == 'raylet')
  assert raylet.environ()['RAY_AUTH_MODE'] == 'token'
  where = set()
  for process in family:
    with contextlib.suppress(psutil.Error):
      where |= {
        connection.laddr.ip
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
      }
  assert where and where <= {'127.0.0.1', '::ffff:127.0.0.1'}
  assert 'jax' not in pathlib.Path(f'/proc/{driver.pid}/maps').read_text()
  out, err = driver.communicate(timeout=240)
  assert driver.returncode == 0, err
  assert '2 of 2 runs have ended well' in out.splitlines()
  for path in folder.glob('*/config.json'):
    assert len(files.read_metrics(path.parent)) == 4
    assert 'test_accuracy' in files.read_result(path.parent)
  assert len(list(folder.glob('*/result.json'))) == 2
  assert not list(folder.parent.glob('.ray/*'))
  wait_for(lambda: all(map(has_ended, family)))


@needs_ray
def test_address_where_nobody_listens_is_refused(sweep):
  with socket.create_server(('127.0.0.1', 0)) as server:
    port = server.getsockname()[1]
  assert f'no Ray cluster answers at 127.0.0.1:{port}' in refusal(
    sweep('', f'--address=127.0.0.1:{port}')
  )


@pytest.mark.parametrize(
  ('resources', 'message'),
  [
    (Resources(address='ray://10.0.0.1:10001'), 'give HOST:PORT'),
    (Resources(address='10.0.0.1'), 'give HOST:PORT'),
    (Resources(gpus=1.5), '--gpus=1.5: '),
    (Resources(cpus=0), '--cpus=0: '),
  ],
)
def test_bad_resources_are_refused(resources, message, tmp_path, monkeypatch):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: name)
  with pytest.raises(errors.UserError, match=message):
    ray_cluster.Cluster(None, resources, tmp_path)


def test_missing_ray_is_named(tmp_path, monkeypatch):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  with pytest.raises(errors.UserError, match='pip install "ray>='):
    ray_cluster.Cluster(None, Resources(), tmp_path)


def test_environment_of_a_command(monkeypatch):
  monkeypatch.setattr(
    os,
    'environ',
    {'JAX_ENABLE_X64': '0', 'RAY_AUTH_TOKEN': 'secret', 'HOME': '/home/me'},
  )
  assert ray_cluster._environment({'CPU': 4}) == {
    'JAX_ENABLE_X64': '0',
    'JAX_PLATFORMS': 'cpu',
    'NPROC': '4',
    'OMP_NUM_THREADS': '4',
  }
  assert ray_cluster._environment({'CPU': 1, 'GPU': 0.5}) == {
    'JAX_ENABLE_X64': '0',
    'XLA_PYTHON_CLIENT_MEM_FRACTION': '0.45',
  }


def figures(folder):
  """All that a sweep's runs have found out, without the times."""
  found = {}
  for path in folder.glob('*/metrics.jsonl'):
    lines = [*files.read_metrics(path.parent)]
    result = files.read_result(path.parent)
    assert result is not None, path
    found[path.parent.name] = [
      {k: v for k, v in line.items() if k not in TIMES}
      for line in [*lines, result]
    ]
  return found


@pytest.fixture(scope='module')
def undisturbed():
  """Figures of the sweep when nothing is killed; filled by the first test."""
  return {}


def kill_worker(driver, cluster, victim):
  victim.parent().kill()


def kill_command(driver, cluster, victim):
  victim.kill()


def kill_node(driver, cluster, victim):
  os.kill(cluster['raylets'][1], signal.SIGKILL)


def kill_driver(driver, cluster, victim):
  driver.kill()


def interrupt_driver(driver, cluster, victim):
  driver.send_signal(signal.SIGINT)


@pytest.mark.faults
@needs_ray
@pytest.mark.slow
@pytest.mark.parametrize(
  ('fault', 'said'),
  [
    (kill_worker, 'preempted, resumes'),
    (kill_command, 'ended with -9, try 1 of 2'),
    (kill_node, 'preempted, resumes'),
    (kill_driver, None),
    (interrupt_driver, None),
  ],
)
def test_killed_runs_end_as_if_nothing_had_happened(
  fault, said, sweep, cluster, tmp_path, undisturbed
):
  flags = (f'--address={cluster["address"]}',)
  token = {'RAY_AUTH_MODE': 'token', 'RAY_AUTH_TOKEN': TOKEN}
  folder = tmp_path / 'runs'
  path = folder / 'sweep-small-long.jsonl'
  if not undisturbed:
    reference = sweep('long', folder='undisturbed', executor='local')
    _, err = reference.communicate(timeout=600)
    assert reference.returncode == 0, err
    undisturbed.update(figures(tmp_path / 'undisturbed'))
    assert len(undisturbed) == 3

  def commands():
    """Commands that are some epochs on their way, by run."""
    return {
      name: process
      for name in undisturbed
      if len(files.read_metrics(folder / name)) > 3
      for process in matching(
        lambda p, words={f'--ids={name}', f'--manifest={path}'}: (
          words <= set(p.cmdline())
        )
      )
    }

  driver = sweep('long', *flags, **token)
  running = wait_for(lambda: len(commands()) == 2 and commands())
  nodes = {process.parent().ppid() for process in running.values()}
  assert len(nodes) == 2
  name, victim = min(running.items())
  assert files.read_result(folder / name) is None
  fault(driver, cluster, victim)
  if said is None:
    driver.communicate(timeout=120)
    assert driver.returncode in (-signal.SIGKILL, 130)
    # Its runs save themselves and end.
    wait_for(lambda: all(map(has_ended, running.values())))
    for name in running:
      assert files.read_result(folder / name) is None
      log = folder / 'sweep-small-long.logs' / f'{name}.log'
      assert 'SIGTERM: saved at step' in log.read_text()
    driver = sweep('long', *flags, **token)
  _, err = driver.communicate(timeout=600)
  assert driver.returncode == 0, err
  assert said is None or said in err
  assert figures(folder) == undisturbed
  for file in folder.glob('*/metrics.jsonl'):
    epochs = [json.loads(x)['epoch'] for x in file.read_text().splitlines()]
    assert epochs == list(range(1, 61))
    with open(file.parent / '.lock') as lock:
      fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
  for log in folder.glob('*.logs/*.log'):
    assert 'in use by another process' not in log.read_text()


@needs_ray
@pytest.mark.slow
def test_more_than_any_node_has_is_refused(sweep, cluster):
  err = refusal(
    sweep(
      '',
      f'--address={cluster["address"]}',
      '--gpus=4',
      RAY_AUTH_MODE='token',
      RAY_AUTH_TOKEN=TOKEN,
    )
  )
  assert '(CPU=1 GPU=4)' in err
