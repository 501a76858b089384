"""The command line, and each command on tiny sizes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.benchmarks import (
  __main__,
  data_paths,
  harness,
  losses,
  roofline,
  steps,
  workload,
)
from experiments.benchmarks.workload import Workload
from sce_jax.data import batches
from sce_jax.errors import UserError
from sce_jax.exit_codes import ExitCode
from sce_jax.parallel import runners

SMALL = ('--network=digits_cnn', '--rounds=1')


@pytest.mark.slow  # Compiles each kind.
def test_step_measures_every_kind_of_method(measure):
  names = ['sl', 'co_teaching', 'forward', 'd2l']
  rows, machine = measure(
    'step',
    '--networks=digits_cnn',
    f'--losses={",".join(names)}',
    '--dtypes=float32',
    '--batches=16',
    '--steps=2',
    '--rounds=1',
  )
  assert [row['loss'] for row in rows] == names
  assert machine['float32 GFLOP/s'] > 0 and machine['copy GB/s'] > 0
  by_loss = {row['loss']: row for row in rows}
  # 64 pixels to 8 to 10 outputs; forward, and backward to all weights and to
  # the hidden layer, each 2 operations a weight and image.
  dense = 2 * 16 * (2 * (64 * 8 + 8 * 10) + 8 * 10)
  assert dense < 1e9 * by_loss['sl']['GFLOP'] < 3 * dense
  # Two networks.
  assert by_loss['co_teaching']['GFLOP'] > 1.7 * by_loss['sl']['GFLOP']
  # Its LID at the end of an epoch is no part of a step.
  assert by_loss['d2l']['GFLOP'] is None
  assert by_loss['d2l']['ms a step'] > 0


def test_trials_need_more_memory_than_one_run(measure, monkeypatch):
  # Nobody waits for many unrolled runs to be compiled; here 2 are too many.
  monkeypatch.setattr(steps, 'MOST_UNROLLED', 1)
  rows, _ = measure('trials', '--runs=2', '--steps=2', *SMALL)
  alone, *together = rows
  assert [row['strategy'] for row in rows] == ['sequence', 'vmap', 'map']
  for row in together:
    assert row['program MiB'] > alone['program MiB']


@pytest.mark.slow  # Compiles each.
def test_scaling_has_each_runner_on_each_device_count(measure, monkeypatch):
  monkeypatch.delitem(runners.RUNNERS, 'jit')  # Two programs less.
  rows, _ = measure('scaling', '--devices=2', '--steps=1', *SMALL)
  assert [(row['runner'], row['runs'], row['devices']) for row in rows] == [
    ('pmap', 1, 1),
    ('pmap', 1, 2),
    ('run_parallel', 8, 1),
    ('run_parallel', 8, 2),
  ]


def test_run_says_how_much_of_it_was_measured(measure):
  # 2 steps of 128 images, in one dispatch, and one of 44.
  rows, _ = measure(
    'run',
    '--network=digits_cnn',
    '--num_train=300',
    '--num_test=20',
    '--epochs=2',
  )
  values = {row['what']: row['value'] for row in rows}
  share = values['measured of the run']
  assert share == pytest.approx(2 / 120)
  assert values['of it XLA compiling'] < values['until all is compiled']


@pytest.mark.slow  # Compiles each.
def test_input_measures_each_path(data_dir, measure):
  flags = ('--num_train=300', '--steps=2', f'--data_dir={data_dir}')
  rows, _ = measure('input', *SMALL, *flags)
  assert [row['path'] for row in rows] == [
    'record file, tfds random access',
    *data_paths.ON_DEVICE,
    'the training step (float32)',
  ]


@pytest.mark.parametrize(
  'path', ['on device: gather', list(data_paths.ON_DEVICE)[1]]
)
def test_batches_are_those_of_a_shuffled_split(path):
  size = 300
  recipe, augmented = data_paths.ON_DEVICE[path]
  config = Workload('cifar_cnn', augment=augmented, recipe=recipe).config()
  dataset = workload.random_dataset('cifar_cnn', config, size, 1)
  split = batches.to_device_split(dataset.train, dataset.pixel_mean)
  labels = jnp.asarray(dataset.train.label)
  run = data_paths.make_batches(config, dataset.info, 3)
  made = run(split, labels, jax.random.key(0))
  # 384 examples of 300: each once, then the first again.
  rows = np.asarray(made.position).reshape(-1)
  assert sorted(rows[:size]) == list(range(size))
  np.testing.assert_array_equal(rows[size:], rows[: len(rows) - size])
  np.testing.assert_array_equal(
    made.label.reshape(-1), dataset.train.label[rows % size]
  )
  # Each batch is sampled anew: the same image looks different.
  images = np.asarray(made.image).reshape(-1, 32, 32, 3)
  same = np.allclose(images[size:], images[: len(rows) - size], atol=1e-5)
  assert same != augmented


def test_loss_measures_each_loss_for_each_number_of_classes(measure):
  rows, _ = measure(
    'loss', '--classes=3,1000', '--losses=sl,gce', '--size=2000', '--rounds=1'
  )
  # At least 16 rows.
  sizes = [(3, 666)] * 3 + [(1000, 16)] * 3
  assert [(row['K'], row['N']) for row in rows] == sizes
  assert [row['loss'] for row in rows] == ['optax CE', 'sl', 'gce'] * 2


def test_losses_are_evaluated_again_and_again():
  # p = 1/4, 3/4 and labels 0, 0, after which come 1, 1.
  logits = jnp.log(jnp.array([[1.0, 3.0], [1.0, 3.0]]))
  labels = jnp.array([0, 0])
  p, log_zero = np.array([0.25, 0.75]), np.log(1e-4)
  # The gradient is p - onehot, which SL scales by alpha - beta A p_y.
  expected = {
    losses.BASELINE: (-np.log(p[0]), 1.0),
    'sl': (-0.1 * np.log(p[0]) - log_zero * 0.75, 0.1 - log_zero * 0.25),
  }
  for name, (value, scale) in expected.items():
    once = losses.descend(losses.batch_loss(name), 1)
    moved, total = once(logits, labels)
    assert total == pytest.approx(value, rel=1e-5)
    step = losses.LEARNING_RATE * scale * (p - np.array([1.0, 0.0])) / 2
    np.testing.assert_allclose(moved, logits - step, atol=1e-6)
    again, second = once(moved, labels + 1)
    twice, both = losses.descend(losses.batch_loss(name), 2)(logits, labels)
    np.testing.assert_allclose(twice, again, atol=1e-6)
    assert both == pytest.approx(float(total + second), rel=1e-5)


def test_calls_take_turns_after_warming_up():
  turns = []
  calls = {name: lambda name=name: turns.append(name) for name in 'ab'}
  seconds = harness.time_in_turns(calls, 3, len)
  assert turns == ['a', 'b'] * 4
  assert seconds == {'a': 3, 'b': 3}


def test_tables_show_three_digits(capsys):
  row = {'ms': 0.012345, 'images/s': 123456.7, 'N': 12345, 'none': None}
  harness.show(
    'step', {'runs': [1, 2], 'dtype': None}, harness.Report([row]), None
  )
  head, _, _, columns, _, line = capsys.readouterr().out.splitlines()
  assert head == 'step --runs=1,2'
  assert [x.strip() for x in columns.split('|')[1:-1]] == list(row)
  cells = [x.strip() for x in line.split('|')[1:-1]]
  assert cells == ['0.0123', '123,457', '12345', '']


@pytest.mark.parametrize('command', __main__.COMMANDS)
def test_a_command_has_help(command, capsys):
  with pytest.raises(SystemExit, match='0'):
    __main__.main([command, '--help'])
  assert '--json' in capsys.readouterr().out


@pytest.mark.parametrize(
  ('flags', 'message'),
  [
    ('nope', "invalid choice: 'nope' (choose from"),
    ('--nope', 'unrecognized arguments: --nope'),
    ('--out=/dev/null/x', '/dev/null/x cannot be written: Not a directory'),
    ('step --json=/', '/ cannot be written: Is a directory'),
    ('step --json=no/such/file', 'cannot be written: No such file'),
    ('step --round=1', 'unrecognized arguments: --round=1'),
    ('step more', 'unrecognized arguments: more'),
    ('step --rounds=0', "'0' is not a whole number of at least 1"),
    ('step --batches=64,x', "'x' is not a whole number"),
    ('step --networks=x', "'x' is not known: use some of digits_cnn"),
    ('step --losses=ce,', "'' is not known: use some of ce"),
    ('run --dtype=float16', "'float16' is not known: use some of float32"),
    ('trials --runs=2,1', "'1' is not a whole number of at least 2"),
    ('scaling --devices=3', '3 devices cannot share 8 runs'),
    ('loss --losses=elr', 'elr is more than a function of logits and a label'),
    ('loss --losses=forward', 'forward is more than a function'),
    ('versus_torch --networks=resnet44', 'resnet44 is not written in PyTorch'),
    ('versus_torch --torch_python=no/such', 'there is no no/such'),
  ],
)
def test_bad_flags_get_one_line(flags, message, refusal):
  assert message in refusal(*flags.split())


def test_a_recipe_that_is_not_known_is_refused():
  with pytest.raises(UserError, match="recipe 'nope' is not known here"):
    Workload('digits_cnn', recipe='nope').config()


@pytest.mark.parametrize('line', __main__.ALL.values())
def test_what_all_runs_has_good_flags(line):
  __main__.parse(line.split())


@pytest.mark.slow  # All commands.
@pytest.mark.usefixtures('quickly_compiled')
def test_all_runs_the_rest_if_one_fails(tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(roofline, 'CPU', (64, 2, 1))
  tasks = {'bad': 'step --rounds=0', 'good': 'loss --classes=2 --size=32'}
  monkeypatch.setattr(__main__, 'ALL', {**tasks, 'versus_torch': 'loss'})
  monkeypatch.setattr(__main__.importlib.util, 'find_spec', lambda name: None)
  assert __main__.main([f'--out={tmp_path}']) == ExitCode.SOME_FAILED
  out, err = capsys.readouterr()
  assert 'versus_torch is left out' in err and 'failed: bad' in err
  table = (tmp_path / 'good.md').read_text()
  assert table.startswith('loss --classes=2') and table in out
  assert sorted(x.name for x in tmp_path.iterdir()) == ['good.json', 'good.md']


def test_decode_measures_each_decoder_crop_and_the_feed(measure):
  rows, _ = measure(
    'decode', '--sides=64', '--qualities=90', '--num_images=4', '--seconds=0.01'
  )
  names = [row['what'] for row in rows]
  prepare = rows.pop()
  assert prepare['what'] == 'prepare' and prepare['images/s a core'] > 0
  assert {'Pillow', 'simplejpeg', 'crop: random', 'feed'} <= set(names)
  for row in rows:
    # 2.4e10 operations an image, of which eight chips make 20 % of 1.6e15.
    needed = 0.2 * 8 * 197e12 / 24.6e9 / row['images/s a core']
    assert row['cores for 8 v5e chips'] == pytest.approx(needed)
