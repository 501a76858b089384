"""How bad input is refused: one line, a code of its own, no table."""

import pytest

from experiments.benchmarks import harness


def refusal(capsys, main, *arguments):
  """Runs a benchmark's main, which must refuse; the line that says why."""
  with pytest.raises(SystemExit) as exit_:
    main(list(arguments))
  assert exit_.value.code == harness.BAD_INPUT
  out, err = capsys.readouterr()
  assert not out
  # What it says while it works is no error.
  (line,) = [x for x in err.splitlines() if x != 'prepares digits']
  assert line.startswith('error: ')
  return line
