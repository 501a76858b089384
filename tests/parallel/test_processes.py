"""Several processes end as one: the real program, on this machine's CPU."""

import pathlib
import signal
import socket
import subprocess
import time

import jax
import numpy as np
import pytest

from experiments.cli import runtime
from sce_jax import errors
from sce_jax import train as train_lib
from sce_jax.parallel import processes as processes_lib
from sce_jax.parallel import runners, startup
from sce_jax.runs import files, restore
from tests import conftest, fake_data, synthetic
from tests.runs.test_resume import metrics

pytestmark = pytest.mark.process

EPOCHS = 12
ARGUMENTS = (
  '--config=configs/digits.py:sl,symmetric,0.4,tiny',
  f'--config.train.epochs={EPOCHS}',
  '--config.train.steps_per_dispatch=1',
  '--config.data.augment.flip=true',
  '--config.checkpoint.every=4',
  # A rate at which rounding does not grow.
  '--config.optim.learning_rate=0.01',
)
TIMEOUT = 300


class Processes:
  """launch.py several times as one; whatever happens, none is left."""

  def __init__(self, data_dir, home, arguments):
    with socket.create_server(('127.0.0.1', 0)) as server:
      port = server.getsockname()[1]
    common = [
      f'--coordinator=127.0.0.1:{port}',
      f'--num_processes={len(arguments)}',
    ]
    self.all = [
      subprocess.Popen(
        conftest.command(*own, *common, f'--process_id={i}'),
        env=conftest.environment(data_dir, home),
        cwd=conftest.REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
      )
      for i, own in enumerate(arguments)
    ]

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    for process in self.all:
      process.kill()
      process.communicate()

  def wait_for_figures(self, folder):
    """Waits until an epoch has ended."""
    end = time.monotonic() + TIMEOUT
    while not files.read_metrics(folder):
      if any(process.poll() is not None for process in self.all):
        pytest.fail(f'ended too early: {self.wait()}')
      assert time.monotonic() < end
      time.sleep(0.002)

  def wait(self):
    """The exit code, output and errors of each."""
    ended = [process.communicate(timeout=TIMEOUT) for process in self.all]
    codes = [process.returncode for process in self.all]
    return [
      # The CPU's collectives say on standard output that they are connected.
      (code, ''.join(x for x in out.splitlines(True) if '[Gloo]' not in x), err)
      for code, (out, err) in zip(codes, ended, strict=True)
    ]


def arguments(folder, num_processes, *more, command='train'):
  """Only process 0 is told the folder; the others name one of their own."""
  folders = [folder] + [
    folder.parent / f'{folder.name}-of-{i}' for i in range(1, num_processes)
  ]
  return [[command, *ARGUMENTS, *more, f'--workdir={path}'] for path in folders]


def train(data_dir, home, folder, num_processes, *more, **options):
  """Trains in several processes; only process 0 writes and speaks."""
  with Processes(
    data_dir, home, arguments(folder, num_processes, *more, **options)
  ) as processes:
    (first, *others) = processes.wait()
  assert first[0] == 0, first[2]
  assert 'test accuracy' in first[1]
  assert others == [(0, '', '')] * (num_processes - 1)
  assert not list(folder.parent.glob('*-of-*'))


def final_state(folder):
  return jax.device_get(restore.load(folder).state)


def check_bits(folder, other):
  """Asserts that two runs ended with the same bits."""
  assert metrics(folder) == metrics(other)
  jax.tree.map(
    np.testing.assert_array_equal, final_state(folder), final_state(other)
  )


def check_close(folder, expected):
  """Both ended alike, but for float32's rounding.

  The processes' sums are added in another order than one process's, which
  changes the last of 7 digits; 36 steps let that grow by a digit or two.
  """
  records, expected_records = metrics(folder), metrics(expected)
  assert [r['epoch'] for r in records] == list(range(1, EPOCHS + 1))
  for record, other in zip(records, expected_records, strict=True):
    for split in ('train', 'test', 'train_eval'):
      assert (split in record) == (split in other)
      if split in record:
        assert record[split]['loss'] == pytest.approx(
          other[split]['loss'], rel=1e-4
        )
        assert record[split]['accuracy'] == other[split]['accuracy']
  state, expected_state = final_state(folder), final_state(expected)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4),
    (state.params, state.batch_stats),
    (expected_state.params, expected_state.batch_stats),
  )
  np.testing.assert_array_equal(state.step, expected_state.step)
  result, other = (files.read_result(f) for f in (folder, expected))
  for key in ('test_accuracy', 'memorised', 'realised_rate', 'epochs'):
    assert result[key] == other[key]


@pytest.fixture(scope='module', autouse=True)
def prepared(data_dir):
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('TFDS_DATA_DIR', data_dir)
    yield


@pytest.fixture(scope='module')
def home(tmp_path_factory):
  return tmp_path_factory.mktemp('home')


@pytest.fixture(scope='module')
def one(data_dir, home, tmp_path_factory):
  folder = tmp_path_factory.mktemp('one') / 'run'
  done = subprocess.run(
    conftest.command(*ARGUMENTS, f'--workdir={folder}'),
    env=conftest.environment(data_dir, home),
    cwd=conftest.REPOSITORY,
    capture_output=True,
    text=True,
    timeout=TIMEOUT,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  return folder


@pytest.fixture(scope='module')
def two(data_dir, home, tmp_path_factory):
  folder = tmp_path_factory.mktemp('two') / 'run'
  train(data_dir, home, folder, 2)
  return folder


@pytest.mark.landing
def test_two_end_as_one_pmap(one, two):
  check_close(two, one)


@pytest.mark.slow
def test_two_end_as_one_jit(one, data_dir, home, tmp_path):
  folder = tmp_path / 'run'
  train(data_dir, home, folder, 2, '--config.train.runner=jit')
  check_close(folder, one)


@pytest.mark.slow
@pytest.mark.parametrize('runner', list(runners.RUNNERS))
def test_two_that_stream_end_as_one(runner, one, data_dir, home, tmp_path):
  """Each reads its own share of every batch."""
  folder = tmp_path / 'run'
  stream = '--config.data.feed=stream'
  train(data_dir, home, folder, 2, stream, f'--config.train.runner={runner}')
  check_close(folder, one)


@pytest.mark.slow
@pytest.mark.parametrize('runner', list(runners.RUNNERS))
def test_four_end_as_one(runner, one, data_dir, home, tmp_path):
  folder = tmp_path / 'run'
  train(data_dir, home, folder, 4, f'--config.train.runner={runner}')
  check_close(folder, one)


@pytest.mark.landing
def test_the_folder_is_that_of_one_process(one, two):
  def names(folder: pathlib.Path):
    return sorted(
      'events' if path.name.startswith('events') else path.name
      for path in folder.rglob('*')
      if path.parent in (folder, folder / 'checkpoints')
    )

  assert names(two) == names(one)
  described = files.read_description(two)
  assert len(described['devices']) == 2
  assert (two / 'noise.npz').read_bytes() == (one / 'noise.npz').read_bytes()


@pytest.mark.slow
def test_runs_are_spread_over_processes(one, data_dir, home, tmp_path):
  folder = tmp_path / 'runs'
  train(data_dir, home, folder, 2, '--trials=seed=0,1', command='compare')
  check_close(folder / 'sl-seed0', one)
  assert len(metrics(folder / 'sl-seed1')) == EPOCHS


@pytest.mark.slow
@pytest.mark.faults
def test_a_signal_to_one_stops_all(two, data_dir, home, tmp_path):
  folder = tmp_path / 'run'
  with Processes(data_dir, home, arguments(folder, 2)) as processes:
    processes.wait_for_figures(folder)
    processes.all[1].send_signal(signal.SIGTERM)
    (first, second) = processes.wait()
  assert first[0] == second[0] == 75
  assert 'SIGTERM: saved at step ' in first[2]
  # What says that the signal has come.
  assert second[1:] == (
    '',
    'SIGTERM: saves at the end of these steps, then stops\n',
  )
  assert 1 <= len(metrics(folder)) < EPOCHS
  train(data_dir, home, folder, 2)
  # As it was with as many processes.
  check_bits(folder, two)


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize('who', [0, 1])
@pytest.mark.parametrize('how', ['SIGKILL', 'SIGSTOP'])
def test_one_that_is_lost_ends_the_other(
  how, who, two, data_dir, home, tmp_path
):
  """Killed, or silent for longer than the heartbeat allows."""
  folder = tmp_path / 'run'
  own = [[*x, '--heartbeat=10'] for x in arguments(folder, 2)]
  with Processes(data_dir, home, own) as processes:
    processes.wait_for_figures(folder)
    processes.all[who].send_signal(getattr(signal, how))
    other = processes.all[1 - who]
    _, err = other.communicate(timeout=TIMEOUT)
  assert other.returncode not in (0, 2), err
  # Without process 0, which the others listen to, jax itself ends them.
  ends = ('another of the processes was lost', 'JAX distributed service detect')
  assert any(x in err for x in ends), err
  train(data_dir, home, folder, 2)
  check_bits(folder, two)


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize('count', [2, 4])
def test_one_that_is_slow_is_waited_for(
  count, one, two, data_dir, home, tmp_path
):
  folder = tmp_path / 'run'
  with Processes(data_dir, home, arguments(folder, count)) as processes:
    processes.wait_for_figures(folder)
    processes.all[1].send_signal(signal.SIGSTOP)
    time.sleep(5)
    processes.all[1].send_signal(signal.SIGCONT)
    assert [code for code, *_ in processes.wait()] == [0] * count
  if count == 2:
    check_bits(folder, two)
  else:
    check_close(folder, one)


@pytest.mark.slow
@pytest.mark.faults
def test_one_of_four_that_is_killed_ends_all(data_dir, home, tmp_path):
  folder = tmp_path / 'run'
  own = [[*x, '--heartbeat=10'] for x in arguments(folder, 4)]
  with Processes(data_dir, home, own) as processes:
    processes.wait_for_figures(folder)
    processes.all[2].kill()
    for i in (0, 1, 3):
      _, err = processes.all[i].communicate(timeout=TIMEOUT)
      assert processes.all[i].returncode not in (0, 2), err
  train(data_dir, home, folder, 4)
  assert [x['epoch'] for x in metrics(folder)] == [*range(1, EPOCHS + 1)]


def test_only_this_machine_is_listened_to_where_that_is_asked(monkeypatch):
  monkeypatch.setattr(startup, '_check_reachable', lambda *_: None)
  for host, expected in (
    ('127.0.0.1', '127.0.0.1:1234'),
    ('localhost', 'localhost:1234'),
    ('[::1]', '[::1]:1234'),
    ('10.0.0.1', None),
    ('a-host', None),
  ):
    options = startup._options(f'{host}:1234', 2, 0, 1.0)
    assert options['coordinator_bind_address'] == expected


@pytest.mark.faults
@pytest.mark.parametrize('what', ['the code', 'the version of jax'])
def test_processes_of_other_code_are_refused(what, monkeypatch, tmp_path):
  monkeypatch.setattr(processes_lib, 'num_processes', lambda: 2)
  monkeypatch.setattr(
    processes_lib, 'all_gather', lambda own: [own, own | {what: 'another'}]
  )
  with pytest.raises(
    errors.UserError, match=f'differs from process 0 in {what}:'
  ):
    train_lib.train_many(
      [synthetic.config()], [tmp_path / 'run'], dataset=synthetic.data()
    )
  assert not (tmp_path / 'run').exists()


@pytest.mark.landing
@pytest.mark.faults
def test_processes_that_differ_are_refused(data_dir, home, tmp_path):
  own = arguments(tmp_path / 'run', 2)
  own[1].append('--config.loss.alpha=0.5')
  with Processes(data_dir, home, own) as processes:
    (first, second) = processes.wait()
  assert first[0] == second[0] == 2
  (line,) = first[2].splitlines()
  assert 'process 1 differs from process 0 in the configs' in line
  assert second[1:] == ('', '')
  assert not (tmp_path / 'run').exists()


@pytest.mark.slow
@pytest.mark.faults
def test_processes_of_other_data_are_refused(data_dir, home, tmp_path):
  fake_data.write('digits', tmp_path / 'other')
  own = arguments(tmp_path / 'run', 2)
  own[1].append(f'--data_dir={tmp_path / "other"}')
  with Processes(data_dir, home, own) as processes:
    (first, second) = processes.wait()
  assert first[0] == second[0] == 2
  line = first[2].splitlines()[-1]
  assert 'differs from process 0 in the training data, the test data' in line
  assert not (tmp_path / 'run').exists()


@pytest.mark.landing
@pytest.mark.faults
def test_an_error_of_one_ends_all(data_dir, home, tmp_path):
  own = arguments(tmp_path / 'run', 2)
  own[1].append('--config.train.epochs=-1')
  with Processes(data_dir, home, own) as processes:
    (first, second) = processes.wait()
  assert first[0] == second[0] == 2
  (line,) = first[2].splitlines()
  assert 'error: process 1: config.train.epochs is -1' in line
  assert second[1:] == ('', '')


@pytest.mark.parametrize(
  ('given', 'message'),
  [
    (('h:1', None, None), '--num_processes and --process_id must be given'),
    ((None, 2, None), '--coordinator and --process_id must be given'),
    ((None, 2, 1), '--coordinator must be given'),
    (('h:1', 2, 2), '--process_id=2 is not one of 2 processes'),
    (('h:1', 2, -1), '--process_id=-1: -1 is not a non-negative integer'),
    (('h', 2, 1), '--coordinator=h is not understood'),
    (('h:x', 2, 1), '--coordinator=h:x is not understood'),
  ],
)
def test_flags_that_do_not_fit_get_one_line(given, message, capsys):
  names = ('coordinator', 'num_processes', 'process_id')
  flags = [
    f'--{name}={value}'
    for name, value in zip(names, given, strict=True)
    if value is not None
  ]
  code = runtime.run(['launch.py', 'compare', *flags])
  assert code == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert message in line


@pytest.mark.faults
def test_a_coordinator_out_of_reach():
  with socket.create_server(('127.0.0.1', 0)) as server:
    port = server.getsockname()[1]
  with pytest.raises(errors.UserError, match='was not reached'):
    startup.initialize(f'127.0.0.1:{port}', 2, 1, timeout=0.1)


@pytest.mark.faults
def test_a_port_in_use():
  with (
    socket.create_server(('', 0)) as server,
    pytest.raises(errors.UserError, match='cannot open the port'),
  ):
    startup.initialize(f'127.0.0.1:{server.getsockname()[1]}', 2, 0)


SLURM = {
  'SLURM_JOB_ID': '1',
  'SLURM_STEP_NODELIST': 'node[1-2]',
  'SLURM_PROCID': '1',
  'SLURM_LOCALID': '0',
}


@pytest.mark.parametrize(
  ('environment', 'num_processes', 'expected'),
  [
    ({}, None, None),
    (SLURM | {'SLURM_NTASKS': '1'}, None, None),
    (SLURM | {'SLURM_NTASKS': '2'}, None, 'slurm'),
    (SLURM | {'SLURM_NTASKS': '2'}, 1, None),
    # The shell of a batch script, in which there is no step.
    ({'SLURM_JOB_ID': '1', 'SLURM_NTASKS': '2'}, None, None),
  ],
)
def test_slurm_is_found(environment, num_processes, expected, monkeypatch):
  for name in (*SLURM, 'SLURM_NTASKS'):
    monkeypatch.delenv(name, raising=False)
  for name, value in environment.items():
    monkeypatch.setenv(name, value)
  started = []
  monkeypatch.setattr(
    jax.distributed, 'initialize', lambda **options: started.append(options)
  )
  update = jax.config.update
  monkeypatch.setattr(
    jax.config, 'update', lambda *x: None if expected else update(*x)
  )
  startup.initialize(num_processes=num_processes)
  found = [options['cluster_detection_method'] for options in started]
  assert found == ([expected] if expected else [])


def test_one_process_has_nobody_to_ask():
  assert processes_lib.is_primary()
  value = {'a': np.arange(3)}
  assert processes_lib.broadcast(value) is value
  assert processes_lib.all_gather(value)[0] is value
  assert processes_lib.on_primary(lambda: value) is value
  assert processes_lib.on_primary_then_others(lambda: value) is value
  processes_lib.check_same({'anything': 1})
  processes_lib.barrier()
