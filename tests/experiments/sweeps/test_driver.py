"""The driver against a scripted executor, then with real processes."""

import fcntl
import json
import pathlib
import signal
import subprocess
import threading
import time

import pytest

from experiments.sweeps import driver, jobs
from experiments.sweeps.manifest import Entry
from tests import conftest
from tests.experiments.sweeps import small


class Scripted:
  """Ends each command at once, with the codes that it was given."""

  slots = 2

  def __init__(self, folder, codes):
    self.started = []
    self._folder, self._codes = folder, codes

  def run(self, name, command):
    assert command[-1] == f'--ids={name}'
    self.started.append(name)
    code = self._codes[name].pop(0)
    folder = self._folder / name
    folder.mkdir(exist_ok=True)
    if code == 0:
      (folder / 'result.json').write_text(
        '{"test_accuracy": 0.5, "test": null}'
      )
    if code == 3:
      (folder / 'failed.json').write_text('{"failed": "not finite at 7"}')
    return code

  def stop(self):
    pass

  def log(self, name):
    return self._folder / f'{name}.log'


def drive(folder, executor, names, retries=2):
  entries = [Entry(name, str(folder / name), {}) for name in names]
  return driver.Driver(jobs.pack(entries, 1, []), executor, retries).run()


def run(folder, codes, retries=2):
  executor = Scripted(folder, codes)
  return drive(folder, executor, codes, retries), executor.started


@pytest.mark.faults
def test_what_is_retried_and_what_is_not(tmp_path):
  (tmp_path / 'bad.log').write_text('error: no such loss\n')
  failed, started = run(
    tmp_path,
    {
      'preempted': [75, 75, 75, 75, 0],
      'broken': [70, -9, 1, 0],
      'mended': [-9, 70, 0],
      'nan': [3, 0],
      'bad': [2, 0],
      'good': [0],
    },
  )
  assert {name: started.count(name) for name in set(started)} == {
    'preempted': 5,
    'broken': 3,
    'mended': 3,
    'nan': 1,
    'bad': 1,
    'good': 1,
  }
  assert failed == {
    'broken': 'broken: exit code 1, it printed nothing (log:'
    f' {tmp_path}/broken.log)',
    'nan': 'not finite at 7',
    'bad': f'bad: exit code 2, no such loss (log: {tmp_path}/bad.log)',
  }


@pytest.mark.faults
def test_preemptions_without_progress_count_as_failures(tmp_path):
  failed, started = run(tmp_path, {'poison': [75] * 20})
  assert started == ['poison'] * 8  # Five for nothing, three tries.
  assert failed == {
    'poison': 'poison: exit code 75, it printed nothing (log:'
    f' {tmp_path}/poison.log)'
  }


def test_a_running_run_has_a_row(tmp_path):
  entry = Entry('a', str(tmp_path), {'train': {'epochs': 10}})
  assert driver._figures(entry, 1) == ('0/10', '-', '-')
  records = [
    # The first epoch compiled for 90 s.
    {'epoch': n, 'step': n, 'seconds': 90 + 2 * n, 'test': {'accuracy': 0.5}}
    for n in (1, 2, 3, 4)
  ]
  (tmp_path / 'metrics.jsonl').write_text(
    ''.join(json.dumps(x) + '\n' for x in records)
  )
  assert driver._figures(entry, 1) == ('4/10', '50.0 %', '12s')
  # Seconds are a run's share of what all three have taken.
  assert driver._figures(entry, 3) == ('4/10', '50.0 %', '36s')
  # The data will choose how many.
  entry = Entry('a', str(tmp_path), {'train': {'epochs': None}})
  assert driver._figures(entry, 1) == ('4/?', '50.0 %', '-')


@pytest.mark.faults
def test_preemptions_with_progress_are_free(tmp_path):
  class Saving(Scripted):
    def run(self, name, command):
      code = super().run(name, command)
      step = len(self.started)
      (tmp_path / name / 'checkpoints' / str(step)).mkdir(parents=True)
      return code

  executor = Saving(tmp_path, {'slow': [75] * 20 + [0]})
  assert not drive(tmp_path, executor, ['slow'], retries=0)
  assert len(executor.started) == 21


def test_ended_runs_are_skipped(tmp_path):
  run(tmp_path, {'a': [0], 'b': [3]})
  failed, started = run(tmp_path, {'a': [], 'b': [], 'c': [0]})
  assert started == ['c']
  assert failed == {'b': 'not finite at 7'}


@pytest.mark.faults
def test_locked_runs_are_waited_for(tmp_path, monkeypatch):
  held = iter([True, True, True, False, False])
  monkeypatch.setattr(driver, '_POLL_SECONDS', 0)
  monkeypatch.setattr(driver.lock_lib, 'is_held', lambda _: next(held))

  class Waiting(Scripted):
    def run(self, name, command):
      assert list(held) == [False]  # That of the wait after it.
      monkeypatch.setattr(driver.lock_lib, 'is_held', lambda _: False)
      return super().run(name, command)

  executor = Waiting(tmp_path, {'a': [0]})
  assert not drive(tmp_path, executor, ['a'])
  assert executor.started == ['a']


@pytest.fixture
def interruptible():
  """A shell lets what it starts in the background ignore SIGINT."""
  before = signal.signal(signal.SIGINT, signal.default_int_handler)
  yield
  signal.signal(signal.SIGINT, before)


@pytest.mark.faults
@pytest.mark.usefixtures('interruptible')
def test_interrupt_stops_what_runs(tmp_path):
  class Long(Scripted):
    slots = 1
    stopped = threading.Event()

    def run(self, name, command):
      self.started.append(name)
      # In this thread, so that it does not end what the main thread waits for.
      signal.raise_signal(signal.SIGINT)
      assert self.stopped.wait(60)
      return 75

    def stop(self):
      self.stopped.set()

  executor = Long(tmp_path, {})
  with pytest.raises(KeyboardInterrupt):
    drive(tmp_path, executor, ['a', 'b'])
  assert executor.started == ['a']


CONFIG = (
  small.CONFIG
  + """
def sweep():
  yield {'seed': 3, 'train.epochs': 3000}
"""
)


def wait_for(condition, seconds=120):
  end = time.monotonic() + seconds
  while not condition():
    assert time.monotonic() < end
    time.sleep(0.05)


@pytest.mark.faults
@pytest.mark.parametrize(
  ('number', 'code'),
  [
    pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
    pytest.param(signal.SIGKILL, -9, marks=pytest.mark.landing),
  ],
)
@pytest.mark.process
def test_runs_of_a_killed_driver_save_themselves(
  number, code, data_dir, tmp_path
):
  (tmp_path / 'small.py').write_text(CONFIG)
  folder = tmp_path / 'runs'
  command = conftest.command(
    'sweep', f'--config={tmp_path / "small.py"}', f'--workdir={folder}'
  )

  def epochs():
    return [
      line
      for path in folder.glob('*/metrics.jsonl')
      for line in path.read_text().splitlines()
    ]

  with subprocess.Popen(
    command,
    env=conftest.environment(data_dir, tmp_path),
    cwd=conftest.REPOSITORY,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
  ) as process:
    try:
      wait_for(lambda: len(epochs()) > 3)
      process.send_signal(number)
      assert process.wait(timeout=120) == code
    finally:
      process.kill()
  (lock,) = folder.glob('digits-*/.lock')

  def is_free():
    with open(lock) as file:
      try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
      except OSError:
        return False
    return True

  # Its run has saved itself and ended, though nobody waited for it.
  wait_for(is_free)
  (log,) = pathlib.Path(folder).glob('sweep-small.logs/*.log')
  assert 'SIGTERM: saved at step' in log.read_text()
  assert not list(folder.glob('*/result.json'))
