"""SIGKILL at 30 seeded moments, and signals while a program is compiled."""

import signal

import pytest

from sce_jax.exit_codes import ExitCode
from tests.faults import kills

# One kill that is not slow: tests/runs/test_resume.py.
pytestmark = [pytest.mark.faults, pytest.mark.process, pytest.mark.slow]


@pytest.fixture(scope='module')
def undisturbed(data_dir, tmp_path_factory):
  """The outcome of a program that nothing happened to."""
  made = {}

  def run(arguments):
    if arguments not in made:
      folder = tmp_path_factory.mktemp('undisturbed') / 'run'
      environment = kills.environment(data_dir, folder.parent)
      done = kills.start([*arguments, f'--workdir={folder}'], environment)
      assert done.returncode == 0, done.stderr
      made[arguments] = kills.outcome(folder)
    return made[arguments]

  return run


@pytest.mark.parametrize('seed', range(30))
def test_killed_at(seed, undisturbed, data_dir, tmp_path):
  folder = tmp_path / 'run'
  arguments = kills.arguments(seed)
  environment = kills.environment(data_dir, tmp_path)
  command = [*arguments, f'--workdir={folder}']
  # Nothing is in the cache of compiled programs.
  cold = environment | {'XDG_CACHE_HOME': str(tmp_path / 'cache')}
  struck = kills.start(command, cold, kills.draw(seed))
  # Else it never came to that moment.
  assert struck.returncode == -signal.SIGKILL, struck.stderr
  done = kills.start(command, environment)
  assert done.returncode == 0, done.stderr
  kills.check_same(kills.outcome(folder), undisturbed(arguments))


@pytest.mark.slow
@pytest.mark.parametrize(
  ('number', 'code'),
  [
    (signal.SIGTERM, ExitCode.PREEMPTED),
    (signal.SIGINT, ExitCode.INTERRUPTED),
  ],
)
@pytest.mark.parametrize('when', ['before', 'later'])
def test_asked_to_stop_while_it_compiles(
  when, number, code, undisturbed, data_dir, tmp_path
):
  folder = tmp_path / 'run'
  arguments = kills.arguments(0)
  environment = kills.environment(data_dir, tmp_path)
  # Nothing is in the cache of compiled programs.
  cold = environment | {'XDG_CACHE_HOME': str(tmp_path / 'cache')}
  command = [*arguments, f'--workdir={folder}']
  moment = ('compile', 1, when, 0.2)
  struck = kills.start(command, cold, moment, number)
  assert struck.returncode == code, struck.stderr
  assert 'Traceback' not in struck.stderr
  done = kills.start(command, environment)
  assert done.returncode == 0, done.stderr
  kills.check_same(kills.outcome(folder), undisturbed(arguments))
