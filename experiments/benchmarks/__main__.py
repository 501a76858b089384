"""All benchmarks, or some, one after the other.

  python -m experiments.benchmarks [NAME ...] [--out=FOLDER]

Without names: those that a machine with one accelerator is judged by, in under
ten minutes there: run, step, versus_torch (if PyTorch is installed), trials,
loss, input. Each runs in a process of its own; a table stands in
FOLDER/NAME.md, the figures in FOLDER/NAME.json. One that fails does not keep
the others from running, but the command's exit code is then 1.
"""

import argparse
import importlib.util
import pathlib
import subprocess
import sys
import time

from experiments.benchmarks import harness

NAMES = (
  'run',
  'step',
  'versus_torch',
  'trials',
  'loss',
  'input',
  'scaling',
  'sweep',
)
# Those that say nothing of one accelerator.
_NO_ACCELERATOR = ('scaling', 'sweep')
# What a GPU check needs within ten minutes.
_QUICK = {
  'step': ['--networks=cifar_cnn,resnet44', '--rounds=3'],
  'trials': ['--runs=1,8', '--rounds=3'],
  'versus_torch': ['--networks=cifar_cnn', '--rounds=5'],
}


def main(argv: list[str] | None = None) -> int:
  parser = argparse.ArgumentParser(
    prog='python -m experiments.benchmarks',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  parser.error = lambda message: harness.refuse(f'{message} (see --help)')
  parser.add_argument('names', nargs='*', metavar='NAME')
  parser.add_argument(
    '--out', metavar='FOLDER', default='benchmarks', help='for the tables'
  )
  args = parser.parse_args(argv)
  for name in args.names:
    if name not in NAMES:
      harness.refuse(
        f'there is no benchmark {name!r}: use some of {", ".join(NAMES)}'
      )
  out = pathlib.Path(args.out)
  try:
    out.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    harness.refuse(f'--out={out} cannot be made: {error.strerror}')
  names = args.names or [x for x in NAMES if x not in _NO_ACCELERATOR]
  if not args.names and importlib.util.find_spec('torch') is None:
    harness.say('versus_torch is left out: PyTorch is not installed')
    names.remove('versus_torch')
  failed = []
  for name in names:
    flags = [] if args.names else _QUICK.get(name, [])
    start = time.monotonic()
    done = subprocess.run(
      [
        sys.executable,
        '-m',
        f'experiments.benchmarks.{name}',
        *flags,
        f'--json={out / f"{name}.json"}',
      ],
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
    harness.say(f'error: failed: {", ".join(failed)}')
  return 1 if failed else 0


if __name__ == '__main__':
  sys.exit(main())
