"""The scikit-learn classifier: scikit-learn's own checks, and what is ours."""

import functools
import io
import pickle
import tempfile

import jax
import numpy as np
import pandas as pd
import pytest
from sklearn import datasets, exceptions, model_selection
from sklearn.utils import estimator_checks

from configs import own
import sce_jax
from sce_jax import models, train
from sce_jax.config import fields
from sce_jax.errors import NonFiniteLoss, UserError
from sce_jax.models import mlp
from sce_jax.parallel import preemption, runners
from tests import conftest


@pytest.fixture(scope='module', autouse=True)
def _quickly_compiled():
  """Linear networks, on one device."""
  linear = functools.partial(mlp.MLP, hidden=())
  with pytest.MonkeyPatch.context() as patch:
    for name in ('mlp', 'digits_cnn'):
      patch.setitem(models.MODELS, name, linear)
    patch.setattr(runners, 'all_devices', lambda: jax.devices()[:1])
    yield


def classifier(**changes):
  return sce_jax.NoisyLabelClassifier(**{'epochs': 8, **changes})


# Those that fit data of a shape of their own, for which all is compiled again.
SLOW = {
  'check_classifier_data_not_an_array',
  'check_classifiers_classes',
  'check_classifiers_train',
  'check_dont_overwrite_parameters',
  'check_dtype_object',
  'check_estimators_dtypes',
  'check_estimators_overwrite_params',
  'check_fit2d_1feature',
  'check_fit_check_is_fitted',
  'check_n_features_in',
  'check_n_features_in_after_fitting',
  'check_pipeline_consistency',
  'check_positive_only_tag_during_fit',
}


def checks():
  """All of scikit-learn's; none is expected to fail."""
  found = estimator_checks.estimator_checks_generator(classifier(epochs=20))
  params = []
  for estimator, check in found:
    name = check.func.__name__
    marks = [pytest.mark.slow] if name in SLOW else []
    options = ','.join(f'{k}={v}' for k, v in check.keywords.items())
    case = f'{name}({options})'
    params.append(pytest.param(estimator, check, id=case, marks=marks))
  return params


@pytest.mark.parametrize(('estimator', 'check'), checks())
def test_scikit_learns_checks(estimator, check):
  check(estimator)


@pytest.fixture(scope='module')
def digits():
  """Digits as feature vectors, and their labels, of which 60 are wrong."""
  examples, labels = datasets.load_digits(return_X_y=True)
  examples, labels = examples[:400], labels[:400]
  rng = np.random.default_rng(0)
  noisy = labels.copy()
  wrong = rng.choice(400, 60, replace=False)
  noisy[wrong] = (labels[wrong] + rng.integers(1, 10, 60)) % 10
  return examples, labels, noisy


@pytest.fixture(scope='module')
def fitted(digits):
  examples, _, noisy = digits
  names = np.array([f'digit {k}' for k in range(10)])
  return classifier(epochs=30).fit(examples, names[noisy])


def test_it_learns_the_digits_not_the_wrong_labels(digits, fitted):
  examples, labels, noisy = digits
  assert fitted.classes_.tolist() == [f'digit {k}' for k in range(10)]
  found = fitted.predict(examples)
  numbers = np.array([int(name[-1]) for name in found])
  assert np.mean(numbers == labels) > 0.95
  assert np.mean(numbers[noisy != labels] == noisy[noisy != labels]) < 0.1
  assert fitted.score(examples, found) == 1


def test_a_prediction_does_not_depend_on_the_others(digits, fitted):
  examples = digits[0]
  whole = fitted.predict_proba(examples)
  backwards = fitted.predict_proba(examples[::-1])[::-1]
  np.testing.assert_array_equal(backwards, whole)
  for rows in ([7], [3, 7, 5], range(100)):
    alone = fitted.predict_proba(examples[list(rows)])
    np.testing.assert_allclose(alone, whole[list(rows)], rtol=1e-5, atol=1e-7)


class Unpickler(pickle.Unpickler):
  """Remembers the packages whose classes are pickled."""

  def __init__(self, file):
    super().__init__(file)
    self.packages = set()

  def find_class(self, module, name):
    self.packages.add(module.partition('.')[0])
    return super().find_class(module, name)


@pytest.mark.landing
@pytest.mark.process
def test_it_is_pickled_as_data_and_works_in_another_process(
  digits, fitted, tmp_path
):
  examples = digits[0][:20]
  content = pickle.dumps(fitted)
  # The header of safetensors; nothing of jax is imported to read it.
  assert b'"params.head.kernel":{"dtype":"F32","shape":[64,10]' in content
  reader = Unpickler(io.BytesIO(content))
  reader.load()
  assert reader.packages == {'sce_jax', 'numpy'}
  (tmp_path / 'classifier.pickle').write_bytes(content)
  np.save(tmp_path / 'examples.npy', examples)
  out = conftest.run_python(
    'import pickle, sys\n'
    'import numpy as np\n'
    'from sce_jax import models\n'
    'from sce_jax.models import mlp\n'
    'import functools\n'
    "models.MODELS['mlp'] = functools.partial(mlp.MLP, hidden=())\n"
    f"f = open('{tmp_path}/classifier.pickle', 'rb')\n"
    'found = pickle.load(f)\n'
    f"x = np.load('{tmp_path}/examples.npy')\n"
    f"np.save('{tmp_path}/found.npy', found.predict_proba(x))\n"
    'print(*found.predict(x), sep="|")'
  )
  assert out.strip().split('|') == fitted.predict(examples).tolist()
  np.testing.assert_allclose(
    np.load(tmp_path / 'found.npy'),
    fitted.predict_proba(examples),
    rtol=1e-5,
    atol=1e-7,
  )


@pytest.mark.parametrize(
  'kind', [lambda y: y * 7 - 3, lambda y: y > 4, lambda y: y.astype(float)]
)
def test_labels_of_any_type(digits, kind):
  examples, _, noisy = digits
  labels = kind(noisy)
  found = classifier(epochs=2).fit(examples, labels)
  np.testing.assert_array_equal(found.classes_, np.unique(labels))
  assert found.predict(examples).dtype == labels.dtype


@pytest.fixture(scope='module')
def images():
  """Grey images of 8 x 8 pixels in [0, 255], and their labels."""
  examples, labels = datasets.load_digits(return_X_y=True)
  pixels = (examples[:200] * 15).astype(np.uint8).reshape(-1, 8, 8)
  return pixels, labels[:200]


def test_images_may_be_bytes_or_floats(images):
  pixels, labels = images
  model = classifier(epochs=2).fit(pixels, labels)
  assert model.n_features_in_ == 64
  expected = model.predict_proba(pixels)
  scaled = pixels[..., None] / 255.0
  other = classifier(epochs=2).fit(scaled, labels)
  np.testing.assert_array_equal(other.predict_proba(scaled), expected)
  # One that is dark has the scale of those that it was fitted to.
  dark = scaled[:1] / 255
  np.testing.assert_array_equal(
    other.predict_proba(dark), model.predict_proba(np.rint(dark * 255)[..., 0])
  )
  # Resizing leaves pixels just beyond the range: they are cut off.
  bright, white = scaled[:1].copy(), scaled[:1].copy()
  bright[0, 0, 0], white[0, 0, 0] = 1.01, 1
  np.testing.assert_array_equal(
    other.predict_proba(bright), other.predict_proba(white)
  )
  with pytest.raises(ValueError, match=r'pixels from 0 to 480: .* \[0, 255\]'):
    model.predict(pixels.astype(int) * 2)
  with pytest.raises(ValueError, match=r'\[200, 7, 8\], but .* \[N, 8, 8\]'):
    model.predict(pixels[:, 1:])


def test_nothing_is_printed_or_left_unless_asked_for(
  digits, tmp_path, monkeypatch, capfd
):
  examples, _, noisy = digits
  monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
  monkeypatch.chdir(tmp_path)
  model = classifier(epochs=2).fit(examples, noisy)
  model.predict(examples)
  assert capfd.readouterr() == ('', '')
  classifier(epochs=2, verbose=True).fit(examples, noisy)
  assert 'epoch 2/2' in capfd.readouterr().out
  assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
  ('stopped', 'expected'),
  [
    (preemption.Interrupted, KeyboardInterrupt),
    (preemption.Preempted, SystemExit),
  ],
)
def test_what_is_stopped_leaves_nothing(
  digits, tmp_path, monkeypatch, stopped, expected
):
  def stop(*unused, **options):
    raise stopped('SIGINT: saved at step 1; the same command resumes')

  monkeypatch.setattr(train, 'train_and_evaluate', stop)
  monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
  model = classifier()
  with pytest.raises(expected) as found:
    model.fit(digits[0], digits[2])
  assert 'resumes' not in str(found.value)
  assert list(tmp_path.iterdir()) == []
  with pytest.raises(exceptions.NotFittedError):
    model.predict(digits[0])


def test_it_trains_as_the_config_of_own_data():
  ours = fields.flatten(sce_jax.NoisyLabelClassifier('gce')._config().to_dict())
  theirs = fields.flatten(own.get_config('gce').to_dict())
  different = {path for path in theirs if ours[path] != theirs[path]}
  # A loss's hyper-parameters are complete once a config has been checked.
  assert different == {'data.source', 'checkpoint.every', 'eval.train_every'}
  assert {x for x in ours.keys() - theirs.keys() if x != 'loss.q'} == set()


def test_parameters_become_fields_of_the_config():
  found = sce_jax.NoisyLabelClassifier(
    loss_params={'alpha': np.float32(0.5)},
    model='mlp',
    epochs=np.int64(3),
    batch_size=16,
    learning_rate=0.5,
    settings={'optim.momentum': 0.5, 'data.augment.flip': True},
    random_state=5,
  )._config()
  assert found.loss.hparams == {'alpha': 0.5, 'beta': 1, 'log_zero': -4}
  assert set(found.left) == {'loss.beta', 'optim.weight_decay'}
  assert (found.model.name, found.seed) == ('mlp', 5)
  assert (found.train.epochs, found.train.batch_size) == (3, 16)
  assert (found.optim.learning_rate, found.optim.momentum) == (0.5, 0.5)
  assert found.data.augment.flip


@pytest.mark.parametrize(
  ('parameters', 'message'),
  [
    ({'loss': 'nope'}, "'nope'"),
    ({'loss_params': {'q': 0.5}}, 'q'),
    ({'epochs': 0}, 'epochs is 0: it must be a whole number at least 1'),
    ({'batch_size': 2.5}, 'batch_size is 2.5: it must be a whole number'),
    ({'learning_rate': -1}, 'learning_rate is -1: it must be a number above'),
    ({'model': 'nope'}, "model is 'nope': it must be one of "),
    ({'random_state': -1}, 'random_state is -1: it must be a whole number'),
    ({'random_state': 'x'}, "'x' cannot be used to seed"),
    ({'settings': {'optim.nope': 1}}, 'no field config.optim.nope'),
    ({'settings': {'train.foo.bar': 1}}, "'train.foo.bar': there is no such f"),
    ({'settings': {'optim.learning_rate.x': 1}}, 'there is no such field'),
    ({'settings': {3: 1}}, 'settings has 3: give fields'),
    ({'settings': [1]}, 'settings is [1]: give a dict'),
    ({'loss_params': [1]}, 'loss_params is [1]: give a dict'),
    ({'loss': None}, 'loss is None: give the name of a method'),
    ({'loss': ['a']}, "loss is ['a']: give the name"),
    ({'settings': {'data.limit': 9}}, "settings has 'data.limit': give fields"),
    ({'model': 'cifar_cnn'}, "model is 'cifar_cnn', a network for images"),
    ({'settings': {'data.augment.flip': True}}, 'augment is for images'),
    ({'loss': 'forward'}, 'transition'),
    ({'batch_size': 512}, 'batch_size is 512, but own has 400 examples'),
  ],
)
def test_bad_parameters_are_refused_in_a_line(digits, parameters, message):
  model = sce_jax.NoisyLabelClassifier(**parameters)
  with pytest.raises(ValueError) as found:
    model.fit(digits[0], digits[2])
  assert message in str(found.value)
  assert '\n' not in str(found.value)


def test_what_diverges_names_no_folder_that_is_gone(digits):
  model = classifier(epochs=2, learning_rate=1e30)
  with pytest.raises(NonFiniteLoss) as found:
    model.fit(digits[0], digits[2])
  assert str(found.value).endswith('give a smaller learning_rate')
  assert 'sce_jax-' not in str(found.value)


def test_the_random_state_is_the_seed(digits):
  examples, _, noisy = digits

  def probabilities(state):
    model = classifier(epochs=2, random_state=state).fit(examples, noisy)
    return model.predict_proba(examples[:5])

  first = probabilities(1)
  np.testing.assert_array_equal(probabilities(np.int64(1)), first)
  assert (probabilities(2) != first).any()
  drawn = probabilities(np.random.RandomState(3))
  np.testing.assert_array_equal(probabilities(np.random.RandomState(3)), drawn)


def test_label_issues_finds_the_wrong_labels(digits):
  examples, labels, noisy = digits
  frame = pd.DataFrame(examples, index=np.arange(400) + 1000)
  names = np.array(list('abcdefghij'))
  model = classifier(epochs=40)
  found = model.label_issues(frame, names[noisy], folds=3)
  assert found.index.tolist() == frame.index.tolist()
  assert found['given_label'].tolist() == names[noisy].tolist()
  wrong = noisy != labels
  flagged = found['is_issue'].to_numpy()
  assert wrong[flagged].mean() > 0.8
  assert flagged[wrong].mean() > 0.7
  first = found.sort_values('rank').head(10)
  assert first['rank'].tolist() == list(range(1, 11))
  assert first['score'].is_monotonic_increasing
  right = (found['suggested_label'] == names[labels]).to_numpy()
  assert right[wrong].mean() > 0.8
  # 60 of 400.
  low, high = found.attrs['noise_rate_interval']
  assert low < found.attrs['noise_rate'] < high
  assert found.attrs['noise_rate'] == pytest.approx(0.15, abs=0.05)
  with pytest.raises(exceptions.NotFittedError):
    model.predict(examples)
  with pytest.raises(UserError, match='folds=1'):
    model.label_issues(examples, noisy, folds=1)


@pytest.mark.landing
def test_inside_cross_validation_and_a_grid_search(digits):
  examples, labels, _ = digits
  # These differ in an argument of the program, which is compiled once.
  choices = [{'alpha': 1e-9, 'beta': 1e-9}, {'alpha': 0.1, 'beta': 1}]
  search = model_selection.GridSearchCV(
    classifier(epochs=20), {'loss_params': choices}, cv=2, refit=False
  )
  search.fit(examples, labels)
  assert search.best_params_ == {'loss_params': choices[1]}
  probability = model_selection.cross_val_predict(
    classifier(epochs=20), examples, labels, cv=2, method='predict_proba'
  )
  assert np.mean(probability.argmax(axis=1) == labels) > 0.85


def test_inside_cleanlab(digits):
  cleanlab = pytest.importorskip('cleanlab.classification')
  examples, labels, noisy = digits
  model = cleanlab.CleanLearning(
    classifier(epochs=20),
    cv_n_folds=2,
    # Else cleanlab forks the process, which jax does not survive for sure.
    find_label_issues_kwargs={'n_jobs': 1},
  )
  issues = model.find_label_issues(examples, noisy)
  wrong = noisy != labels
  assert wrong[issues['is_label_issue']].mean() > 0.7
  model.fit(examples, noisy, label_issues=issues)
  assert np.mean(model.predict(examples) == labels) > 0.9
