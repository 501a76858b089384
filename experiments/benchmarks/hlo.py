"""Reads the text of an optimised HLO module: loops, collectives, cycles."""

from collections.abc import Iterator
import math
import re
from typing import NamedTuple

COLLECTIVES = (
  'all-reduce',
  'all-gather',
  'reduce-scatter',
  'collective-permute',
  'all-to-all',
)
_HEAD = re.compile(r'^(ENTRY )?%?([\w.\-]+) \(')
# A result's shape, or several in parentheses, then the operation.
_INSTRUCTION = re.compile(
  r'\s*(?:ROOT )?%?[\w.\-]+ = '
  r'((?:\((?:[^()]|\([^()]*\))*\)|\S+)) ([\w\-]+)\('
)
_ARRAY = re.compile(r'\b[a-z]+(\d+)\[([\d,]*)\]')
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
_HOST = re.compile(
  r'\b(?:infeed|outfeed|send|recv)(?:-start|-done)?\(|S\(5\)|_host_compute'
  r'|custom_call_target="(?:MoveToHost|MoveToDevice)'
)


class Instruction(NamedTuple):
  """A line of a computation.

  Attributes:
    kind: its operation, such as 'fusion'.
    shape: its result's.
    line: all of it.
  """

  kind: str
  shape: str
  line: str

  @property
  def cycles(self) -> int:
    """What the compiler estimates; 0 where it does not."""
    found = _CYCLES.search(self.line)
    return int(found[1]) if found else 0

  def called(self, role: str) -> str | None:
    """The computation that it calls as `body`, `condition`, `calls`..."""
    found = re.search(rf'\b{role}=%?([\w.\-]+)', self.line)
    return found[1] if found else None


class Loop(NamedTuple):
  """A while loop.

  Attributes:
    body: the name of its body.
    turns: how often it runs it; 1 if that is not known.
    within: turns of all loops around it, multiplied.
  """

  body: str
  turns: int
  within: int


class Module:
  """A compiled program.

  Args:
    text: of `jax.stages.Compiled.as_text()`.
  """

  def __init__(self, text: str):
    self._text = text
    self._computations: dict[str, list[Instruction]] = {}
    self._entry = ''
    current: list[Instruction] | None = None
    for line in text.splitlines():
      if not line.startswith((' ', '}')) and line.rstrip().endswith('{'):
        head = _HEAD.match(line)
        if head:
          current = self._computations.setdefault(head[2], [])
          self._entry = head[2] if head[1] else self._entry
      elif line.startswith('}'):
        current = None
      elif current is not None:
        found = _INSTRUCTION.match(line)
        if found:
          current.append(Instruction(found[2], found[1], line))

  def loops(self, computation: str = '', within: int = 1) -> Iterator[Loop]:
    """The loops of a computation, and those inside them; '' is the entry."""
    for instruction in self._computations.get(computation or self._entry, []):
      if instruction.kind == 'while':
        loop = Loop(
          instruction.called('body') or '', self._turns(instruction), within
        )
        yield loop
        yield from self.loops(loop.body, within * loop.turns)
      else:
        called = instruction.called('to_apply')
        if instruction.kind == 'call' and called:
          yield from self.loops(called, within)

  def steps(self, number: int) -> list[Loop]:
    """The loops over a dispatch's steps: one, or one a run if unrolled.

    Args:
      number: of steps.
    """
    found = [loop for loop in self.loops() if loop.turns == number]
    inner = {x.body for loop in found for x in self.loops(loop.body)}
    return [loop for loop in found if loop.body not in inner]

  def instructions(self, computation: str = '') -> Iterator[Instruction]:
    """Those of a computation and of what it calls; '' is the entry."""
    for instruction in self._computations.get(computation or self._entry, []):
      yield instruction
      roles = ['body', 'calls']
      if instruction.kind == 'call':
        roles.append('to_apply')
      for role in roles:
        called = instruction.called(role)
        if called:
          yield from self.instructions(called)

  def cycles(self, computation: str = '') -> int:
    """Estimated cycles of a computation, loops times their turns."""
    total = self.own_cycles(computation)
    for instruction in self._computations.get(computation or self._entry, []):
      if instruction.kind == 'while':
        body = self.cycles(instruction.called('body') or '')
        total += self._turns(instruction) * body
    return total

  def own_cycles(self, computation: str) -> int:
    """As `cycles`, without those of loops inside."""
    own = self._computations.get(computation or self._entry, [])
    return sum(instruction.cycles for instruction in own)

  def collectives(self, computation: str) -> dict[str, int]:
    """How many there are in a computation, by kind."""
    kinds = [
      instruction.kind.removesuffix('-start')
      for instruction in self.instructions(computation)
    ]
    return {k: kinds.count(k) for k in COLLECTIVES if k in kinds}

  def reduced_bytes(self, computation: str) -> int:
    """Bytes that a computation's all-reduces sum over the devices."""
    total = 0
    for instruction in self.instructions(computation):
      if instruction.kind in ('all-reduce', 'all-reduce-start'):
        for bits, dims in _ARRAY.findall(instruction.shape):
          sizes = [int(x) for x in dims.split(',') if x]
          total += math.prod(sizes) * int(bits) // 8
    return total

  def host_transfers(self) -> int:
    """How many operations have to do with the host."""
    return len(_HOST.findall(self._text))

  def custom_calls(self, target: str) -> int:
    """How many custom calls there are of a target."""
    return self._text.count(f'custom_call_target="{target}"')

  def copies(self, dtype: str, size: int) -> int:
    """How often the entry writes an array of a type and number of elements."""
    total = 0
    for instruction in self._computations[self._entry]:
      found = re.match(rf'{dtype}\[([\d,]+)\]', instruction.shape)
      is_new = instruction.kind in ('copy', 'transpose', 'fusion', 'copy-done')
      if found and is_new:
        total += math.prod(map(int, found[1].split(','))) >= size
    return total

  def _turns(self, instruction: Instruction) -> int:
    known = re.search(r'"known_trip_count":\{"n":"(\d+)"', instruction.line)
    if known:
      return int(known[1])
    # It counts up to a constant.
    condition = self._computations.get(instruction.called('condition') or '')
    constants = [
      int(x)
      for line in condition or []
      for x in re.findall(r'constant\((\d+)\)', line.line)
    ]
    return max(constants, default=1)
