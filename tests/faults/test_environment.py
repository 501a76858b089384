"""Surroundings that a program does not expect: it trains all the same."""

import os
import subprocess
import sys

import pytest

from sce_jax.runs import files
from sce_jax.storage import paths
from tests import conftest

pytestmark = [pytest.mark.faults, pytest.mark.process]

SETUPS = {
  # What a shell does before, what the environment is, the folder's name.
  'odd locale': ('', {'LC_ALL': 'tr_TR.ISO-8859-9', 'LANG': 'xx'}, 'run'),
  'umask 077': ('umask 077;', {}, 'run'),
  'umask 000': ('umask 000;', {}, 'run'),
  'TMPDIR missing': ('', {'TMPDIR': '/no/such/folder'}, 'run'),
  'HOME unset': ('unset HOME XDG_CACHE_HOME;', {}, 'run'),
  'stdout closed': ('exec >&-;', {}, 'run'),
  'stdin closed': ('exec <&-;', {}, 'run'),
  '20 columns': ('', {'COLUMNS': '20', 'TERM': 'dumb'}, 'run'),
  'spaces and unicode': ('', {}, "a run's näme, 日本 \u202e <b>"),
  '200 characters': ('', {}, 'x' * 200),
  'a link': ('mkdir there; ln -s there link;', {}, 'link/run'),
  'another folder': ('cd /;', {}, 'run'),
  'clock steps back': ('', {}, 'run'),
  # There its lease is renewed by the clock.
  'clock steps back, in a bucket': ('', {}, 's3'),
}
# The clock of the process goes back a minute each time that it is looked at.
CLOCK = """
import sys, time
from sce_jax.storage import lock
lock.RENEW_SECONDS = 0.1
real, looks = time.time, [0]
def stepping():
  looks[0] += 1
  return real() - 60 * looks[0]
time.time = stepping
from experiments.cli import runtime
sys.exit(runtime.run(sys.argv))
"""
LANDING = ('spaces and unicode',)


@pytest.mark.parametrize(
  'name',
  [
    pytest.param(
      x, marks=pytest.mark.landing if x in LANDING else pytest.mark.slow
    )
    for x in SETUPS
  ],
)
def test_it_trains(name, data_dir, tmp_path, request):
  before, more, folder = SETUPS[name]
  workdir = tmp_path / folder
  if folder == 's3':
    address, more = request.getfixturevalue('cloud')()
    workdir = paths.path(address)
  program = [sys.executable, str(conftest.REPOSITORY / 'launch.py')]
  if name.startswith('clock'):
    program = [sys.executable, '-c', CLOCK]
  config = conftest.REPOSITORY / 'configs' / 'digits.py'
  command = [
    *program,
    f'--config={config}:sl,symmetric,0.4,tiny',
    f'--workdir={workdir}',
  ]
  environment = conftest.environment(data_dir, tmp_path) | more
  environment['PYTHONPATH'] = str(conftest.REPOSITORY)
  done = subprocess.run(
    ['sh', '-c', f'{before} exec "$@"', 'sh', *command],
    env=environment,
    cwd=tmp_path,
    capture_output=True,
    text=True,
    timeout=300,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  assert 'Traceback' not in done.stderr
  assert files.read_result(workdir)['epochs']
  if name.startswith('umask'):
    mode = os.stat(workdir / 'config.json').st_mode
    assert (mode & 0o077 == 0) == (name == 'umask 077')
