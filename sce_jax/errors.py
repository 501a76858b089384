"""Errors that are no bugs: bad input, and runs that diverge."""

from collections.abc import Iterable, Sequence
import difflib
import errno
import os

# Of a machine that fails to read what may be whole.
_MACHINE = (
  errno.EACCES,
  errno.EPERM,
  errno.EMFILE,
  errno.ENFILE,
  errno.EIO,
  errno.ENOMEM,
  errno.ENOSPC,
  errno.EDQUOT,
  errno.ESTALE,
  errno.ETIMEDOUT,
  errno.EBUSY,
  errno.EAGAIN,
)


def is_of_machine(error: BaseException | None) -> bool:
  """Whether a file could not be read for a reason that is not in the file.

  Args:
    error: what was raised; what it was raised from counts, too.
  """
  while error is not None:
    if isinstance(error, MemoryError):
      return True
    if isinstance(error, OSError) and error.errno is not None:
      if error.errno in _MACHINE:
        return True
    # Of what orbax's parts raise only the text is known.
    elif any(os.strerror(number) in str(error) for number in _MACHINE):
      return True
    error = error.__cause__ or error.__context__
  return False


def one_line(text: str) -> str:
  """A text whose line ends and other invisible characters are escaped.

  Names of files may have any, also those that rule a terminal.
  """
  return ''.join(
    x if x.isprintable() else x.encode('unicode_escape').decode() for x in text
  )


def reason_of(error: BaseException) -> str:
  """What an error of any library says, for the middle of a message."""
  said = ' '.join(str(error).split())[:200] or type(error).__name__
  # NumPy's advice is to load such a file all the same, which may run its code.
  if said.startswith('Object arrays'):
    return 'it holds Python objects, which could run code: save plain arrays'
  if 'allow_pickle' in said:
    return 'it holds something other than plain arrays: save those'
  return said


def meant(text: str, names: Iterable[str]) -> str:
  """The likeliest names, for the middle of a message; '' if none is near."""
  names = list(names)
  typed = text.lower().replace('-', '_')
  # The first part of some names, such as asymmetric, is near to others.
  longer = [x for x in names if x.startswith(f'{typed}_')][:3]
  found = longer or difflib.get_close_matches(typed, names, 1)
  return f' (is {" or ".join(found)} meant?)' if found else ''


# Runs that have diverged, that a line tells of.
_FAILURES = 3
# Characters of a line, beyond which its middle is left out: a file may have
# anything in place of a name.
_LONGEST = 2_000


class UserError(ValueError):
  """Bad input: one line that says what is wrong and what to do.

  Raised before anything is compiled or written. launch.py prints it without a
  traceback.

  Args:
    message: the line. What would break it, in the name of a file, is escaped.
  """

  def __init__(self, message: str):
    line = one_line(message)
    if len(line) > _LONGEST:
      half = _LONGEST // 2 - 5
      line = f'{line[:half]} [...] {line[-half:]}'
    super().__init__(line)


class NonFiniteLoss(Exception):
  """The loss of a run became NaN or inf: it has diverged."""

  @classmethod
  def of_runs(cls, failures: Sequence[str]) -> 'NonFiniteLoss':
    """The error of several runs: the first of them, and how many more.

    Args:
      failures: what each of them failed of; at least one.
    """
    more = len(failures) - _FAILURES
    text = '; '.join(failures[:_FAILURES])
    return cls(f'{text}; and {more} more' if more > 0 else text)
