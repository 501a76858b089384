"""How a process ends that is asked to, at each moment of its life."""

import signal
import subprocess
import sys
import time

import pytest

from sce_jax import signals
from sce_jax.exit_codes import ExitCode
from tests.conftest import REPOSITORY

pytestmark = [pytest.mark.faults, pytest.mark.process]

PROGRAM = """
import signal, sys, time
from sce_jax import signals
# Whoever started the tests may ignore some.
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
  signal.signal(number, signal.SIG_DFL)
if 'nohup' in sys.argv: signal.signal(signal.SIGHUP, signal.SIG_IGN)
signals.install()
if 'handler' in sys.argv: signal.signal(signal.SIGUSR1, lambda *_: None)
signals.release_at_exit(lambda: print('released', flush=True))
signals.is_training = 'training' in sys.argv
print('ready', flush=True)
while sys.stdin.readline():  # As compiled code does, it lets no handler run.
  print(len(signals.received), flush=True)
time.sleep(60)
"""


class Process:
  """A process in some state that tells how many signals it has noted."""

  def __init__(self, *state):
    self._process = subprocess.Popen(
      [sys.executable, '-c', PROGRAM, *state],
      cwd=REPOSITORY,
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )
    assert self._process.stdout.readline() == 'ready\n'

  def send(self, number):
    self._process.send_signal(number)

  def noted(self, count):
    """Waits until so many signals are noted."""
    found = -1
    while found != count:
      self._process.stdin.write('\n')
      self._process.stdin.flush()
      found = int(self._process.stdout.readline())

  def end(self):
    out, err = self._process.communicate(timeout=60)
    return self._process.returncode, 'released' in out, err.splitlines()


@pytest.mark.parametrize(
  ('number', 'code', 'name'),
  [
    (signal.SIGTERM, ExitCode.PREEMPTED, 'SIGTERM'),
    (signal.SIGHUP, ExitCode.PREEMPTED, 'SIGHUP'),
    (signal.SIGINT, ExitCode.INTERRUPTED, 'Ctrl-C'),
  ],
)
def test_without_anything_to_lose_it_ends_at_once(number, code, name):
  process = Process()
  process.send(number)
  assert process.end() == (
    code,
    True,
    [f'{name}: stopped; the same command resumes from the last checkpoint'],
  )


@pytest.mark.parametrize('again', [signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_ends_it(again):
  process = Process('training')
  process.send(signal.SIGTERM)
  process.noted(1)
  time.sleep(1.1)  # Else they would be one.
  process.send(again)
  code, released, (first, last) = process.end()
  assert (code, released) == (ExitCode.PREEMPTED, True)
  assert first == 'SIGTERM: saves at the end of these steps, then stops'
  assert 'resumes from the last whole checkpoint' in last


def test_those_who_stop_the_same_job_ask_once_together(monkeypatch):
  monkeypatch.setattr(signals, 'received', [])
  monkeypatch.setattr(signals, 'is_training', True)
  monkeypatch.setattr(signals, '_exit', lambda *what: ended.append(what))
  ended = []
  times = iter([100.0, 100.2, 100.9, 101.3])
  monkeypatch.setattr(time, 'monotonic', lambda: next(times))
  for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGHUP):
    signals._on_signal(number)
  assert signals.received == [signal.SIGTERM] and not ended
  signals._on_signal(signal.SIGTERM)
  assert len(ended) == 1


def test_training_a_second_ctrl_c_ends_it():
  process = Process('training')
  process.send(signal.SIGINT)
  process.noted(1)
  process.send(signal.SIGINT)
  code, released, (first, last) = process.end()
  assert (code, released) == (ExitCode.INTERRUPTED, True)
  assert first == 'Ctrl-C: saves at the end of these steps, then stops'
  assert 'resumes from the last whole checkpoint' in last


def test_what_is_ignored_stays_ignored():
  process = Process('nohup')
  process.send(signal.SIGHUP)
  process.noted(0)
  process.send(signal.SIGTERM)
  assert process.end()[0] == ExitCode.PREEMPTED


@pytest.mark.parametrize('state', [(), ('training',)])
def test_a_signal_that_a_program_handles_itself_ends_nothing(state):
  process = Process('handler', *state)
  for _ in range(2):
    process.send(signal.SIGUSR1)
    process.noted(0)
  process.send(signal.SIGINT)
  if state:
    process.noted(1)
    process.send(signal.SIGINT)
  code, _, said = process.end()
  assert code == ExitCode.INTERRUPTED
  assert all(line.startswith('Ctrl-C: ') for line in said)
