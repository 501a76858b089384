"""Methods: how a network learns from noisy labels.

A method is a loss lifted by `from_loss`, or a module with a state, a step at
the end of every epoch, a preparation, or several networks. To add one,
write its `Method` and give it a row in `table.SPECS`.
"""

from sce_jax.methods.averages import averaged
from sce_jax.methods.base import (
  Aux,
  Context,
  Method,
  PrepareContext,
  from_loss,
)
from sce_jax.methods.loss_rows import FORMULA_NAMES
from sce_jax.methods.spec import Spec, loss_spec
from sce_jax.methods.table import (
  SPECS,
  build,
  check,
  complete,
  find,
  of_kind,
)

__all__ = [
  'FORMULA_NAMES',
  'SPECS',
  'Aux',
  'Context',
  'Method',
  'PrepareContext',
  'Spec',
  'averaged',
  'build',
  'check',
  'complete',
  'find',
  'from_loss',
  'loss_spec',
  'of_kind',
]
