"""Trains classifiers on wrongly labelled data with robust losses.

  python launch.py [COMMAND] --flags

  python launch.py
      Cross entropy and Symmetric Learning on digits with wrong labels, side by
      side: a table and a picture, in about a minute.
  python launch.py --config=configs/mnist.py:sl,symmetric,0.4
      One run; the argument is LOSS,NOISE,RATE and any of recipe=, seed=, tiny.

The same command resumes a run that was stopped.
"""

import sys

from sce_jax import signals

if __name__ == '__main__':
  signals.install()
  from experiments.cli import runtime  # Which takes a moment to import.

  code = runtime.run(sys.argv)
  signals.ignore()
  sys.exit(code)
