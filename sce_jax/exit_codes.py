"""The exit codes of launch.py and of each process of a sweep.

Imports nothing, so that a process that only hands out work can have them.
"""

import enum


class ExitCode(enum.IntEnum):
  """What became of a command."""

  DONE = 0
  # Bad input: the same command would be refused again.
  BAD_INPUT = 2
  # The loss of a run became NaN or inf; training again gives the same.
  DIVERGED = 3
  # Some runs of a sweep failed.
  SOME_FAILED = 4
  # An unexpected error (EX_SOFTWARE): a bug, or a machine that is broken.
  CRASHED = 70
  # A node of a cluster could not start the process (EX_OSERR).
  CANNOT_START = 71
  # Stopped by a signal and saved (EX_TEMPFAIL): the same command resumes.
  PREEMPTED = 75
  # Stopped by Ctrl-C (128 + SIGINT); the same command resumes.
  INTERRUPTED = 130
  # The reader of the output ended (128 + SIGPIPE), such as `head`.
  NO_READER = 141
  # Ended by SIGTERM before it could save (128 + SIGTERM), as shells show it.
  TERMINATED = 143
