"""The driver against a scripted executor, then with real processes."""

import fcntl
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

from experiments.sweeps import driver, task
from experiments.sweeps.manifest import Entry
from sce_jax import errors
from sce_jax.config import fields
from sce_jax.runs import files
from tests import conftest
from tests.experiments.sweeps import small


class Scripted:
  """Ends each command at once, with the codes that it was given."""

  def __init__(self, folder, codes, slots=2):
    self.slots = slots
    self.started = []
    self.most = 0
    self.stopped = False
    self._folder, self._codes, self._running = folder, codes, []

  def start(self, name, command):
    assert command == ['launch.py', name]
    self.started.append(name)
    self._running.append(name)
    self.most = max(self.most, len(self._running))

  def ended(self):
    codes = {name: self._codes[name].pop(0) for name in self._running}
    for name, code in codes.items():
      folder = self._folder / name
      folder.mkdir(exist_ok=True)
      if code == 0:
        (folder / 'result.json').write_text('{"test_accuracy": 0.5}')
      if code == 3:
        (folder / 'failed.json').write_text('{"failed": "not finite at 7"}')
    self._running = []
    return codes

  def stop(self):
    self.stopped = True

  def log(self, name):
    return self._folder / f'{name}.log'


def tasks(folder, *names):
  return task.pack(
    [
      Entry(name, ['launch.py', name], 'f', str(folder / name), 1)
      for name in names
    ],
    1,
    folder / 'sweep.jsonl',
  )


def run(folder, codes, retries=2):
  executor = Scripted(folder, codes)
  failed = driver.Driver(tasks(folder, *codes), executor, retries).run()
  return failed, executor


def test_what_is_retried_and_what_is_not(tmp_path):
  (tmp_path / 'bad.log').write_text('error: no such loss\n')
  failed, executor = run(
    tmp_path,
    {
      'preempted': [75, 75, 75, 75, 0],
      'broken': [1000, -9, 1000, 0],
      'mended': [-9, -9, 0],
      'nan': [3, 0],
      'bad': [2, 0],
      'good': [0],
    },
  )
  assert executor.most <= 2
  assert {n: executor.started.count(n) for n in set(executor.started)} == {
    'preempted': 5,
    'broken': 3,
    'mended': 3,
    'nan': 1,
    'bad': 1,
    'good': 1,
  }
  assert failed == {
    'broken': 'broken: exit code 1000, it printed nothing',
    'nan': 'not finite at 7',
    'bad': 'bad: exit code 2, no such loss',
  }


def test_a_run_that_is_preempted_for_ever_is_given_up(tmp_path):
  failed, executor = run(tmp_path, {'poison': [75] * 20})
  assert executor.started == ['poison'] * 8  # Five for nothing, three tries.
  assert failed == {'poison': 'poison: exit code 75, it printed nothing'}


def test_a_run_that_comes_further_is_never_given_up(tmp_path):
  class Saving(Scripted):
    def start(self, name, command):
      super().start(name, command)
      step = len(self.started)
      (tmp_path / name / 'checkpoints' / str(step)).mkdir(parents=True)

  executor = Saving(tmp_path, {'slow': [75] * 20 + [0]})
  assert not driver.Driver(tasks(tmp_path, 'slow'), executor, 0).run()
  assert len(executor.started) == 21


def test_what_has_ended_is_not_run_again(tmp_path):
  run(tmp_path, {'a': [0], 'b': [3]})
  failed, executor = run(tmp_path, {'a': [], 'b': [], 'c': [0]})
  assert executor.started == ['c']
  assert failed == {'b': 'not finite at 7'}


def test_a_run_that_still_saves_itself_is_waited_for(tmp_path, monkeypatch):
  (tmp_path / 'a').mkdir()
  held = open(tmp_path / 'a' / '.lock', 'w')  # noqa: SIM115  Closed below.
  fcntl.flock(held, fcntl.LOCK_EX)
  naps = []

  def nap(_):
    naps.append(1)
    if len(naps) == 3:
      held.close()

  monkeypatch.setattr(driver.time, 'sleep', nap)
  failed, executor = run(tmp_path, {'a': [0]})
  assert not failed and executor.started == ['a']
  assert len(naps) > 3


def test_an_interrupt_stops_what_runs(tmp_path, monkeypatch):
  def interrupt(_):
    raise KeyboardInterrupt

  monkeypatch.setattr(driver.time, 'sleep', interrupt)
  executor = Scripted(tmp_path, {'a': [0]})
  with pytest.raises(KeyboardInterrupt):
    driver.Driver(tasks(tmp_path, 'a'), executor, 0).run()
  assert executor.stopped


def test_two_sweeps_on_one_folder_are_refused(tmp_path):
  lock = tmp_path / 'runs' / 'sweep.lock'
  with (
    driver.only_one(lock),
    pytest.raises(errors.UserError, match='another sweep is at work'),
    driver.only_one(lock),
  ):
    pass
  with driver.only_one(lock):
    pass


CONFIG = (
  small.CONFIG
  + """
def sweep():
  yield {'seed': 0}
  yield {'seed': 1, 'optim.learning_rate': 1e30}
  yield {'seed': 2}

def sweep_long():
  yield {'seed': 3, 'train.epochs': 3000}
"""
)


@pytest.fixture
def sweep(tmp_path, data_dir):
  """Starts launch.py on a small sweep; returns the process."""
  (tmp_path / 'small.py').write_text(CONFIG)
  started = []

  def start(name=''):
    process = subprocess.Popen(
      conftest.command(
        f'--config={tmp_path / "small.py"}:sl,symmetric,0.4',
        f'--sweep={name}',
        f'--workdir={tmp_path / "runs"}',
        '--jobs=2' if len(os.sched_getaffinity(0)) > 1 else '--jobs=1',
      ),
      env=conftest.environment(data_dir, tmp_path),
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


@pytest.mark.slow  # Those of test_task.py and test_ray.py are quicker.
def test_a_sweep_from_the_command_line(sweep, tmp_path):
  first = sweep()
  out, err = first.communicate(timeout=240)
  assert first.returncode == 4, err
  assert '2 of 3 runs have ended well' in out
  line = err.splitlines()[-1]
  assert line.startswith('failed: ')
  assert 'seed1' in line and 'not finite' in line
  folder = tmp_path / 'runs'
  listed = [
    json.loads(x)
    for x in (folder / 'sweep-small.jsonl').read_text().splitlines()
  ]
  assert len(listed) == 3
  for entry in listed:
    config = files.read_config(entry['workdir'])
    assert fields.fingerprint(config) == entry['fingerprint']
  done = {p: p.stat().st_mtime_ns for p in folder.glob('*/result.json')}
  assert len(done) == 2
  again = sweep()
  again.communicate(timeout=120)
  assert again.returncode == 4
  assert done == {p: p.stat().st_mtime_ns for p in folder.glob('*/result.json')}


def wait_for(condition, seconds=120):
  end = time.monotonic() + seconds
  while not condition():
    assert time.monotonic() < end
    time.sleep(0.05)


@pytest.mark.parametrize(
  ('number', 'code'),
  [
    pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
    (signal.SIGKILL, -9),
  ],
)
def test_a_driver_that_ends_leaves_runs_that_go_on(
  number, code, sweep, tmp_path
):
  process = sweep('long')
  folder = tmp_path / 'runs'

  def epochs():
    return [
      line
      for path in folder.glob('*/metrics.jsonl')
      for line in path.read_text().splitlines()
    ]

  wait_for(lambda: len(epochs()) > 3)
  process.send_signal(number)
  process.communicate(timeout=120)
  assert process.returncode == code
  (lock,) = folder.glob('*/.lock')

  def is_free():
    with open(lock) as file:
      try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
      except OSError:
        return False
    return True

  # Its run has saved itself and ended, though nobody waited for it.
  wait_for(is_free)
  (log,) = pathlib.Path(folder).glob('sweep-small-long.logs/*.log')
  assert 'SIGTERM: saved at step' in log.read_text()
  assert not list(folder.glob('*/result.json'))
