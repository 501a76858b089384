"""Milliseconds a training step: this program against plain PyTorch.

  python -m experiments.benchmarks.versus_torch [--json=FILE]

The CIFAR-10 8-layer CNN with SL, batch 128, SGD with momentum, random images
in memory and no augmentation on either side. Each variant lives in a process
of its own; they take turns, one round of steps each, so that a change of the
machine's speed hits all of them alike. Time is that of whole rounds; ours are
one dispatch each, in which it also shuffles, normalises and counts, while
PyTorch is given ready batches. All run on one GPU if both sides have one, else
on the CPU, with as many threads; memory is the host's.
"""

import argparse
import datetime
import importlib
import json
import os
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import time
from typing import Any, NoReturn

BATCH, CLASSES = 128, 10
# name: (worker, its variant)
VARIANTS = {
  'torch float32 NCHW': ('torch', 'nchw'),
  'torch float32 channels_last': ('torch', 'channels_last'),
  'torch bfloat16 autocast channels_last': ('torch', 'autocast'),
  'ours float32': ('jax', 'float32'),
  'ours bfloat16': ('jax', 'bfloat16'),
}
BASELINES = [n for n in VARIANTS if n.startswith('torch float32')]
REPOSITORY = pathlib.Path(__file__).parents[2]
BAD_INPUT = 2
_ASK_FOR_GPU = 'from experiments.benchmarks.{}_cifar import gpu; print(gpu())'


class _Parser(argparse.ArgumentParser):
  """Refuses bad input in one line."""

  def error(self, message: str) -> NoReturn:
    _refuse(f'{message} (see --help)')


def _refuse(message: str) -> NoReturn:
  print(f'error: {message}', file=sys.stderr)
  sys.exit(BAD_INPUT)


def _count(text: str) -> int:
  if not text.isdecimal() or int(text) < 1:
    raise argparse.ArgumentTypeError(
      f'{text!r} is not a whole number of at least 1'
    )
  return int(text)


def main(argv: list[str] | None = None) -> None:
  parser = _Parser(
    prog='python -m experiments.benchmarks.versus_torch',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  parser.add_argument('--rounds', type=_count, default=7, help='rounds to time')
  parser.add_argument('--steps', type=_count, default=4, help='steps a round')
  parser.add_argument('--json', metavar='FILE', help='also write the figures')
  parser.add_argument(
    '--torch_python',
    metavar='PATH',
    default=sys.executable,
    help='interpreter that has PyTorch',
  )
  parser.add_argument('--worker', nargs=2, help=argparse.SUPPRESS)
  args = parser.parse_args(argv)
  if args.worker:
    _work(*args.worker, args.steps)
    return
  if args.json and not _is_writable(pathlib.Path(args.json)):
    _refuse(f'--json={args.json} cannot be written: is its folder there?')
  figures = measure(args.torch_python, args.rounds, args.steps)
  print(table(figures))
  if args.json:
    pathlib.Path(args.json).write_text(json.dumps(figures, indent=2) + '\n')


def _is_writable(file: pathlib.Path) -> bool:
  return not file.is_dir() and os.access(
    file if file.exists() else file.parent, os.W_OK
  )


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
    _refuse(f'there is no interpreter {python}: see --torch_python')
  except subprocess.CalledProcessError as error:
    if "No module named 'torch'" in error.stderr:
      _refuse(
        f'{python} has no PyTorch: pip install torch, or name an interpreter'
        ' that has it with --torch_python'
      )
    last = error.stderr.strip().rpartition('\n')[2]
    _refuse(f'{python} cannot run {kind}: {last}')
  return answer.stdout.strip()


def measure(torch_python: str, rounds: int, steps: int) -> dict[str, Any]:
  """Times all variants in turn.

  Args:
    torch_python: the interpreter of the PyTorch workers.
    rounds: how often each has its turn.
    steps: steps a turn.

  Returns:
    The machine, and for each variant its ms a step in every round, its peak
    memory in MiB and its version.
  """
  pythons = {'torch': torch_python, 'jax': sys.executable}
  gpus = {kind: _gpu(python, kind) for kind, python in pythons.items()}
  on_gpu = all(gpus.values())
  workers = {}
  try:
    for name, (kind, variant) in VARIANTS.items():
      workers[name] = _start(pythons[kind], kind, variant, steps, on_gpu)
      _ask(workers[name])  # Compiles and warms up before the next one starts.
    seconds: dict[str, list[float]] = {name: [] for name in workers}
    for _ in range(rounds):
      for name, worker in workers.items():
        seconds[name].append(_ask(worker)['seconds'])
    last = {name: _ask(worker) for name, worker in workers.items()}
  finally:
    for worker in workers.values():
      worker.kill()
      worker.communicate()
  return {
    'processor': gpus['torch'] if on_gpu else _processor(),
    'cores': os.cpu_count(),
    'threads': _threads(),
    'date': datetime.date.today().isoformat(),
    'rounds': rounds,
    'steps': steps,
    'variants': {
      name: {
        'milliseconds': [1e3 * s / steps for s in values],
        'peak_mib': last[name]['peak_mib'],
        'version': last[name]['version'],
      }
      for name, values in seconds.items()
    },
  }


def table(figures: dict[str, Any]) -> str:
  """The figures as a table in Markdown."""
  medians = {
    name: statistics.median(row['milliseconds'])
    for name, row in figures['variants'].items()
  }
  best = min(medians[name] for name in BASELINES)
  versions = sorted({v['version'] for v in figures['variants'].values()})
  lines = [
    f'{figures["processor"]}, {figures["cores"]} cores,'
    f' {figures["threads"]} threads, {figures["date"]}, {", ".join(versions)};'
    f' {figures["rounds"]} interleaved rounds of {figures["steps"]} steps',
    '',
    '| CIFAR-10 8-layer CNN, SL, batch 128 | ms a step, median | min | over'
    ' best float32 PyTorch | peak MiB |',
    '|---|---|---|---|---|',
  ]
  for name, row in figures['variants'].items():
    lines.append(
      f'| {name} | {medians[name]:.0f} | {min(row["milliseconds"]):.0f} |'
      f' {medians[name] / best:.2f} | {row["peak_mib"]:.0f} |'
    )
  return '\n'.join(lines)


def _start(python, kind, variant, steps, on_gpu):
  if on_gpu:
    # Of its own accord each jax process would take three quarters of it.
    settings = {'XLA_PYTHON_CLIENT_MEM_FRACTION': '.3'}
  else:
    settings = {'JAX_PLATFORMS': 'cpu', 'CUDA_VISIBLE_DEVICES': ''}
  command = [python, '-m', __spec__.name, '--worker', kind, variant]
  return subprocess.Popen(
    [*command, f'--steps={steps}'],
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


def _work(kind: str, variant: str, steps: int) -> None:
  # Only the worker's own side: the other need not be installed.
  side = importlib.import_module(f'experiments.benchmarks.{kind}_cifar')
  step, version = side.make_steps(variant, steps, BATCH, CLASSES, _threads())
  for _ in sys.stdin:
    start = time.perf_counter()
    step()
    answer = {
      'seconds': time.perf_counter() - start,
      # Linux counts in KiB.
      'peak_mib': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
      'version': version,
    }
    print(json.dumps(answer), flush=True)


def _threads() -> int:
  """Processors that this process may use: what XLA takes, too."""
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def _processor() -> str:
  try:
    lines = pathlib.Path('/proc/cpuinfo').read_text().splitlines()
  except OSError:
    return platform.processor()
  names = [x.partition(':')[2].strip() for x in lines if 'model name' in x]
  return names[0] if names else platform.processor()


if __name__ == '__main__':
  main()
