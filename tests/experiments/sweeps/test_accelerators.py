"""What the names of accelerators mean."""

import pytest

from experiments.sweeps import accelerators
from sce_jax import errors


@pytest.mark.parametrize(
  ('text', 'spelling', 'chips', 'hosts', 'gigabytes'),
  [
    # v4 and v5p count two cores a chip, v5e and v6e chips.
    ('tpu-v4-8', 'tpu-v4-8', 4, 1, 32),
    ('tpu-v4-32', 'tpu-v4-32', 16, 4, 32),
    ('tpu-v5p-8', 'tpu-v5p-8', 4, 1, 95),
    ('tpu-v5p-12288', 'tpu-v5p-12288', 6144, 1536, 95),
    ('tpu-v5e-1', 'tpu-v5litepod-1', 1, 1, 16),
    ('tpu-v5e-8', 'tpu-v5litepod-8', 8, 1, 16),
    ('TPU-v5litepod-16', 'tpu-v5litepod-16', 16, 4, 16),
    ('tpu-v5e-256', 'tpu-v5litepod-256', 256, 64, 16),
    ('tpu-v6e-8', 'tpu-v6e-8', 8, 1, 32),
    ('h100:8', 'H100:8', 8, 1, 80),
    ('A100-80gb:4', 'A100-80GB:4', 4, 1, 80),
    ('L4', 'L4:1', 1, 1, 24),
  ],
)
def test_names(text, spelling, chips, hosts, gigabytes):
  found = accelerators.parse(text)
  assert found.spelling == spelling
  assert (found.chips, found.hosts, found.gigabytes) == (
    chips,
    hosts,
    gigabytes,
  )
  assert found.jax == ('jax[tpu]' if 'tpu' in spelling else 'jax[cuda13]')


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('tpu-v5e-12', 'did you mean tpu-v5e-8 or tpu-v5e-16'),
    ('tpu-v4-4', 'did you mean tpu-v4-8 or tpu-v4-16'),
    ('tpu-v5lite-8', 'did you mean tpu-v5litepod-8'),
    ('H10O:8', 'did you mean H100'),
    ('RTX409', 'did you mean RTX4090'),
    ('zzz', 'give one such as'),
    ('H100:0', 'give H100:COUNT'),
    ('H100:many', 'give H100:COUNT'),
    ('H100:', 'give H100:COUNT'),
    ('tpu-v5e-8:2', 'more tasks are --shards'),
  ],
)
def test_what_is_not_to_be_had_is_refused_with_what_is_near(text, message):
  with pytest.raises(errors.UserError, match=message) as refused:
    accelerators.parse(text)
  assert '\n' not in str(refused.value)
