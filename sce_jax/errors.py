"""Errors the user can fix (bad input), as opposed to bugs."""


class UserError(ValueError):
  """Bad input: one line that says what is wrong and what to do.

  Raised before anything is compiled or written. launch.py prints it without a
  traceback.
  """
