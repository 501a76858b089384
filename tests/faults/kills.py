"""Runs that are killed at moments of their choosing, and compared.

A moment is a function of the program and how often it was called: the process
kills itself with SIGKILL in there, which no handler sees, or sends itself
another signal.
"""

import contextlib
import csv
import pathlib
import random
import re
import signal
import subprocess
import sys

import jax
import numpy as np

from experiments.report import runs_page
from sce_jax.runs import files, restore
from tests import conftest

TIMES = ('seconds', 'images_per_second', 'input_wait')
COLUMNS = ('train_seconds',)
# In a report's page: when a run was begun, behind the seconds that it took;
# when the page was written. Its folder differs, too.
REPORT_TIMES = re.compile(
  r'(data-value="[\d.]+">[\d.]+</td>\s*<td>)?\d{4}-\d\d-\d\d( \d\d:\d\d)?'
  r'|\d\d:\d\d[+-]\d\d:\d\d'
)
# A module, and a function or method in it. The process is struck before it,
# after it, or inside it: a random time after it has begun where that takes
# seconds (TIMED); else before one of the files or folders that are written from
# then on is opened, made or renamed, also by another thread; or once half of
# what is appended to a file is there.
TIMED = ('compile', 'evaluation', 'prepare')
MOMENTS = {
  'compile': ('sce_jax.engine.trainer', 'Trainer.train'),
  'evaluation': ('sce_jax.engine.trainer', 'Trainer.evaluate'),
  'save': ('sce_jax.runs.checkpointing', 'Checkpoints.save'),
  'metrics': ('sce_jax.runs.epoch_log', 'EpochLog.write'),
  'labels': ('sce_jax.runs.begun', 'Begun.record_labels'),
  'prepare': ('sce_jax.train', '_prepare'),
  'prepared': ('sce_jax.runs.run', 'TrainingRun.set_prepared'),
  'finish': ('sce_jax.runs.workdir', 'Workdir.finish'),
}
# So many writes there are at least.
WRITES = {'save': 8, 'labels': 4, 'prepared': 2, 'finish': 4}
_PROGRAM = """
import functools, importlib, os, sys, threading
where, name, count, when, amount, number = sys.argv[1:7]
del sys.argv[1:7]
count, amount, number = int(count), float(amount), int(number)
(workdir,) = (x[10:] for x in sys.argv if x[:10] == '--workdir=')
writes = [None]
def strike():
  os.kill(os.getpid(), number)
def watch(event, given):
  if writes[0] is None or event not in ('open', 'os.mkdir', 'os.rename'):
    return
  path = os.fspath(given[0]) if not isinstance(given[0], int) else ''
  path = os.fsdecode(path)
  reads = event == 'open' and not given[2] & (os.O_WRONLY | os.O_RDWR)
  if not path.startswith(workdir) or reads:
    return
  writes[0] += 1
  if writes[0] == int(amount):
    strike()
sys.addaudithook(watch)
owner = importlib.import_module(where)
*outer, last = name.split('.')
for part in outer: owner = getattr(owner, part)
function, calls = getattr(owner, last), [0]
@functools.wraps(function)
def wrapped(*args, **kwargs):
  calls[0] += 1
  strikes = calls[0] == count
  if strikes and when == 'before': strike()
  if strikes and when == 'later':
    threading.Timer(amount, strike).start()
  if strikes and when == 'writing':
    writes[0] = 0
  if strikes and when == 'appending':
    from sce_jax.storage import paths
    def append(path, text):
      with open(path, 'a') as file: file.write(text[:int(amount * len(text))])
      strike()
    paths.append = append
  result = function(*args, **kwargs)
  if strikes and when == 'after': strike()
  return result
setattr(owner, last, wrapped)
from experiments.cli import runtime
sys.exit(runtime.run(sys.argv))
"""


# What a run has that a kill could lose.
PROGRAMS = {
  'method state': ('--config=configs/digits.py:elr,symmetric,0.4,tiny',),
  'two networks': (
    '--config=configs/digits.py:co_teaching,symmetric,0.4,tiny',
  ),
  'prepare': ('--config=configs/digits.py:t_revision,symmetric,0.4,tiny',),
  'stream': (
    '--config=configs/digits.py:sl,symmetric,0.4,tiny',
    '--config.data.feed=stream',
  ),
}
SHORT = (
  '--config.train.epochs=3',
  '--config.train.steps_per_dispatch=3',
  '--config.checkpoint.every=1',
  '--config.data.augment.flip=true',
)


def arguments(seed: int) -> tuple[str, ...]:
  """The program of a seed: one that comes to the moment that is drawn."""
  name = draw(seed)[0]
  kinds = list(PROGRAMS)
  kind = (
    'prepare'
    if name.startswith('prepare')
    else kinds[(seed + seed // 8 + 1) % 4]
  )
  return (*PROGRAMS[kind], *SHORT)


def draw(seed: int) -> tuple[str, int, str, float]:
  """A moment of its own: its name, at which call, when there, and how far on.

  Each eight in a row are inside, before, after and again inside each of
  MOMENTS. How far on is in seconds, writes or a share.
  """
  rng = random.Random(seed)
  name = list(MOMENTS)[seed % len(MOMENTS)]
  when = ('inside', 'before', 'after', 'inside')[seed // len(MOMENTS)]
  is_once = name in ('labels', 'prepare', 'prepared', 'finish')
  if is_once or (when == 'inside' and name in TIMED):  # Then it compiles.
    count = 1
  else:
    count = rng.randint(1, 3)
  if when != 'inside':
    return name, count, when, 0.0
  if name in TIMED:
    return name, count, 'later', rng.uniform(0.05, 0.3)
  if name == 'metrics':
    return name, count, 'appending', rng.uniform(0.1, 0.9)
  return name, count, 'writing', rng.randint(1, WRITES[name])


def start(
  arguments, environment, moment=None, number=signal.SIGKILL, timeout=600
):
  """Runs launch.py, struck at a moment: the ended process."""
  arguments = ['launch.py', *arguments]
  command = [sys.executable, str(conftest.REPOSITORY / 'launch.py')]
  if moment is None:
    command += arguments[1:]
  else:
    name, count, when, amount = moment
    command = [sys.executable, '-c', _PROGRAM, *MOMENTS[name], str(count), when]
    command += [str(amount), str(int(number)), *arguments[1:]]
  return subprocess.run(
    command,
    env=environment,
    cwd=conftest.REPOSITORY,
    capture_output=True,
    text=True,
    timeout=timeout,
    check=False,
  )


def report(root: pathlib.Path) -> str:
  """The page on the runs below a folder, pictures within, but for times."""
  with contextlib.redirect_stdout(None):
    page = runs_page.report(root).html.read_text()
  return REPORT_TIMES.sub('TIME', page).replace(str(root), 'ROOT')


def outcome(folder: pathlib.Path) -> dict:
  """All that a run ends with but times: compared to the bit.

  Args:
    folder: the run, alone in its own folder, where a report is written.
  """
  records = files.read_metrics(folder)
  with open(folder / 'results.csv', newline='') as file:
    table = list(csv.reader(file))
  result = files.read_result(folder)
  for name in COLUMNS:
    result.pop(name)
  keep = [i for i, name in enumerate(table[0]) if name not in COLUMNS]
  return {
    'state': jax.device_get(restore.load(folder).state),
    # Not one line twice, nor torn.
    'metrics': [
      {k: v for k, v in x.items() if k not in TIMES} for x in records
    ],
    'results': [[line[i] for i in keep] for line in table],
    'result': result,
    'files': sorted(
      x.name
      for x in folder.iterdir()
      if not x.name.startswith(('events', '.', 'crash'))
    ),
    'report': report(folder.parent),
  }


def check_same(found: dict, expected: dict) -> None:
  """Asserts that two outcomes are equal."""
  assert found['metrics'] == expected['metrics']
  assert found['results'] == expected['results']
  assert found['result'] == expected['result']
  assert found['files'] == expected['files']
  assert found['report'] == expected['report']
  jax.tree.map(np.testing.assert_array_equal, found['state'], expected['state'])


def environment(data_dir: str, home: pathlib.Path) -> dict[str, str]:
  """Of a process that finds this checkout."""
  made = conftest.environment(data_dir, home)
  return made | {'PYTHONPATH': str(conftest.REPOSITORY), 'PYTHONHASHSEED': '0'}
