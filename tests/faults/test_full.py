"""A disk that is full where a command writes that trains nothing."""

import subprocess

import pytest

from experiments.audit import files as audit_files
from experiments.sweeps.driver import Driver
from experiments.sweeps.jobs import LAUNCH, Job
from experiments.sweeps.local import Local
from experiments.sweeps.manifest import Entry
from sce_jax.exit_codes import ExitCode
from tests import conftest
from tests.data.reading import told
from tests.experiments.audit import test_page
from tests.faults import inject

pytestmark = pytest.mark.faults
DIGITS = '--config=configs/digits.py:sl,symmetric,0.4,tiny'


def full_for_the_largest(folder):
  """There is room for every file that a folder holds but the largest."""
  size = max(len(x) for x in inject.contents(folder).values())
  return inject.files_no_larger(size - 1)


@pytest.mark.parametrize(
  ('command', 'folder', 'marked'),
  [
    pytest.param('report', 'report', 'results.csv', marks=pytest.mark.landing),
    pytest.param(
      'evaluate', 'run/evaluation', 'figures.csv', marks=pytest.mark.slow
    ),
  ],
)
def test_an_earlier_page_stays(
  command, folder, marked, launch_here, small_network, tmp_path
):
  run = f'--workdir={tmp_path / "run"}'
  assert launch_here(DIGITS, '--config.train.epochs=1', run).returncode == 0
  flag = run if command == 'evaluate' else f'--workdir={tmp_path}'
  assert launch_here(command, flag).returncode == 0
  # By these it is seen that they are not written anew.
  for old in (tmp_path / 'run' / 'evaluation.json', tmp_path / folder / marked):
    old.write_text('old')
  before = inject.contents(tmp_path)
  with full_for_the_largest(tmp_path / folder):
    done = launch_here(command, flag)
  assert done.returncode == ExitCode.BAD_INPUT
  (line,) = done.stderr.splitlines()
  assert f'{tmp_path / folder} is where the report goes, and cannot be' in line
  assert '(File too large): make room' in line
  assert inject.contents(tmp_path) == before


def test_an_earlier_audit_stays(tmp_path):
  found = test_page.found()
  audit_files.write(tmp_path, *found, 'Labels')
  (tmp_path / 'label_issues.csv').write_text('old')
  before = inject.contents(tmp_path)
  with full_for_the_largest(tmp_path):
    message = told(audit_files.write, tmp_path, *found, 'Labels')
  assert message.startswith(f'{tmp_path} cannot be written (File too large)')
  assert inject.contents(tmp_path) == before


@pytest.mark.process
def test_the_log_of_a_sweep(tmp_path):
  """Its run ends with a code, and the sweep says why."""
  log, size = tmp_path / 'a.log', 2**16
  log.write_text(' ' * size)
  job = Job('a', [LAUNCH, '--help'], [Entry('a', str(tmp_path / 'a'), {})])
  with inject.files_no_larger(size):
    failed = Driver([job], Local(1, tmp_path), 0).run()
  assert failed == {
    'a': 'a: exit code 70, its log cannot be written (File too large): make'
    f' room (log: {log})'
  }


@pytest.mark.process
def test_standard_output():
  with open('/dev/full', 'w') as full:
    done = subprocess.run(
      conftest.command('report', '--help'),
      stdout=full,
      stderr=subprocess.PIPE,
      text=True,
      check=False,
    )
  assert done.returncode == ExitCode.CRASHED
  (line,) = done.stderr.splitlines()
  assert line.startswith(
    'error: standard output cannot be written, the disk is'
  )
