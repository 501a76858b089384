"""What 1 to 256 chips of a TPU would gain, from the compiled collectives."""

from collections.abc import Sequence
import itertools

from experiments.benchmarks import harness, targets
from experiments.benchmarks.ahead import compiled, versions
from experiments.benchmarks.workload import Training, Workload
from sce_jax.errors import UserError

# The side of the square of chips of a v5e, by their number.
SIDES = {1: 1, 4: 2, 16: 4, 64: 8, 256: 16}
STEPS = 8
# A v5e chip sends 1,600 Gbit/s over its four links together, by its maker's
# sheet. What a message to a neighbour costs at least is an assumption.
BANDWIDTH, HOP = 200e9, 1e-6


def chips(
  networks: Sequence[str] = ('mnist_cnn', 'cifar_cnn'),
  chips: Sequence[int] = tuple(SIDES),
  batch: int = 128,
  total: int = 1024,
  dtype: str = 'bfloat16',
) -> harness.Report:
  """Weak and strong scaling on paper: compiled for v5e chips, nothing is run.

  weak    --batch examples a chip, however many there are.
  strong  --total examples, shared by all chips.

  A row is a dispatch with the recipe's augmentation, compiled for so many
  chips. The time of a step is the larger of the compiler's two estimates and
  that of the all-reduces, as nothing overlaps them here. An all-reduce of B
  bytes over n = side x side chips takes 2 (n - 1) / n B / 200 GB/s, which is
  what two rings along each side of the square reach with all links, and 2 times
  2 (side - 1) messages from neighbour to neighbour of 1 us, an assumption.
  """
  for count in chips:
    if count not in SIDES:
      raise UserError(
        f'--chips: {count} is not known: use some of'
        f' {", ".join(map(str, SIDES))}'
      )
    if total % count:
      raise UserError(
        f'--total: {count} chips cannot share {total} examples equally'
      )
  rows = []
  for network, kind, count in itertools.product(
    networks, ('weak', 'strong'), chips
  ):
    side = SIDES[count]
    target = targets.describe(f'v5e:{side}x{side}')
    size = batch * count if kind == 'weak' else total
    workload = Workload(network, size, STEPS, dtype, augment=True)
    harness.log(f'compiles {workload} for {target.name}')
    training = Training(workload, devices=target.devices)
    block = training.plan.dispatch(0).block
    figures = compiled(training.lower, target, block, size * STEPS)
    # The slower estimate.
    step = max(figures['ms by cycles'], figures['ms by roofline'])
    summed = reduce_ms(
      side, figures['all-reduces'], 1e6 * figures['MB all-reduced']
    )
    rows.append(
      {
        'network': network,
        'scaling': kind,
        'chips': count,
        'examples a chip': size // count,
        'ms by cycles': figures['ms by cycles'],
        'ms by roofline': figures['ms by roofline'],
        'all-reduces': figures['all-reduces'],
        'MB all-reduced': figures['MB all-reduced'],
        'ms all-reduces': summed,
        'images/s': 1e3 * size / (step + summed),
      }
    )
    first = next(
      x for x in rows if (x['network'], x['scaling']) == (network, kind)
    )
    gained = rows[-1]['images/s'] / first['images/s']
    rows[-1]['efficiency'] = gained * first['chips'] / count
    harness.log(
      ', '.join(f'{k}: {harness.text(v)}' for k, v in rows[-1].items())
    )
  return harness.Report(
    rows, {'compiled for': 'v5e (nothing was run)', **versions()}
  )


def reduce_ms(side: int, number: int, num_bytes: float) -> float:
  """Milliseconds of a step's all-reduces on side x side chips of a v5e.

  Args:
    side: chips along a side of the square.
    number: of all-reduces.
    num_bytes: that they sum, together.
  """
  count = side * side
  moved = 2 * (count - 1) / count * num_bytes
  return 1e3 * (moved / BANDWIDTH + number * 4 * (side - 1) * HOP)
