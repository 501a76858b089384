"""What is the user's to mend, as against a bug."""


class UserError(ValueError):
  """Bad input: one line that says what is wrong and what to do.

  Raised before anything is compiled or written. launch.py prints it without a
  traceback.
  """
