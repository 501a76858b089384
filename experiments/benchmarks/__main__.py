"""Benchmarks; a command's flags are the parameters of its function.

Without a command: `all`, which runs those that a machine with one accelerator
is judged by, in under ten minutes there, each in a separate process. The folder
--out then has a table NAME.md and the figures NAME.json of each. If one fails
the others still run, and the exit code is 4.
"""

import argparse
from collections.abc import Callable, Sequence
import importlib.util
import inspect
import pathlib
import subprocess
import sys
import time
from typing import Any, NoReturn

from experiments.benchmarks import harness, run, steps
from experiments.benchmarks.ahead import PROGRAMS, ahead
from experiments.benchmarks.chips import chips
from experiments.benchmarks.data_paths import data_paths
from experiments.benchmarks.decoding import decoding
from experiments.benchmarks.layers import layers
from experiments.benchmarks.losses import loss
from experiments.benchmarks.versus_torch import versus_torch
from experiments.benchmarks.whole_run import whole_run
from experiments.benchmarks.workload import NETWORKS, RUN_PARALLEL
from sce_jax import methods, models
from sce_jax.errors import UserError
from sce_jax.exit_codes import ExitCode
from sce_jax.parallel import multirun, runners

_PROGRAM = 'python -m experiments.benchmarks'
COMMANDS: dict[str, Callable[..., harness.Report]] = {
  'step': steps.step,
  'run': run.run,
  'input': data_paths,
  'decode': decoding,
  'loss': loss,
  'trials': steps.trials,
  'scaling': steps.scaling,
  'versus_torch': versus_torch,
  'whole_run': whole_run,
  'ahead': ahead,
  'chips': chips,
  'layers': layers,
}
# What `all` runs: a command line for each table.
ALL = {
  'run': 'run',
  'step': 'step --networks=cifar_cnn,resnet44 --rounds=3',
  'step_losses': 'step --networks=cifar_cnn --dtypes=float32 --batches=128'
  ' --losses=sl,ce,elr,co_teaching --rounds=3',
  'step_runners': 'step --networks=cifar_cnn,resnet44 --dtypes=float32'
  ' --batches=128 --runners=pmap,jit --rounds=3',
  'versus_torch': 'versus_torch --networks=cifar_cnn',
  'trials': 'trials --runs=8 --rounds=3',
  'loss': 'loss',
  'input': 'input',
  'decode': 'decode --sides=256 --qualities=90',
}


def _whole(text: str, low: int = 1) -> int:
  if not text.isdecimal() or int(text) < low:
    raise argparse.ArgumentTypeError(
      f'{text!r} is not a whole number of at least {low}'
    )
  return int(text)


def _one_of(names: Sequence[str]) -> Callable[[str], str]:
  def read(text: str) -> str:
    if text not in names:
      raise argparse.ArgumentTypeError(
        f'{text!r} is not known: use some of {", ".join(names)}'
      )
    return text

  return read


def _list(read: Callable[[str], Any]) -> Callable[[str], list[Any]]:
  return lambda text: [read(part) for part in text.split(',')]


def _made(make: Callable[[pathlib.Path], None]):
  def read(text: str) -> pathlib.Path:
    path = pathlib.Path(text)
    try:
      make(path)
    except OSError as error:
      raise argparse.ArgumentTypeError(
        f'{text} cannot be written: {error.strerror}'
      ) from None
    return path

  return read


# What can be written is found out before anything is measured.
_FILE = _made(lambda path: path.open('a').close())
_FOLDER = _made(lambda path: path.mkdir(parents=True, exist_ok=True))


_NETWORK, _DTYPE = _one_of(list(NETWORKS)), _one_of(list(models.DTYPES))
_ANY_RUNNER = (*runners.RUNNERS, RUN_PARALLEL)
_LOSS, _RUNNER = _one_of(list(methods.SPECS)), _one_of(list(runners.RUNNERS))
# A flag's type, and what it is.
FLAGS: dict[str, tuple[Callable[[str], Any], str]] = {
  'target': (str, 'devices to compile for, such as v5e:2x4 or h100:8'),
  'network': (_NETWORK, f'one of {", ".join(NETWORKS)}'),
  'networks': (_list(_NETWORK), f'some of {", ".join(NETWORKS)}'),
  'dtype': (_DTYPE, f'one of {", ".join(models.DTYPES)}'),
  'dtypes': (_list(_DTYPE), f'some of {", ".join(models.DTYPES)}'),
  'losses': (_list(_LOSS), f'some of {", ".join(methods.SPECS)}'),
  'runners': (_list(_RUNNER), f'some of {", ".join(runners.RUNNERS)}'),
  'runner': (_one_of(_ANY_RUNNER), f'one of {", ".join(_ANY_RUNNER)}'),
  'strategies': (
    _list(_one_of(multirun.STRATEGIES)),
    f'some of {", ".join(multirun.STRATEGIES)}; default: of trials all,'
    ' of ahead the best',
  ),
  'programs': (_list(_one_of(PROGRAMS)), f'some of {", ".join(PROGRAMS)}'),
  'recipe': (str, "of the network's config; default: the one that suits it"),
  'batch': (_whole, 'number of examples of a step'),
  'batches': (_list(_whole), 'numbers of examples of a step'),
  'steps': (_whole, 'steps in a dispatch'),
  'rounds': (_whole, 'how often each is timed; the median is shown'),
  'runs': (_list(lambda x: _whole(x, 2)), 'numbers of runs'),
  'widths': (_list(_whole), 'numbers of channels'),
  'chips': (_list(_whole), 'numbers of chips'),
  'total': (_whole, 'number of examples of a step of all chips'),
  'devices': (_list(_whole), 'numbers of devices, as far as there are any'),
  'epochs': (_whole, 'epochs to train; default: 120, on a CPU part of one'),
  'num_train': (_whole, 'number of training images'),
  'num_test': (_whole, 'number of test images'),
  'classes': (_list(lambda x: _whole(x, 2)), 'numbers of classes'),
  'sides': (_list(lambda x: _whole(x, 32)), 'short sides, pixels'),
  'qualities': (_list(_whole), 'of the JPEGs, 1 to 95'),
  'num_images': (_whole, 'number of different JPEGs'),
  'seconds': (float, 'of processor time for each figure'),
  'share': (float, "of the devices' peak that the network uses"),
  'size': (_whole, 'about how many logits'),
  'data_dir': (
    str,
    'tfds folder; default: that of tfds, for digits a temporary',
  ),
  'accuracy': (float, 'test accuracy that is waited for'),
  'torch_python': (str, 'interpreter that has PyTorch; default: this one'),
}


class _Parser(argparse.ArgumentParser):
  """A parser whose complaints are UserErrors, so that they get one line."""

  def error(self, message: str) -> NoReturn:
    raise UserError(f'{message} (see --help)')


def parse(argv: Sequence[str]) -> argparse.Namespace:
  """Reads a command line; UserError if it is wrong."""
  # Flags alone are those of `all`.
  if not argv or (argv[0].startswith('-') and argv[0] not in ('-h', '--help')):
    argv = ['all', *argv]
  parser = _Parser(
    prog=_PROGRAM,
    usage=f'{_PROGRAM} [COMMAND] --flags',
    description=__doc__,
    epilog='COMMAND --help shows its flags.',
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  commands = parser.add_subparsers(
    dest='command', metavar='COMMAND', prog=_PROGRAM
  )
  for name, fn in COMMANDS.items():
    doc = inspect.getdoc(fn) or ''
    command = commands.add_parser(
      name,
      help=doc.partition('\n')[0],
      description=doc,
      formatter_class=argparse.RawDescriptionHelpFormatter,
      allow_abbrev=False,
    )
    for flag, parameter in inspect.signature(fn).parameters.items():
      kind, what = FLAGS[flag]
      default = parameter.default
      if default is not None:
        what += f'; default: {harness.text(default)}'
      command.add_argument(f'--{flag}', type=kind, default=default, help=what)
    command.add_argument('--json', type=_FILE, help='also write the figures')
  everything = commands.add_parser(
    'all', help='What a machine is judged by.', allow_abbrev=False
  )
  everything.add_argument(
    '--out', type=_FOLDER, default='benchmarks', help='folder for the tables'
  )
  return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
  """Runs a command; returns the exit code."""
  try:
    settings = vars(parse(argv))
    command = settings.pop('command')
    if command == 'all':
      return run_all(settings['out'])
    file = settings.pop('json')
    report = COMMANDS[command](**settings)
  except UserError as error:
    harness.log(f'error: {error}')
    return ExitCode.BAD_INPUT
  harness.show(command, settings, report, file)
  return ExitCode.DONE


def run_all(out: pathlib.Path) -> int:
  """Runs all benchmarks of an accelerator; returns the exit code.

  Args:
    out: the folder for the tables.
  """
  tasks = dict(ALL)
  if importlib.util.find_spec('torch') is None:
    harness.log('versus_torch is left out: PyTorch is not installed')
    del tasks['versus_torch']
  failed = []
  for name, line in tasks.items():
    start = time.monotonic()
    command = [sys.executable, '-m', 'experiments.benchmarks', *line.split()]
    done = subprocess.run(
      [*command, f'--json={out / name}.json'],
      stdout=subprocess.PIPE,
      text=True,
      check=False,
    )
    print(f'{done.stdout}\n({time.monotonic() - start:.0f} s)\n', flush=True)
    if done.returncode:
      failed.append(name)
    else:
      (out / f'{name}.md').write_text(done.stdout)
  if failed:
    harness.log(f'error: failed: {", ".join(failed)}')
  return ExitCode.SOME_FAILED if failed else ExitCode.DONE


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
