"""Runs one program on all devices: the only file that knows pmap.

All runners have the same interface. A function to run takes and returns
arrays that are whole on every device (parameters, the data set, sums); only
inside it, between `shard` and `psum` or `gather`, does a device hold its share
of a batch:

  def f(state, inputs, images):
    share = runner.shard(images)     # this device's share of the batch
    ...
    return runner.psum(sums)         # the sum over the whole batch

  f = runner.compile(f)

The devices may be those of several processes, each of which makes the same
calls with the same whole values and hands them to its own devices: what hosts
share is the work on a batch, not the (small) data set. Only of batches that are
streamed does each process give its own devices' share, by `place_batches`.

  pmap  jax.pmap: one program a device, collectives written out.
  jit   jax.jit with NamedSharding: one program, XLA adds the collectives. The
        sum over a sharded axis is already the sum over all devices, so `psum`
        and `gather` do nothing and there is no mapped axis.

With several processes, pmap's arrays lie on each process's own devices, jit's
on all devices.

Devices may be compile-only: those of a described topology, for which the
compilers are at hand but no hardware. Then `place` gives abstract arrays, and
`compile(f).lower(...).compile()` is all that can be done.

A third runner spreads whole runs over the devices instead of a batch: each has
its share of the leading axis of the state and inputs, and nothing is exchanged.
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
    platform: the devices', such as 'cpu', 'gpu' or 'tpu'.
    is_compile_only: whether there are no real devices.
  """

  num_devices: int
  axis_name: str | None

  def __init__(self, devices: Sequence[jax.Device]):
    self._devices = list(devices)
    self.platform = self._devices[0].platform
    self.is_compile_only = _is_compile_only(self._devices[0])

  @abc.abstractmethod
  def place(self, tree: PyTree) -> PyTree:
    """Copies a tree of arrays to every device."""

  def place_per_run(self, tree: PyTree) -> PyTree:
    """Places per-run arrays with the sharding `compile` expects."""
    return self.place(tree)

  def replicate(self, tree: PyTree) -> PyTree:
    """Makes per-run arrays whole on every process, to be read."""
    return tree

  @property
  def local_devices(self) -> range:
    """Which of the num_devices belong to this process."""
    return range(self.num_devices)

  def place_batches(self, tree: PyTree) -> PyTree:
    """Hands each device its share of stacked batches.

    Args:
      tree: arrays [S, b, ...]: of each of S batches the examples of this
        process's devices, in order.

    Returns:
      What `compile`'s functions are given as `batches`; inside them each
      device holds its share, as `shard` would give it.

    Raises:
      NotImplementedError: the devices do not share batches.
    """
    raise NotImplementedError

  @abc.abstractmethod
  def shard(self, x: Shaped[Array, 'B ...']) -> Shaped[Array, 'b ...']:
    """This device's share of a batch; B is a multiple of num_devices."""

  @abc.abstractmethod
  def psum(self, tree: PyTree) -> PyTree:
    """Sums over devices what each has summed over its share."""

  @abc.abstractmethod
  def gather(self, x: Shaped[Array, 'b ...']) -> Shaped[Array, 'B ...']:
    """Makes this device's share of a batch whole again, in its order."""

  @abc.abstractmethod
  def compile(
    self, fn: Callable, *, donate: bool = False, batches: bool = False
  ) -> Any:
    """Compiles a function of (state, inputs, shared) or those and batches.

    Args:
      fn: the function. The state, the inputs and its result are per run: if
        there are several runs they have a leading axis. What is shared has
        none.
      donate: whether the state's memory is given to the result.
      batches: whether there is a fourth argument, which `place_batches` gives.

    Returns:
      The compiled function; `lower` with its arguments gives what jax.stages
      has to say of it.
    """


class PmapRunner(Runner):
  """Runs with jax.pmap."""

  axis_name = AXIS

  def __init__(self, devices: Sequence[jax.Device]):
    super().__init__(devices)
    self.num_devices = len(self._devices)
    mesh = Mesh(np.array(self._devices), (AXIS,))
    if not self.is_compile_only:
      # Of several processes each deals with its own devices' part.
      mesh = mesh.local_mesh
    self._whole = NamedSharding(mesh, PartitionSpec())
    # pmap asks for one argument with a mapped axis; without batches all ours
    # are whole.
    self._mapped = _put(
      np.arange(mesh.size, dtype=np.int32),
      NamedSharding(mesh, PartitionSpec(AXIS)),
    )
    self._spread = NamedSharding(mesh, PartitionSpec(None, AXIS))

  @property
  def local_devices(self) -> range:
    return _local(self._devices)

  def place(self, tree: PyTree) -> PyTree:
    return _put(tree, self._whole)

  def place_batches(self, tree: PyTree) -> PyTree:
    num = len(self.local_devices)

    def by_device(x):
      return x.reshape(len(x), num, x.shape[1] // num, *x.shape[2:])

    return jax.device_put(jax.tree.map(by_device, tree), self._spread)

  def shard(self, x: Shaped[Array, 'B ...']) -> Shaped[Array, 'b ...']:
    if self.num_devices == 1:
      return x
    size = x.shape[0] // self.num_devices
    return lax.dynamic_slice_in_dim(x, lax.axis_index(AXIS) * size, size)

  def psum(self, tree: PyTree) -> PyTree:
    return lax.psum(tree, AXIS)

  def gather(self, x: Shaped[Array, 'b ...']) -> Shaped[Array, 'B ...']:
    if self.num_devices == 1:
      return x
    return lax.all_gather(x, AXIS, tiled=True)

  def compile(
    self, fn: Callable, *, donate: bool = False, batches: bool = False
  ) -> Any:
    mapped = jax.pmap(
      lambda _, *arguments: fn(*arguments),
      axis_name=AXIS,
      in_axes=(0, None, None, None, *((1,) if batches else ())),
      out_axes=None,
      devices=self._devices,
      donate_argnums=(1,) if donate else (),
    )
    return _WithAxis(mapped, self._mapped)


class _WithAxis:
  """A pmapped function, called with the argument that has the mapped axis."""

  def __init__(self, fn: Any, mapped: jax.Array | jax.ShapeDtypeStruct):
    self._fn, self._mapped = fn, mapped

  def __call__(self, *arguments: PyTree) -> PyTree:
    return self._fn(self._mapped, *arguments)

  def lower(self, *arguments: PyTree) -> Any:
    return self._fn.lower(self._mapped, *arguments)


class JitRunner(Runner):
  """Runs with jax.jit, the batch sharded by NamedSharding."""

  axis_name = None

  def __init__(self, devices: Sequence[jax.Device]):
    super().__init__(devices)
    self.num_devices = len(self._devices)
    self._mesh = Mesh(np.array(self._devices), (AXIS,))
    self._whole = NamedSharding(self._mesh, PartitionSpec())
    self._shared = NamedSharding(self._mesh, PartitionSpec(AXIS))

  @property
  def local_devices(self) -> range:
    return _local(self._devices)

  def place(self, tree: PyTree) -> PyTree:
    return _put(tree, self._whole)

  def place_batches(self, tree: PyTree) -> PyTree:
    sharding = NamedSharding(self._mesh, PartitionSpec(None, AXIS))
    put = jax.make_array_from_process_local_data
    return jax.tree.map(lambda x: put(sharding, x), tree)

  def shard(self, x: Shaped[Array, 'B ...']) -> Shaped[Array, 'b ...']:
    return lax.with_sharding_constraint(x, self._shared)

  def psum(self, tree: PyTree) -> PyTree:
    return tree

  def gather(self, x: Shaped[Array, 'b ...']) -> Shaped[Array, 'B ...']:
    return lax.with_sharding_constraint(x, self._whole)

  def compile(
    self, fn: Callable, *, donate: bool = False, batches: bool = False
  ) -> Any:
    del batches  # They lie as they are wanted.
    return jax.jit(
      fn, out_shardings=self._whole, donate_argnums=(0,) if donate else ()
    )


class RunParallelRunner(Runner):
  """Spreads runs over devices: each batch is whole on its run's device.

  The number of runs must be a multiple of the number of devices.
  """

  num_devices = 1  # That share a batch.
  axis_name = None

  def __init__(self, devices: Sequence[jax.Device]):
    super().__init__(devices)
    self._mesh = Mesh(np.array(self._devices), (AXIS,))
    self._whole = NamedSharding(self._mesh, PartitionSpec())
    self._spread = NamedSharding(self._mesh, PartitionSpec(AXIS))

  def place(self, tree: PyTree) -> PyTree:
    return _put(tree, self._whole)

  def place_per_run(self, tree: PyTree) -> PyTree:
    return _put(tree, self._spread)

  def replicate(self, tree: PyTree) -> PyTree:
    if self._spread.is_fully_addressable:
      return tree
    return jax.jit(lambda tree: tree, out_shardings=self._whole)(tree)

  def shard(self, x: Shaped[Array, 'B ...']) -> Shaped[Array, 'b ...']:
    return x

  def psum(self, tree: PyTree) -> PyTree:
    return tree

  def gather(self, x: Shaped[Array, 'b ...']) -> Shaped[Array, 'B ...']:
    return x

  def compile(
    self, fn: Callable, *, donate: bool = False, batches: bool = False
  ) -> Any:
    assert not batches
    spread, whole = PartitionSpec(AXIS), PartitionSpec()
    # Nothing is exchanged, so there is nothing to check.
    run = jax.shard_map(
      fn,
      mesh=self._mesh,
      in_specs=(spread, spread, whole),
      out_specs=spread,
      check_vma=False,
    )
    return jax.jit(run, donate_argnums=(0,) if donate else ())


def _local(devices: Sequence[jax.Device]) -> range:
  """The places of this process's devices, which are side by side."""
  own = jax.process_index()
  places = [i for i, d in enumerate(devices) if d.process_index == own]
  return range(places[0], places[-1] + 1)


def _put(tree: PyTree, sharding: NamedSharding) -> PyTree:
  """device_put, also to devices of several processes or to compile-only ones.

  Each process gives the whole values. jax.device_put would exchange all of
  them to see that they are the same; data/dataset.py compares digests instead.
  """
  if _is_compile_only(sharding.mesh.devices.flat[0]):
    return jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree
    )
  if sharding.is_fully_addressable:
    return jax.device_put(tree, sharding)

  def put(x):
    if isinstance(x, jax.Array) and not x.is_fully_addressable:
      return jax.device_put(x, sharding)
    places = sharding.addressable_devices_indices_map(np.shape(x))
    parts = [jax.device_put(x[part], d) for d, part in places.items()]
    return jax.make_array_from_single_device_arrays(
      np.shape(x), sharding, parts
    )

  return jax.tree.map(put, tree)


def _is_compile_only(device: jax.Device) -> bool:
  return device.client.runtime_type == 'compile_only_runtime'


RUNNERS: dict[str, Callable[[Sequence[jax.Device]], Runner]] = {
  'pmap': PmapRunner,
  'jit': JitRunner,
}


def make_runner(
  name: str, devices: Sequence[jax.Device] | None = None
) -> Runner:
  """A runner by its config name, on all devices unless some are given."""
  return RUNNERS[name](all_devices() if devices is None else devices)


def all_devices() -> list[jax.Device]:
  """The devices of all processes, those of one process side by side."""
  return sorted(jax.devices(), key=lambda device: device.process_index)
