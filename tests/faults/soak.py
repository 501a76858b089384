"""Random faults for hours: the runs end as if nothing had happened.

python -m tests.faults.soak --minutes=120
python -m tests.faults.soak --minutes=5 --data=digits,stream

Digits, MNIST and a stream are trained again and again, each run struck by
SIGKILL, signals, full disks and flipped bits until it has ended; then it is
compared, to the bit, with one that was left alone. Writes to a folder of its
own, which is kept if a run differs.
"""

import collections
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from absl import app, flags, logging

from sce_jax.data.sources import prepare
from tests import conftest
from tests.faults import inject, kills

_MINUTES = flags.DEFINE_float('minutes', 120, 'For how long.')
_SEED = flags.DEFINE_integer('seed', 0, 'Which faults.')
_STRIKES = flags.DEFINE_integer(
  'strikes', 4, 'Struck so often a run is left to end.'
)
_DATA = flags.DEFINE_list('data', ['digits', 'mnist', 'stream'], 'Of what.')
_DATA_DIR = flags.DEFINE_string(
  'data_dir',
  None,
  'A tfds folder with MNIST. None: digits are prepared, MNIST is left out.',
)

_COMMON = ('--config.checkpoint.every=1', '--config.train.steps_per_dispatch=5')
PROGRAMS = {
  'digits': (
    '--config=configs/digits.py:elr,symmetric,0.4',
    *_COMMON,
    '--config.train.epochs=40',
  ),
  'mnist': (
    '--config=configs/mnist.py:co_teaching,symmetric,0.4',
    *_COMMON,
    '--config.data.limit=2000',
    '--config.train.epochs=8',
  ),
  'stream': (
    '--config=configs/digits.py:sl,symmetric,0.4',
    *_COMMON,
    '--config.data.feed=stream',
    '--config.train.epochs=40',
  ),
}
# Seconds after which a run hangs, also on a machine that does much else.
_HANGS = 3600
FAULTS = ('SIGKILL', 'SIGTERM', 'SIGINT', 'full disk', 'flipped bit')


def strike(command, environment, fault, rng, seconds):
  """Starts a run and lets a fault happen: whether it struck the run."""
  full = fault == 'full disk'
  if full:
    # No file may grow beyond so many blocks of 512 bytes, as at a quota's end.
    blocks = rng.choice((2, 40, 200))
    command = ['sh', '-c', f'ulimit -f {blocks}; exec "$@"', 'sh', *command]
  process = subprocess.Popen(
    command,
    env=environment,
    cwd=conftest.REPOSITORY,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
  )
  try:
    code = process.wait(_HANGS if full else rng.uniform(1, seconds))
    return full and code != 0  # A signal would have come too late.
  except subprocess.TimeoutExpired:
    process.send_signal(getattr(signal, fault, signal.SIGKILL))
    return process.wait(_HANGS) != 0  # It may have been at its end.


def flip(folder: pathlib.Path, rng: random.Random) -> bool:
  """Flips a bit of a checkpoint that is not the only one.

  Not of a run that has ended: it does not read it again. Whoever does is told.
  """
  if (folder / 'result.json').exists():
    return False
  steps = sorted(folder.glob('checkpoints/[0-9]*'), key=lambda x: x.name)
  if len(steps) < 2 or not all(x.name.isdigit() for x in steps):
    return False
  newest = max(steps, key=lambda x: int(x.name))
  names = [x for x in inject.files(newest) if (newest / x).stat().st_size]
  if names:
    inject.damage(newest / rng.choice(names), 'flipped bit')
  return bool(names)


def main(arguments: list[str]) -> None:
  """Strikes until the time is over."""
  del arguments
  logging.set_verbosity(logging.ERROR)
  # A shell's background ignores it, and so would all that is started.
  signal.signal(signal.SIGINT, signal.default_int_handler)
  root = pathlib.Path(tempfile.mkdtemp(prefix='soak'))
  data_dir = _DATA_DIR.value or str(root / 'tfds')
  data = list(_DATA.value)
  if _DATA_DIR.value is None:
    prepare.download_and_prepare('digits', data_dir)
  if 'mnist' in data and not pathlib.Path(data_dir, 'mnist').exists():
    data.remove('mnist')
    print('soak: without MNIST; name a tfds folder that has it: --data_dir')
  if not data:
    sys.exit('soak: no data are left to train on')
  environment = kills.environment(data_dir, root)
  environment['XDG_CACHE_HOME'] = str(root / 'cache')
  rng = random.Random(_SEED.value)
  end = time.monotonic() + 60 * _MINUTES.value
  expected, lengths = {}, {}
  injected, runs, different = collections.Counter(), 0, []
  while time.monotonic() < end:
    name = data[runs % len(data)]
    if name not in expected:
      # The second compiles nothing, as those that will be struck.
      for folder in (root / name / 'run', root / f'{name} again' / 'run'):
        begun = time.monotonic()
        done = kills.start(
          [*PROGRAMS[name], f'--workdir={folder}'], environment, timeout=_HANGS
        )
        lengths[name] = time.monotonic() - begun
        if done.returncode:
          sys.exit(f'{name} undisturbed: {done.stderr}')
        found = kills.outcome(folder)
        kills.check_same(found, expected.setdefault(name, found))
    folder = root / f'{runs}' / 'run'
    command = [*PROGRAMS[name], f'--workdir={folder}']
    for _ in range(_STRIKES.value):
      fault = rng.choice(FAULTS)
      if fault == 'flipped bit':
        injected[fault] += flip(folder, rng)
        fault = 'SIGKILL'
      launch = conftest.command(*command)
      injected[fault] += strike(launch, environment, fault, rng, lengths[name])
    done = kills.start(command, environment, timeout=_HANGS)
    try:
      assert done.returncode == 0, done.stderr
      found = kills.outcome(folder)
      # What was damaged is kept beside the checkpoints.
      kills.check_same(found, expected[name])
      shutil.rmtree(folder.parent)
    except AssertionError as error:
      different.append(f'{folder}: {error}')
    runs += 1
  counts = ', '.join(f'{n} {fault}' for fault, n in sorted(injected.items()))
  print(f'soak: {runs} runs, {counts}; {len(different)} ended otherwise')
  print('\n'.join(different))
  if not different:
    shutil.rmtree(root)
  sys.exit(bool(different))


if __name__ == '__main__':
  app.run(main)
