"""Confident learning: worked by hand, by loops, and beside cleanlab."""

import numpy as np
import pytest

from sce_jax.noise import confident

# Of class 1 each; thresholds: (0.9 + 0.7 + 0.2) / 3 = 0.6 and
# (0.6 + 0.9) / 2 = 0.75.
_SECOND = np.array([0.1, 0.3, 0.8, 0.6, 0.9])
TWO = np.stack([1 - _SECOND, _SECOND], axis=1)
TWO_LABELS = np.array([0, 0, 0, 1, 1])


def random_case(seed, size=300, num_classes=4):
  """Probabilities that are right more often than the labels are."""
  rng = np.random.default_rng(seed)
  truth = rng.integers(num_classes, size=size)
  wrong = rng.random(size) < 0.3
  labels = np.where(wrong, rng.integers(num_classes, size=size), truth)
  probabilities = rng.dirichlet(np.full(num_classes, 0.5), size)
  probabilities[np.arange(size), truth] += 0.7
  return probabilities / probabilities.sum(axis=1, keepdims=True), labels


def test_scores_by_hand():
  probabilities = np.array([[0.7, 0.2, 0.1]] * 3, np.float32)
  labels = np.array([0, 1, 2])
  # (0.7 - 0.2 + 1) / 2, (0.2 - 0.7 + 1) / 2, (0.1 - 0.7 + 1) / 2.
  np.testing.assert_allclose(
    confident.normalized_margin(probabilities, labels),
    [0.75, 0.25, 0.2],
    rtol=1e-6,
  )
  np.testing.assert_allclose(
    confident.self_confidence(probabilities, labels), [0.7, 0.2, 0.1], rtol=1e-6
  )


def test_joint_by_hand():
  # The fourth example reaches neither threshold, so row 1 counts one example
  # and is scaled to two.
  joint = confident.confident_joint(TWO, TWO_LABELS)
  np.testing.assert_allclose(joint, [[2, 1], [0, 2]])
  assert confident.noise_rate(joint) == pytest.approx(0.2)
  np.testing.assert_allclose(
    confident.estimated_transition(joint), [[1, 0], [1 / 3, 2 / 3]]
  )
  issues = confident.find_issues(TWO, TWO_LABELS, joint)
  assert issues.tolist() == [False, False, True, False, False]


def test_of_several_classes_above_their_thresholds_the_most_probable_counts():
  # Thresholds 0.3 and 0.2: both examples reach both.
  probabilities = np.array([[0.3, 0.7], [0.8, 0.2]])
  joint = confident.confident_joint(probabilities, np.array([0, 1]))
  np.testing.assert_allclose(joint, [[0, 1], [1, 0]])
  assert confident.noise_rate(joint) == 1


def test_a_class_without_labels_is_nobodys():
  probabilities = np.array([[0.5, 0.1, 0.4], [0.1, 0.5, 0.4]])
  joint = confident.confident_joint(probabilities, np.array([0, 1]))
  np.testing.assert_allclose(joint, np.diag([1, 1, 0]))
  np.testing.assert_allclose(confident.estimated_transition(joint), np.eye(3))


def loops(probabilities, labels):
  """The confident joint and the issues, example by example."""
  num_classes = len(probabilities[0])
  thresholds = []
  for k in range(num_classes):
    own = [p[k] for p, y in zip(probabilities, labels, strict=True) if y == k]
    thresholds.append(sum(own) / len(own))
  joint = np.zeros((num_classes, num_classes))
  for p, y in zip(probabilities, labels, strict=True):
    reached = [k for k in range(num_classes) if p[k] >= thresholds[k] - 1e-6]
    if reached:
      joint[y, max(reached, key=lambda k: p[k])] += 1
  for y in range(num_classes):
    joint[y] *= list(labels).count(y) / joint[y].sum()
  found = set()
  for y in range(num_classes):
    for k in range(num_classes):
      if k != y:
        rows = [n for n, label in enumerate(labels) if label == y]
        rows.sort(key=lambda n: probabilities[n][y] - probabilities[n][k])
        found.update(rows[: round(joint[y, k])])
  return joint, found


@pytest.mark.parametrize('seed', range(3))
def test_as_loops_find_it(seed):
  probabilities, labels = random_case(seed)
  joint = confident.confident_joint(probabilities, labels)
  expected, found = loops(probabilities.tolist(), labels.tolist())
  np.testing.assert_allclose(joint, expected, rtol=1e-12)
  issues = confident.find_issues(probabilities, labels, joint)
  assert set(np.flatnonzero(issues)) == found
  assert len(found) > 30


def test_other_orders_of_examples_and_classes_give_the_same():
  probabilities, labels = random_case(3)
  joint = confident.confident_joint(probabilities, labels)
  issues = confident.find_issues(probabilities, labels, joint)
  rng = np.random.default_rng(0)
  rows, classes = rng.permutation(len(labels)), rng.permutation(len(joint))
  other = probabilities[rows][:, classes]
  other_labels = np.argsort(classes)[labels[rows]]
  other_joint = confident.confident_joint(other, other_labels)
  np.testing.assert_allclose(other_joint, joint[classes][:, classes])
  np.testing.assert_array_equal(
    confident.find_issues(other, other_labels, other_joint), issues[rows]
  )
  np.testing.assert_allclose(
    confident.normalized_margin(other, other_labels),
    confident.normalized_margin(probabilities, labels)[rows],
  )


def test_interval_is_that_of_a_share_where_the_network_is_certain():
  truth = np.arange(1000) % 2
  labels = np.where(np.arange(1000) < 200, 1 - truth, truth)
  probabilities = np.eye(2)[truth]
  low, high = confident.noise_rate_interval(probabilities, labels, seed=0)
  # 0.2 -+ 1.96 sqrt(0.2 * 0.8 / 1000).
  assert (low, high) == pytest.approx((0.1752, 0.2248), abs=0.006)
  assert confident.noise_rate_interval(probabilities, truth, seed=0) == (0, 0)


@pytest.mark.parametrize('seed', range(3))
def test_as_cleanlab_finds_it(seed):
  count = pytest.importorskip('cleanlab.count')
  filters = pytest.importorskip('cleanlab.filter')
  ranks = pytest.importorskip('cleanlab.rank')
  probabilities, labels = random_case(seed, size=2000, num_classes=5)
  joint = confident.confident_joint(probabilities, labels)
  theirs = count.compute_confident_joint(labels, probabilities)
  # They round the counts, and keep the sums of the rows.
  np.testing.assert_allclose(joint, theirs, atol=1)
  found = confident.find_issues(probabilities, labels, joint)
  found &= probabilities.argmax(axis=1) != labels
  other = filters.find_label_issues(labels, probabilities, n_jobs=1)
  assert (found != other).sum() <= 5 < other.sum()
  for score, method in (
    (confident.normalized_margin, 'normalized_margin'),
    (confident.self_confidence, 'self_confidence'),
  ):
    np.testing.assert_allclose(
      score(probabilities, labels),
      ranks.get_label_quality_scores(labels, probabilities, method=method),
      atol=1e-12,
    )
