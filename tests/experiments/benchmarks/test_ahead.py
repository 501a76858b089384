"""Programs for accelerators that are not here, read and compiled."""

import importlib.util
import json
import os
import subprocess
import sys

import jax
from jax import export
import pytest

from experiments.benchmarks import ahead, chips, hlo, targets
from experiments.benchmarks.workload import Training, Workload
from sce_jax.errors import UserError
from sce_jax.parallel import runners
from tests import conftest, synthetic

# A scan of 39 steps in a map over 2 runs. A step has a loop of 128 turns and a
# sum over devices in a fusion's place; the entry copies the images.
MODULE = """\
HloModule jit_train, entry_computation_layout={(u8[50,8]{1,0})->f32[]}

%turn (x: f32[]) -> f32[] {
  %x = f32[] parameter(0)
  ROOT %a = f32[] fusion(%x), kind=kLoop, calls=%f, \
backend_config={"estimated_cycles":"10"}
}

%until.1 (x: f32[]) -> pred[] {
  %c = s32[]{:T(128)} constant(128)
  ROOT %p = pred[] compare(%x, %c), direction=LT
}

%step (x: f32[]) -> f32[] {
  %x = f32[] parameter(0)
  %w = f32[] while(%x), condition=%until.1, body=%turn
  %s = (f32[], f32[3]{0}) all-reduce-start(%w), to_apply=%add
  %d = (f32[], f32[3]{0}) all-reduce-done(%s)
  ROOT %b = f32[] fusion(%d), kind=kLoop, calls=%f, \
backend_config={"estimated_cycles":"500"}
}

%run (x: f32[]) -> f32[] {
  %x = f32[] parameter(0)
  ROOT %w = f32[] while(%x), condition=%until.2, body=%step, \
backend_config={"known_trip_count":{"n":"39"}}
}

ENTRY %main (p: u8[50,8]) -> f32[] {
  %p = u8[50,8]{1,0} parameter(0)
  %copy.1 = u8[50,8]{0,1} copy(%p), backend_config={"estimated_cycles":"7"}
  %labels = s32[50,8]{1,0} copy(%q)
  %call = () custom-call(%p), custom_call_target="ConcatBitcast"
  ROOT %w = f32[] while(%copy.1), condition=%until.3, body=%run, \
backend_config={"known_trip_count":{"n":"2"}}
}
"""
NO_LIBTPU = importlib.util.find_spec('libtpu') is None
NO_CUDA = importlib.util.find_spec('jax_cuda13_plugin') is None
needs_libtpu = pytest.mark.skipif(NO_LIBTPU, reason='libtpu is not installed')


def test_a_module_is_read():
  module = hlo.Module(MODULE)
  (loop,) = module.steps(39)
  assert loop == hlo.Loop('step', turns=39, within=2)
  assert list(module.loops(loop.body)) == [hlo.Loop('turn', 128, 1)]
  assert module.cycles('step') == 500 + 128 * 10
  assert module.own_cycles('step') == 500
  assert module.cycles() == 7 + 2 * 39 * 1780
  assert module.collectives('step') == {'all-reduce': 1}
  assert module.reduced_bytes('step') == 4 + 3 * 4
  assert module.copies('u8', 400) == 1
  assert module.copies('u8', 401) == 0
  assert module.custom_calls('ConcatBitcast') == 1
  assert module.host_transfers() == 0
  assert module.steps(40) == []
  with_host = MODULE.replace('%labels', '%o = token[] outfeed(%p)\n  %labels')
  assert hlo.Module(with_host).host_transfers() == 1


@pytest.mark.parametrize(
  ('flags', 'why'),
  [
    (['--target=v9:2x2'], '--target=v9:2x2 is not known'),
    (['--target=v5e'], '--target=v5e is not known'),
    (['--target=h100:x'], 'say how many'),
    (['--target=v5e:2x2'], 'pip install libtpu'),
    (['--target=h100:1'], 'pip install "jax[cuda13]"'),
    (['--runs=1'], '--runs'),
    (['--strategies=all'], "'all' is not known"),
  ],
)
def test_what_cannot_be_compiled_is_refused(flags, why, refusal, monkeypatch):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  assert why in refusal('ahead', *flags)


def test_devices_must_share_equally(monkeypatch, refusal):
  four = targets.Target('v5e:2x2', targets.CHIPS['v5e'], jax.devices()[:4])
  monkeypatch.setattr(targets, 'describe', lambda name: four)
  assert 'multiple' in refusal('ahead', '--batch=30')
  assert 'multiple of 4' in refusal('ahead', '--runner=run_parallel')
  assert 'multiple of 4' in refusal(
    'ahead', '--runner=run_parallel', '--runs=6'
  )


def test_chips_are_refused_and_all_reduces_timed(refusal):
  assert '8 is not known: use some of 1, 4, 16' in refusal(
    'chips', '--chips=1,8'
  )
  assert 'cannot share 30 examples' in refusal('chips', '--total=30')
  # 16 chips: 7 all-reduces of 12 messages each, 1 us a message; and of 8 MB
  # each chip sends 15 MB at 200 GB/s.
  assert chips.reduce_ms(4, 7, 8e6) == pytest.approx(0.084 + 0.075)
  assert chips.reduce_ms(1, 7, 8e6) == 0


class TooLarge:
  """A lowered program that does not fit, as libtpu says it."""

  def compile(self):
    raise jax.errors.JaxRuntimeError(
      'RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm. Used 20.50G'
      ' of 15.75G hbm. Exceeded hbm capacity by 4.75G.'
    )


def test_too_large_says_by_how_much():
  target = targets.Target('v5e:1x1', targets.CHIPS['v5e'], jax.devices()[:1])
  with pytest.raises(UserError) as error:
    ahead.compiled(TooLarge, target, turns=None, elements=1)
  assert 'has 16,128 MiB and the program needs 20,992, 4,864 more' in str(
    error.value
  )


def test_a_dispatch_is_exported_for_all_platforms():
  """With plain convolutions, although this is a CPU."""
  config = synthetic.config()
  config.model.layout = 'nhwc'
  config.data.augment.update({'pad_crop': 1, 'shift': 0.1, 'rotate': 10.0})
  runner = runners.make_runner('jit', jax.devices()[:1])
  trainer, inputs, _ = synthetic.program([config], runner=runner)
  train, given = trainer._dispatch(0)
  program = export.export(train, platforms=('cpu', 'cuda', 'tpu'))(
    trainer.init(inputs), inputs, given
  )
  text = program.mlir_module()
  # Of each platform: forward, and backward to the kernels and to the second
  # one's input.
  assert text.count('stablehlo.convolution') == 3 * 5


@needs_libtpu
@pytest.mark.parametrize('name', [*runners.RUNNERS, 'run_parallel'])
def test_described_devices_get_abstract_arrays(name):
  """The network is that of their platform, on all hosts' chips."""
  described = targets.describe('v5e:2x4')
  assert {d.process_index for d in described.devices} == {0, 1}
  runs = 8 if name == 'run_parallel' else 1
  workload = Workload('mnist_cnn', runs=runs, runner=name, strategy='map')
  training = Training(workload, 128, 1, described.devices)
  assert all(
    isinstance(x, jax.ShapeDtypeStruct)
    for x in jax.tree.leaves((training._state, training.inputs))
  )
  text = training.lower().as_text()
  assert text.count('stablehlo.convolution') == 5
  assert 'mhlo.num_replicas = 8' in text or 'mhlo.num_partitions = 8' in text


# Network: parameters, batch norms, MiB that a chip may need at most.
NETWORKS = {
  'mnist_cnn': (422_090, 3, 64),
  'cifar_cnn': (1_639_794, 7, 192),
}


@pytest.mark.slow
@pytest.mark.parametrize('network', NETWORKS)
@pytest.mark.parametrize(
  'target',
  [
    pytest.param('v5e:2x2', marks=needs_libtpu),
    pytest.param(
      'h100:1',
      marks=pytest.mark.skipif(NO_CUDA, reason='jax[cuda13] is not installed'),
    ),
  ],
)
def test_a_step_for_an_accelerator(target, network, tmp_path):
  parameters, batch_norms, most = NETWORKS[network]
  file = tmp_path / 'figures.json'
  command = [
    *(sys.executable, '-m', 'experiments.benchmarks', 'ahead'),
    *(f'--target={target}', f'--networks={network}', '--programs=train'),
    # As many as a dispatch needs.
    *(f'--num_train={128 * ahead.STEPS}', f'--json={file}'),
  ]
  # Compiled as a user's programs are, not as the tests'.
  environment = {k: v for k, v in os.environ.items() if k != 'XLA_FLAGS'}
  subprocess.run(
    command, env=environment, cwd=conftest.REPOSITORY, check=True, timeout=3600
  )
  (row,) = json.loads(file.read_text())['rows']
  assert row['loops in a step'] == 0
  assert row['all-reduces'] <= 2 * batch_norms + 1
  assert row['other collectives'] == row['host transfers'] == 0
  # The state: parameters and their momentum, float32.
  assert row['MiB aliased'] > 2 * 4 * parameters / 2**20
  assert row['MiB peak'] < most
