import inspect
import re

import pytest


def refuses(message, function, *args, **kwargs):
  """Asserts a ValueError of one line that holds `message`.

  The function is called bare: under the tests' import hook its annotations
  would refuse bad shapes first, in words that users never see.
  """
  with pytest.raises(ValueError, match=re.escape(message)) as error:
    inspect.unwrap(function)(*args, **kwargs)
  assert type(error.value) is ValueError
  assert '\n' not in str(error.value)
