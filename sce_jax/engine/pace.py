"""How many steps a dispatch has, so that it ends within seconds.

A process that is asked to stop saves at the end of a dispatch, with one more
under way by then, and clouds give it 30 s. The number of steps is an argument
of the program: changing it compiles nothing, and no figure depends on it.
"""

import dataclasses

# Of a dispatch; up to three of them pass between a signal and the save.
SECONDS = 1.5
# By how much a dispatch may have more steps than the last one that was timed.
_GROWTH = 8


@dataclasses.dataclass
class Pace:
  """The pace of a run.

  Attributes:
    most_steps: how many steps the next dispatch has at most.
  """

  most_steps: int = 1

  def seen(self, num_steps: int, seconds: float) -> None:
    """Takes a dispatch into account that was no longer than its steps took.

    Args:
      num_steps: how many it had.
      seconds: how long it took.
    """
    fitting = _GROWTH * num_steps
    if seconds > 0:
      fitting = min(fitting, int(num_steps * SECONDS / seconds))
    self.most_steps = max(fitting, 1)
