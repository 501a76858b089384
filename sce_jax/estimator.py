"""A scikit-learn classifier for data whose labels are partly wrong.

Settings that are not given are those of config/own.py and config/choose.py, as
for `launch.py --config=configs/own.py:LOSS`.
"""

from collections.abc import Iterator, Mapping
import contextlib
import functools
import numbers
import pathlib
import signal
import tempfile
from typing import Any

from jaxtyping import Float, Shaped
import numpy as np
import pandas as pd
from sklearn import base, utils
from sklearn.utils import multiclass, validation

from sce_jax import audit, export, inference, train
from sce_jax.config import check as config_lib
from sce_jax.config import own
from sce_jax.config.check import Config
from sce_jax.data import dataset as dataset_lib
from sce_jax.data import pixels as pixels_lib
from sce_jax.data.dataset import Dataset
from sce_jax.errors import NonFiniteLoss, UserError
from sce_jax.parallel import preemption
from sce_jax.runs import progress, restore

# Parameters of the classifier that are fields of a config.
_FIELDS = {
  'loss': 'loss.name',
  'model': 'model.name',
  'epochs': 'train.epochs',
  'batch_size': 'train.batch_size',
  'learning_rate': 'optim.learning_rate',
  'random_state': 'seed',
}
# What `settings` may change. Other fields choose data, or where they come from.
_SETTINGS = (
  *('data.augment.', 'data.normalization', 'loss.', 'model.', 'optim.'),
  'train.',
)
# As the number of epochs between checkpoints: there is one at the end only.
_NEVER = 10**9


class NoisyLabelClassifier(base.ClassifierMixin, base.BaseEstimator):
  """A network that is trained by a method for noisy labels.

  Examples are images [N, H, W, C] or [N, H, W], as in
  `sce_jax.data.dataset.from_arrays`, or feature vectors [N, D]. Labels are of
  any type that scikit-learn's classifiers take. None stands for what is chosen
  by the data; configs/own.py gives the reasons.

  Nothing is left on disk, and nothing is printed unless `verbose`. Weights of
  examples are not supported: a method weighs them itself.

  Args:
    loss: str, a key of sce_jax.methods.SPECS.
    loss_params: dict, its hyper-parameters; others have their defaults.
    model: str, a key of sce_jax.models.MODELS.
    epochs: int, how often each example is trained on.
    batch_size: int, examples in a step, over all devices.
    learning_rate: float, at the start.
    settings: dict, further fields of a config by their paths, such as
      {'data.augment.flip': True}; sce_jax/config/base.py explains them all.
    random_state: the seed, an int in [0, 2^32); a NumPy RandomState from which
      one is drawn; None: NumPy's own.
    verbose: bool, whether progress is shown.

  Attributes:
    classes_: [K], the labels.
    n_features_in_: D, or H W C.
    feature_names_in_: [D], of a data frame whose columns have names.
  """

  # As scikit-learn wants it, any value is taken here, and refused by `fit`.
  def __init__(
    self,
    loss: Any = 'sl',
    *,
    loss_params: Any = None,
    model: Any = None,
    epochs: Any = None,
    batch_size: Any = None,
    learning_rate: Any = None,
    settings: Any = None,
    random_state: Any = 0,
    verbose: Any = False,
  ):
    self.loss = loss
    self.loss_params = loss_params
    self.model = model
    self.epochs = epochs
    self.batch_size = batch_size
    self.learning_rate = learning_rate
    self.settings = settings
    self.random_state = random_state
    self.verbose = verbose

  def fit(self, X: Any, y: Any) -> 'NoisyLabelClassifier':
    """Trains.

    Args:
      X: [N, D] or [N, H, W] or [N, H, W, C], the examples.
      y: [N], their labels, part of which may be wrong.

    Raises:
      ValueError: X, y or a parameter cannot be used; nothing has been trained.
      NonFiniteLoss: the training has diverged.
    """
    with self._workplace() as folder:
      config, dataset = self._read(X, y)
      train.train_and_evaluate(config, folder / 'run', dataset=dataset)
      run = restore.load(folder / 'run')
      self._network = _Network(export.network(run), export.tensors(run))
    return self

  def predict_proba(
    self,
    X: Any,
  ) -> Float[np.ndarray, 'N K']:
    """The probabilities of the classes, in the order of `classes_`.

    Args:
      X: examples of the shape that it was fitted to.

    Raises:
      NotFittedError: it has not been fitted.
      ValueError: X cannot be used.
    """
    validation.check_is_fitted(self)
    return self._network.model.predict_proba(self._examples(X))

  def predict(self, X: Any) -> Shaped[np.ndarray, ' N']:
    """The most probable class of each example.

    Args:
      X: as in `predict_proba`.

    Raises:
      NotFittedError, ValueError: as in `predict_proba`.
    """
    probability = self.predict_proba(X)
    return self.classes_[probability.argmax(axis=1)]

  def label_issues(
    self,
    X: Any,
    y: Any,
    folds: int = 5,
  ) -> pd.DataFrame:
    """Judges each label by networks that were not trained on its example.

    It trains `folds` networks, see audit.py. It need not have been fitted, and
    what has been fitted stays as it is.

    Args:
      X: as in `fit`.
      y: as in `fit`.
      folds: how many, at least 2.

    Returns:
      A row for each example, in the order of X: is_issue, score (in [0, 1]; the
      lower, the more likely the label is wrong), rank (1: the most suspicious),
      given_label, suggested_label, given_probability, suggested_probability.
      Its `attrs` have noise_rate, the estimated share of wrong labels, and
      noise_rate_interval, in which it is with 95 %.

    Raises:
      ValueError: X, y, `folds` or a parameter cannot be used.
      NonFiniteLoss: the training has diverged.
    """
    judge = base.clone(self)
    with judge._workplace() as folder:
      config, dataset = judge._read(X, y)
      found = audit.audit(config, folder, folds=folds, dataset=dataset)
    rows = np.arange(len(found.label))
    rank = np.empty_like(rows)
    rank[found.ranking] = rows + 1
    frame = pd.DataFrame(
      {
        'is_issue': found.is_issue,
        'score': found.score,
        'rank': rank,
        'given_label': judge.classes_[found.label],
        'suggested_label': judge.classes_[found.suggested],
        'given_probability': found.probability[rows, found.label],
        'suggested_probability': found.probability[rows, found.suggested],
      },
      index=getattr(X, 'index', None),
    )
    frame.attrs['noise_rate'] = found.rate
    frame.attrs['noise_rate_interval'] = found.rate_interval
    return frame

  def __sklearn_is_fitted__(self) -> bool:
    return hasattr(self, '_network')

  def __sklearn_tags__(self) -> utils.Tags:
    tags = super().__sklearn_tags__()
    tags.input_tags.three_d_array = True
    return tags

  def _read(self, X: Any, y: Any) -> tuple[Config, Dataset]:
    """Checks parameters and data, and learns what the data are like."""
    config = self._config()
    X, y = validation.validate_data(self, X, y, allow_nd=True)
    multiclass.check_classification_targets(y)
    self.classes_, numbered = np.unique(y, return_inverse=True)
    if len(self.classes_) < 2:
      raise ValueError(
        f'y has 1 class, {self.classes_[0]!r}: at least 2 are needed'
      )
    self._shape = X.shape[1:]
    self._scale = 1
    if X.ndim > 2:
      self.n_features_in_ = int(np.prod(X.shape[1:]))
      if X.dtype.kind in 'bf' and X.max() <= 1 + pixels_lib.OVERSHOOT:
        self._scale = 255
    dataset = dataset_lib.from_arrays(
      config.data,
      self._stored(X),
      numbered.astype(np.int32),
      class_names=[str(x) for x in self.classes_],
    )
    return config, dataset

  def _examples(self, X: Any) -> np.ndarray:
    """Checks examples, and makes of them what the network takes."""
    if len(self._shape) == 1:
      return self._stored(validation.validate_data(self, X, reset=False))
    X = utils.check_array(X, allow_nd=True)
    if X.shape[1:] != self._shape:
      raise ValueError(
        f'X has shape {list(X.shape)}, but {type(self).__name__} was fitted to'
        f' [N, {", ".join(map(str, self._shape))}]'
      )
    return self._stored(X)

  def _stored(self, X: np.ndarray) -> np.ndarray:
    """Examples as a data set stores them: uint8 pixels [N, H, W, C]."""
    if X.ndim == 2:
      return X
    if X.dtype != np.uint8:
      # With the scale of all that it was fitted to: of a few dark images none
      # may have a pixel above 1.
      pixels = np.rint(X.astype(np.float32) * self._scale)
      slack = 255 * pixels_lib.OVERSHOOT * (X.dtype.kind == 'f')
      if pixels.min() < -slack or pixels.max() > 255 + slack:
        raise ValueError(
          f'X has pixels from {X.min():g} to {X.max():g}: give uint8, or floats'
          f' in [0, {255 // self._scale}]'
        )
      X = pixels.clip(0, 255).astype(np.uint8)
    return X[..., None] if X.ndim == 3 else X

  def _config(self) -> Config:
    """The config that the parameters describe."""
    if not isinstance(self.loss, str):
      raise ValueError(f'loss is {self.loss!r}: give the name of a method')
    for name in ('loss_params', 'settings'):
      given = getattr(self, name)
      if given is not None and not isinstance(given, Mapping):
        raise ValueError(f'{name} is {given!r}: give a dict')
    values = own.own_config(self.loss).to_dict()
    # Nothing is resumed, and figures are shown only if asked for.
    values['checkpoint']['every'] = _NEVER
    values['eval']['train_every'] = None
    values['loss'] |= _plain(self.loss_params)
    seed: Any = self.random_state
    if not isinstance(seed, numbers.Integral):
      seed = utils.check_random_state(seed).randint(2**31)
    changes = {path: getattr(self, name) for name, path in _FIELDS.items()}
    changes['seed'] = seed
    changes = {path: x for path, x in changes.items() if x is not None}
    for path in self.settings or {}:
      if not isinstance(path, str) or not path.startswith(_SETTINGS):
        raise ValueError(
          f'settings has {path!r}: give fields of {", ".join(_SETTINGS)}'
        )
    for path, value in _plain({**changes, **(self.settings or {})}).items():
      *sections, field = path.split('.')
      section: Any = values
      for part in sections:
        section = section.get(part) if isinstance(section, dict) else None
      if not isinstance(section, dict):
        raise ValueError(f'settings has {path!r}: there is no such field')
      section[field] = value
    return config_lib.check_config(values)

  @contextlib.contextmanager
  def _workplace(self) -> Iterator[pathlib.Path]:
    """A folder for the runs, which goes when they have ended.

    Errors name the parameters instead of the config's fields.
    """
    with contextlib.ExitStack() as stack:
      if not self.verbose:
        stack.enter_context(progress.silent())
      made = tempfile.TemporaryDirectory(prefix='sce_jax-')
      folder = stack.enter_context(made)
      try:
        yield pathlib.Path(folder)
      except UserError as error:
        message = str(error)
        for name, path in _FIELDS.items():
          message = message.replace(f'config.{path} ', f'{name} ')
        raise UserError(message) from None
      except NonFiniteLoss:
        # Without what it says of the folder, which goes.
        raise NonFiniteLoss(
          'the loss became NaN or inf: give a smaller learning_rate'
        ) from None
      except preemption.Interrupted:
        # Without what it says: nothing is kept that could be resumed.
        raise KeyboardInterrupt from None
      except preemption.Preempted:
        raise SystemExit(128 + signal.SIGTERM) from None


class _Network:
  """A trained network: plain data, of which the program is made when needed."""

  def __init__(self, info: dict[str, Any], parameters: bytes):
    self._info, self._parameters = info, parameters

  @functools.cached_property
  def model(self) -> inference.Model:
    """The network as an export has it."""
    return inference.build(self._info, self._parameters)

  def __getstate__(self) -> dict[str, Any]:
    return {'_info': self._info, '_parameters': self._parameters}


def _plain(values: Mapping[str, Any] | None) -> dict[str, Any]:
  """Values without NumPy's types, which a grid search has them in."""
  return {
    key: value.item() if isinstance(value, np.generic) else value
    for key, value in (values or {}).items()
  }
