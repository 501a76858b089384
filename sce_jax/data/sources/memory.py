"""Whether data fit into this machine."""

import os

from sce_jax.errors import UserError


def check(what: str, size: int) -> None:
  """Checks that something fits into half of the memory: training needs some.

  Args:
    what: what it is, for the message.
    size: its bytes.

  Raises:
    UserError: it does not.
  """
  memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
  if size > memory / 2:
    raise UserError(
      f"{what} take {size:,} bytes, and of this machine's {memory:,} bytes of"
      ' memory at most half can be used: give a smaller'
      ' --config.data.image_size, or a --config.data.limit'
    )
