"""Milliseconds a training step: this program against plain PyTorch.

  python -m experiments.benchmarks.versus_torch [--json=FILE]

The digits, MNIST and CIFAR-10 networks with SL, SGD with momentum, random
images in memory and no augmentation on either side. Each variant lives in a
separate process; they take turns, one round of steps each, so that a change
of the machine's speed hits all of them alike. Time is that of whole rounds;
ours are one dispatch each, in which it also shuffles, normalises and counts,
while PyTorch is given ready batches. All run on one GPU if both sides have one,
else on the CPU, with as many threads; memory is the host's. PyTorch as shipped
is float32 NCHW; its best is the fastest of its float32 variants.
"""

import argparse
import importlib
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

from experiments.benchmarks import harness

# Examples a step, as in the configs; steps a round, so that one takes long
# enough to be timed.
NETWORKS = {
  'digits_cnn': (64, 400),
  'mnist_cnn': (128, 40),
  'cifar_cnn': (128, 8),
}
# name: (side, its variant)
VARIANTS = {
  'torch float32 NCHW (as shipped)': ('torch', 'nchw'),
  'torch float32 channels_last': ('torch', 'channels_last'),
  'torch float32 torch.compile': ('torch', 'compiled'),
  'torch bfloat16 autocast': ('torch', 'autocast'),
  'ours float32': ('jax', 'float32'),
  'ours bfloat16': ('jax', 'bfloat16'),
}
BASELINES = [n for n in VARIANTS if n.startswith('torch float32')]
REPOSITORY = pathlib.Path(__file__).parents[2]
_ASK_FOR_GPU = 'from experiments.benchmarks.{}_side import gpu; print(gpu())'


def main(argv: list[str] | None = None) -> None:
  parser = harness.Parser('versus_torch', __doc__, rounds=7)
  parser.add_argument(
    '--networks',
    type=_networks,
    default=list(NETWORKS),
    metavar='NAME,...',
    help=f'some of {", ".join(NETWORKS)}',
  )
  parser.add_argument(
    '--torch_python',
    metavar='PATH',
    default=sys.executable,
    help='interpreter that has PyTorch',
  )
  parser.add_argument('--worker', nargs=2, help=argparse.SUPPRESS)
  args = parser.parse(argv)
  if args.worker:
    _work(args.networks[0], *args.worker)
    return
  machine, rows = measure(args.torch_python, args.networks, args.rounds)
  args.networks = ','.join(args.networks)
  del args.torch_python, args.worker  # Of no interest to the reader.
  harness.report('versus_torch', rows, args, machine)


def _networks(text: str) -> list[str]:
  names = text.split(',')
  for name in names:
    if name not in NETWORKS:
      raise argparse.ArgumentTypeError(
        f'{name!r} is not known: use some of {", ".join(NETWORKS)}'
      )
  return names


def measure(
  torch_python: str, networks: list[str], rounds: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
  """Times all variants of each network in turn.

  Args:
    torch_python: the interpreter of the PyTorch workers.
    networks: keys of NETWORKS.
    rounds: how often each variant has its turn.

  Returns:
    The machine, and a row for each network and variant.
  """
  pythons = {'torch': torch_python, 'jax': sys.executable}
  gpus = {kind: _gpu(python, kind) for kind, python in pythons.items()}
  on_gpu = all(gpus.values())
  machine = harness.machine(gpus['torch'] if on_gpu else harness.processor())
  rows = []
  for network in networks:
    harness.say(f'versus_torch: {network}')
    seconds, last = _take_turns(pythons, network, rounds, on_gpu)
    rows += _rows(network, seconds, last)
    machine |= {'torch': last[BASELINES[0]]['version'].split()[-1]}
  return machine, rows


def _take_turns(pythons, network, rounds, on_gpu):
  workers = {}
  try:
    for name, (kind, variant) in VARIANTS.items():
      worker = _start(pythons[kind], kind, variant, network, on_gpu)
      # Compiles and warms up before the next one starts.
      answer = _ask(worker)
      if 'failed' in answer:
        harness.say(f'{name} does not work here: {answer["failed"]}')
        worker.communicate()
      else:
        workers[name] = worker
    seconds: dict[str, list[float]] = {name: [] for name in workers}
    for _ in range(rounds):
      for name, worker in workers.items():
        seconds[name].append(_ask(worker)['seconds'])
    return seconds, {name: _ask(worker) for name, worker in workers.items()}
  finally:
    for worker in workers.values():
      worker.kill()
      worker.communicate()


def _rows(network, seconds, last):
  batch, steps = NETWORKS[network]
  medians = {
    name: 1e3 * statistics.median(values) / steps
    for name, values in seconds.items()
  }
  best = min(medians[name] for name in BASELINES if name in medians)
  return [
    {
      'network': network,
      'variant': name,
      'ms a step': medians[name],
      'images/s': 1e3 * batch / medians[name],
      'over best float32 PyTorch': medians[name] / best,
      'over PyTorch as shipped': medians[name] / medians[BASELINES[0]],
      'peak MiB': last[name]['peak_mib'],
    }
    for name in seconds
  ]


def _gpu(python: str, kind: str) -> str:
  """The name of a side's GPU, '' for none; refuses if the side is missing."""
  try:
    answer = subprocess.run(
      [python, '-c', _ASK_FOR_GPU.format(kind)],
      capture_output=True,
      text=True,
      cwd=REPOSITORY,
      check=True,
    )
  except OSError:
    harness.refuse(f'there is no interpreter {python}: see --torch_python')
  except subprocess.CalledProcessError as error:
    if "No module named 'torch'" in error.stderr:
      harness.refuse(
        f'{python} has no PyTorch: pip install torch, or name an interpreter'
        ' that has it with --torch_python'
      )
    last = error.stderr.strip().rpartition('\n')[2]
    harness.refuse(f'{python} cannot run {kind}: {last}')
  return answer.stdout.strip()


def _start(python, kind, variant, network, on_gpu):
  if on_gpu:
    # Of its own accord each jax process would take three quarters of it.
    settings = {'XLA_PYTHON_CLIENT_MEM_FRACTION': '.3'}
  else:
    settings = {'JAX_PLATFORMS': 'cpu', 'CUDA_VISIBLE_DEVICES': ''}
  command = [python, '-m', __spec__.name, '--worker', kind, variant]
  return subprocess.Popen(
    [*command, f'--networks={network}'],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
    env=os.environ | settings,
    cwd=REPOSITORY,
  )


def _ask(worker):
  try:
    worker.stdin.write('go\n')
    worker.stdin.flush()
    answer = worker.stdout.readline()
  except BrokenPipeError:
    answer = ''
  if not answer:
    sys.exit('error: a worker has ended; its message stands above')
  return json.loads(answer)


def _work(network: str, kind: str, variant: str) -> None:
  # Only the worker's own side: the other need not be installed.
  side = importlib.import_module(f'experiments.benchmarks.{kind}_side')
  batch, steps = NETWORKS[network]
  step, version = side.make_steps(
    network, variant, steps, batch, harness.threads()
  )
  for _ in sys.stdin:
    start = time.perf_counter()
    try:
      step()
    except Exception as error:
      if variant != 'compiled':
        raise
      print(json.dumps({'failed': str(error).splitlines()[0]}), flush=True)
      return
    answer = {
      'seconds': time.perf_counter() - start,
      # Linux counts in KiB.
      'peak_mib': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
      'version': version,
    }
    print(json.dumps(answer), flush=True)


if __name__ == '__main__':
  main()
