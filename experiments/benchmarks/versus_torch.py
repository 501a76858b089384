"""This program against plain PyTorch, in turns."""

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import functools
import json
import os
import pathlib
import subprocess
import sys
from typing import Any

from experiments.benchmarks import harness, workload
from sce_jax.errors import UserError
from sce_jax.runs import metadata

# Steps of a round, so that it takes long enough to be timed.
NETWORKS = {'digits_cnn': 400, 'mnist_cnn': 40, 'cifar_cnn': 8}
SHIPPED = 'torch float32 NCHW (as shipped)'
# name: (side, its variant)
VARIANTS = {
  SHIPPED: ('torch', 'nchw'),
  'torch float32 channels_last': ('torch', 'channels_last'),
  'torch float32 torch.compile': ('torch', 'compiled'),
  'torch bfloat16 autocast': ('torch', 'autocast'),
  'ours float32': ('jax', 'float32'),
  'ours bfloat16': ('jax', 'bfloat16'),
}
# Prints the name of a side's GPU, or an empty line.
GPU = {
  'torch': 'import torch; c = torch.cuda;'
  ' print(c.get_device_name() if c.is_available() else "")',
  'jax': 'import jax; d = jax.devices()[0];'
  ' print(d.device_kind if d.platform == "gpu" else "")',
}
_REPOSITORY = pathlib.Path(__file__).parents[2]


def versus_torch(
  networks: Sequence[str] = tuple(NETWORKS),
  torch_python: str | None = None,
  steps: int | None = None,
  rounds: int = 5,
) -> harness.Report:
  """A training step against plain PyTorch.

  The digits, MNIST and CIFAR-10 networks with SL, SGD with momentum, random
  images in memory and no augmentation on either side. Each variant is a
  separate process; they take turns, one round of steps each. Ours are one
  dispatch a round, in which it also shuffles, normalises and counts, while
  PyTorch is given ready batches. All run on one GPU if both sides have one,
  else on the CPU, with as many threads; memory is the host's. PyTorch as
  shipped is float32 NCHW; its best is the fastest of its float32 variants.
  """
  for network in networks:
    if network not in NETWORKS:
      raise UserError(
        f'--networks: {network} is not written in PyTorch: use some of'
        f' {", ".join(NETWORKS)}'
      )
  pythons = {'torch': torch_python or sys.executable, 'jax': sys.executable}
  gpus = {side: _gpu(python, side) for side, python in pythons.items()}
  on_gpu = all(gpus.values())
  rows, version = [], ''
  for network in networks:
    harness.log(f'versus_torch: {network}')
    batch = workload.NETWORKS[network].batch
    taken = steps or NETWORKS[network]
    with _workers(pythons, [network, str(batch), str(taken)], on_gpu) as calls:
      seconds = harness.time_in_turns(calls, rounds)
      last = {name: call() for name, call in calls.items()}
    version = last[SHIPPED]['version']
    best = min(seconds[x] for x in seconds if x.startswith('torch float32'))
    rows += [
      {
        'network': network,
        'variant': name,
        'ms a step': 1e3 * value / taken,
        'images/s': batch * taken / value,
        'over best float32 PyTorch': value / best,
        'over PyTorch as shipped': value / seconds[SHIPPED],
        'peak MiB': last[name]['peak MiB'],
      }
      for name, value in seconds.items()
    ]
  device = gpus['torch'] if on_gpu else metadata.processor()
  return harness.Report(rows, {'device': device, 'torch': version})


def _gpu(python: str, side: str) -> str:
  """The name of a side's GPU, '' for none; UserError if the side is missing."""
  try:
    answer = subprocess.run(
      [python, '-c', GPU[side]], capture_output=True, text=True, check=True
    )
  except OSError:
    raise UserError(f'--torch_python: there is no {python}') from None
  except subprocess.CalledProcessError as error:
    if "No module named 'torch'" in error.stderr:
      raise UserError(
        f'{python} has no PyTorch: pip install torch, or name an interpreter'
        ' that has it with --torch_python'
      ) from None
    last = error.stderr.strip().rpartition('\n')[2]
    raise UserError(f'{python} cannot run {side}: {last}') from None
  return answer.stdout.strip()


@contextlib.contextmanager
def _workers(
  pythons: Mapping[str, str], sizes: Sequence[str], on_gpu: bool
) -> Iterator[dict[str, Any]]:
  """Starts a process for each variant; one that fails here is left out."""
  settings = {'JAX_PLATFORMS': 'cpu', 'CUDA_VISIBLE_DEVICES': ''}
  if on_gpu:
    # By default each jax process would take three quarters of its memory.
    settings = {'XLA_PYTHON_CLIENT_MEM_FRACTION': '.3'}
  calls = {}
  with contextlib.ExitStack() as stack:
    for name, (side, variant) in VARIANTS.items():
      module = 'experiments.benchmarks.worker'
      worker = subprocess.Popen(
        [pythons[side], '-m', module, side, variant, *sizes],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | settings,
        cwd=_REPOSITORY,
      )
      stack.enter_context(worker)
      stack.callback(worker.kill)
      # It compiles and warms up before the next one starts.
      answer = _ask(worker)
      if 'failed' in answer:
        harness.log(f'{name} does not work here: {answer["failed"]}')
      else:
        calls[name] = functools.partial(_ask, worker)
    yield calls


def _ask(worker: subprocess.Popen) -> dict[str, Any]:
  assert worker.stdin is not None and worker.stdout is not None
  answer = ''
  with contextlib.suppress(BrokenPipeError):
    worker.stdin.write('next\n')
    worker.stdin.flush()
    answer = worker.stdout.readline()
  if not answer:
    sys.exit('error: a worker has ended; its message stands above')
  return json.loads(answer)
