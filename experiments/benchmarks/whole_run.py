"""Runs to an accuracy, from the start of the process on: who is there first."""

from collections.abc import Iterator, Sequence
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np

from configs import mnist
from experiments.benchmarks import harness
from sce_jax.config import check as config_lib
from sce_jax.data import dataset as dataset_lib
from sce_jax.errors import UserError
from sce_jax.runs import metadata

REPOSITORY = pathlib.Path(__file__).parents[2]
CONFIG, EPOCHS = 'configs/mnist.py:ce,clean,0', 10
OURS = 'launch.py'
# Names, and the sides of whole_worker.py; all but ours need another Python.
SIDES = {OURS: '', 'PyTorch, DataLoader': 'torch', 'Keras': 'keras'}


def whole_run(
  accuracy: float = 0.98,
  data_dir: str | None = None,
  torch_python: str | None = None,
  rounds: int = 3,
) -> harness.Report:
  """Training MNIST to an accuracy: seconds from a cold start.

  The MNIST network with cross entropy on the true labels, SGD of learning rate
  0.1 and momentum 0.9, batches of 128, pixels of mean 0 and deviation 1, batch
  norm's running statistics of momentum 0.9 (PyTorch's 0.1; 0.99 lags behind in
  a first epoch), and the test images after each epoch: by launch.py, which also
  writes its folder of a run; by a plain loop of PyTorch with its DataLoader;
  and by Keras's fit. Each run is a process; each round has another seed, from 0
  on, as it may be chance whether one more epoch is needed. It is timed from its
  start, imports, reading the data (launch.py: of --data_dir, the others: arrays
  of a file) and compiling included, with an empty cache of compiled programs,
  until the first epoch whose accuracy is reached. They take turns; the median
  is shown. All compute on the CPU.
  """
  python = torch_python or sys.executable
  if not 0 < accuracy < 1:
    raise UserError(f'--accuracy: {accuracy} is not between 0 and 1')
  if shutil.which(python) is None:
    raise UserError(f'--torch_python: there is no {python}')
  with tempfile.TemporaryDirectory() as folder:
    file = pathlib.Path(folder, 'mnist.npz')
    _write_arrays(file, data_dir)
    seconds: dict[str, list[float]] = {}
    epochs: dict[str, list[int]] = {}
    for number in range(rounds):
      for name, side in SIDES.items():
        harness.log(f'whole_run: {name}, {number + 1} of {rounds}')
        run = pathlib.Path(folder, f'run-{number}')
        command = [python, '-m', 'experiments.benchmarks.whole_worker', side]
        if side:
          command += [str(file), str(EPOCHS), str(number)]
        else:
          command = _ours(run, data_dir, number)
        found = _time(command, accuracy, run, None if side else run)
        if found is None and name == OURS:
          raise UserError(f'{OURS} has failed; its message stands above')
        if found is None:
          harness.log(f'{name} does not work here, or does not get there')
        else:
          seconds.setdefault(name, []).append(found[0])
          epochs.setdefault(name, []).append(found[1])
  medians = {name: float(np.median(x)) for name, x in seconds.items()}
  others = [x for name, x in medians.items() if name != OURS]
  return harness.Report(
    [
      {
        'program': name,
        's to the accuracy': value,
        'epochs': ', '.join(map(str, epochs[name])),
        'over the faster of the others': value / min(others, default=value),
      }
      for name, value in medians.items()
    ],
    {'device': metadata.processor()},
  )


def _ours(run: pathlib.Path, data_dir: str | None, seed: int) -> list[str]:
  return [
    *(sys.executable, 'launch.py', f'--config={CONFIG}', f'--workdir={run}'),
    *([f'--data_dir={os.path.abspath(data_dir)}'] if data_dir else []),
    f'--config.train.epochs={EPOCHS}',
    f'--config.optim.boundaries=({EPOCHS},)',
    f'--config.eval.train_every={EPOCHS}',
    f'--config.seed={seed}',
    '--config.data.normalization=mean_std',
    '--config.model.batch_norm_momentum=0.9',
  ]


def _write_arrays(file: pathlib.Path, data_dir: str | None) -> None:
  """The data set as `launch.py` reads it, for those who cannot."""
  config = config_lib.check_config(mnist.get_config('ce,clean,0'))
  dataset = dataset_lib.read(config.data, data_dir)
  assert dataset.test is not None
  np.savez(
    file,
    image=dataset.train.pixels,
    label=dataset.train.label,
    test_image=dataset.test.pixels,
    test_label=dataset.test.label,
  )


def _time(
  command: Sequence[str],
  accuracy: float,
  folder: pathlib.Path,
  run: pathlib.Path | None,
) -> tuple[float, int] | None:
  """Seconds and epochs until a program is there; None if it ends before.

  Args:
    command: the program.
    accuracy: what is waited for.
    folder: for an empty cache.
    run: the folder of a run that it writes; None: it prints the accuracies.
  """
  settings = {
    'JAX_PLATFORMS': 'cpu',
    'CUDA_VISIBLE_DEVICES': '',
    'JAX_COMPILATION_CACHE_DIR': f'{folder}-cache',
  }
  start = time.monotonic()
  with subprocess.Popen(
    command,
    stdout=subprocess.DEVNULL if run else subprocess.PIPE,
    text=True,
    env=os.environ | settings,
    cwd=REPOSITORY,
  ) as process:
    for epoch, reached in enumerate(_accuracies(process, run), 1):
      if reached >= accuracy:
        seconds = time.monotonic() - start
        process.kill()
        return seconds, epoch
  return None


def _accuracies(
  process: subprocess.Popen, run: pathlib.Path | None
) -> Iterator[float]:
  """The test accuracies of a program's epochs, as it reports them."""
  if run is None:
    assert process.stdout is not None
    yield from map(float, process.stdout)
    return
  seen, ended = 0, False
  while not ended:
    ended = process.poll() is not None
    lines: list[str] = []
    with contextlib.suppress(FileNotFoundError):
      lines = (run / 'metrics.jsonl').read_text().split('\n')[:-1]
    for line in lines[seen:]:
      yield json.loads(line)['test']['accuracy']
    seen = len(lines)
    time.sleep(0.05)
