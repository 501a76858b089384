"""Every random number: what it is derived from.

Of training, here: the key is jax.random.key(seed), folded with a purpose, then
with the epoch or step that it belongs to. So a run that is resumed inside an
epoch sees the batches that it would have seen.

| what | derived from |
|---|---|
| initial parameters, also of a new head | seed, purpose |
| order of an epoch's examples | seed, purpose, epoch |
| augmentation, and a second one | seed, purpose, step |
| examples whose activations are observed | seed, purpose |
| a method's initial state | seed, purpose |
| a method's own numbers | seed, purpose, step |

A network of several (Co-teaching) has its part of a split of the key. What the
host draws is a pure function, too, and no generator lives longer than a call:

| what | derived from |
|---|---|
| crops of streamed JPEGs (data/stream.py) | seed, epoch, example, view |
| labels, of all noises (noise/hashing.py) | purpose, noise seed, example id |
| ties and random matrices of noises | purpose, noise seed, classes |
| pairs of asymmetric_cifar100_block_pair | purpose, pair_seed (0), classes |
| imbalance, replaced images | purpose, noise seed, example id |
| a second noise | a seed that is hashed of the noise seed |
| draws of noise/confident.py and consensus.py | seed, of the audit |
| held-out examples (data/held_out.py) | example id alone |
| examples of data.per_class | data.per_class_seed |
| examples of data.limit, of data of one's own | nothing: always the same |
| test split of digits (data/sources/digits.py) | nothing: always the same |
| folds of an audit, and the examples left out of some (audit.py) | seed |
| all of a NoisyLabelClassifier (estimator.py) | random_state, as the seed |
| images an ONNX program is compared on (onnx.py) | nothing: always the same |

What experiments draw beside their runs (experiments/paper):

| what | derived from |
|---|---|
| settings that tune tries (noisy_search.py) | --seed, number tried before |
| examples that tune chooses by (noisy_search.py) | example id alone |
| t-SNE, folds of the nearest neighbours (embeddings.py) | the run's seed |
| classifiers that no data made (theory.py) | nothing: always the same |

The noise seed is noise.seed, or where that is None the seed. The seed of tune
is that of its runs. A random_state that is no number gives one: its next draw.
"""

import jax
from jaxtyping import Array, Int

(
  _INIT,
  _SHUFFLE,
  _AUGMENT,
  _SUBSET,
  _METHOD_INIT,
  _METHOD,
  _SECOND_AUGMENT,
) = range(7)


def init_key(key: jax.Array) -> jax.Array:
  """The key of a run's initial parameters."""
  return jax.random.fold_in(key, _INIT)


def shuffle_key(key: jax.Array, epoch: Int[Array, '']) -> jax.Array:
  """The key of the order of an epoch's examples."""
  return jax.random.fold_in(jax.random.fold_in(key, _SHUFFLE), epoch)


def augment_key(key: jax.Array, step: Int[Array, '']) -> jax.Array:
  """The key of a step's augmentation."""
  return jax.random.fold_in(jax.random.fold_in(key, _AUGMENT), step)


def second_augment_key(key: jax.Array, step: Int[Array, '']) -> jax.Array:
  """The key of a step's second augmentation of the same examples."""
  return jax.random.fold_in(jax.random.fold_in(key, _SECOND_AUGMENT), step)


def subset_key(key: jax.Array) -> jax.Array:
  """The key of the training examples whose activations are observed."""
  return jax.random.fold_in(key, _SUBSET)


def method_init_key(key: jax.Array) -> jax.Array:
  """The key of a method's initial state."""
  return jax.random.fold_in(key, _METHOD_INIT)


def method_key(key: jax.Array, step: Int[Array, '']) -> jax.Array:
  """The key of a method's own random numbers in a step."""
  return jax.random.fold_in(jax.random.fold_in(key, _METHOD), step)
