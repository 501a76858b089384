"""Errors that are no bugs: bad input, and runs that diverge."""


class UserError(ValueError):
  """Bad input: one line that says what is wrong and what to do.

  Raised before anything is compiled or written. launch.py prints it without a
  traceback.
  """


class NonFiniteLoss(Exception):
  """The loss of a run became NaN or inf: it has diverged."""
