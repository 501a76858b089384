"""Runs one program on all devices: the only file that knows pmap.

Both runners have the same interface. A function to run takes and returns
arrays that are whole on every device (parameters, the data set, sums); only
inside it, between `shard` and `psum`, does a device hold its share of a batch:

  def f(state, images):
    mine = runner.shard(images)      # this device's share of the batch
    ...
    return runner.psum(sums)         # the sum over the whole batch

  f = runner.compile(f)
  state = f(runner.place(state), runner.place(images))

  pmap  jax.pmap: one program a device, collectives written out.
  jit   jax.jit with NamedSharding: one program, XLA adds the collectives. The
        sum over a sharded axis is already the sum over all devices, so `psum`
        does nothing and there is no mapped axis.
"""

import abc
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Shaped
import numpy as np

AXIS = 'batch'
PyTree = Any


class Runner(abc.ABC):
  """How a program runs on a number of devices.

  Attributes:
    num_devices: among how many devices a batch is shared.
    axis_name: the mapped axis, for batch norm's statistics; None where sums
      are over the whole batch as they stand.
  """

  num_devices: int
  axis_name: str | None

  @abc.abstractmethod
  def place(self, tree: PyTree) -> PyTree:
    """Copies a tree of arrays to every device."""

  @abc.abstractmethod
  def shard(self, x: Shaped[Array, 'B ...']) -> Shaped[Array, 'b ...']:
    """This device's share of a batch; B is a multiple of num_devices."""

  @abc.abstractmethod
  def psum(self, tree: PyTree) -> PyTree:
    """Sums over devices what each has summed over its share."""

  @abc.abstractmethod
  def compile(self, fn: Callable, *, donate: bool = False) -> Callable:
    """Compiles fn; `donate` gives its first argument's memory to the result."""


class PmapRunner(Runner):
  """Runs with jax.pmap."""

  axis_name = AXIS

  def __init__(self, devices: Sequence[jax.Device]):
    self._devices = list(devices)
    self.num_devices = len(self._devices)
    self._mesh = Mesh(np.array(self._devices), (AXIS,))
    # pmap asks for one argument with a mapped axis; all ours are whole.
    self._mapped = jax.device_put(
      np.arange(self.num_devices, dtype=np.int32),
      NamedSharding(self._mesh, PartitionSpec(AXIS)),
    )

  def place(self, tree: PyTree) -> PyTree:
    return jax.device_put(tree, NamedSharding(self._mesh, PartitionSpec()))

  def shard(self, x: Shaped[Array, 'B ...']) -> Shaped[Array, 'b ...']:
    if self.num_devices == 1:
      return x
    size = x.shape[0] // self.num_devices
    return lax.dynamic_slice_in_dim(x, lax.axis_index(AXIS) * size, size)

  def psum(self, tree: PyTree) -> PyTree:
    return lax.psum(tree, AXIS)

  def compile(self, fn: Callable, *, donate: bool = False) -> Callable:
    mapped = jax.pmap(
      lambda _, first, rest: fn(first, *rest),
      axis_name=AXIS,
      in_axes=(0, None, None),
      out_axes=None,
      devices=self._devices,
      donate_argnums=(1,) if donate else (),
    )
    return lambda first, *rest: mapped(self._mapped, first, rest)


class JitRunner(Runner):
  """Runs with jax.jit, the batch sharded by NamedSharding."""

  axis_name = None

  def __init__(self, devices: Sequence[jax.Device]):
    self.num_devices = len(devices)
    mesh = Mesh(np.array(list(devices)), (AXIS,))
    self._whole = NamedSharding(mesh, PartitionSpec())
    self._shared = NamedSharding(mesh, PartitionSpec(AXIS))

  def place(self, tree: PyTree) -> PyTree:
    return jax.device_put(tree, self._whole)

  def shard(self, x: Shaped[Array, 'B ...']) -> Shaped[Array, 'b ...']:
    return lax.with_sharding_constraint(x, self._shared)

  def psum(self, tree: PyTree) -> PyTree:
    return tree

  def compile(self, fn: Callable, *, donate: bool = False) -> Callable:
    return jax.jit(
      fn, out_shardings=self._whole, donate_argnums=(0,) if donate else ()
    )


RUNNERS: dict[str, Callable[[Sequence[jax.Device]], Runner]] = {
  'pmap': PmapRunner,
  'jit': JitRunner,
}


def make_runner(
  name: str, devices: Sequence[jax.Device] | None = None
) -> Runner:
  """A runner by its config name, on all devices unless some are given."""
  return RUNNERS[name](jax.devices() if devices is None else devices)
