"""What the data choose of a config."""

import dataclasses

import pytest

from configs import own
from sce_jax.config import check, choose
from sce_jax.data.info import DatasetInfo
from tests.data.reading import told


def info(size=2000, shape=(32, 32, 3), classes=10):
  statistics = (0.5,) * shape[-1]
  return DatasetInfo(
    'x', classes, shape, (), 255.0, statistics, statistics, size, 0
  )


@pytest.mark.parametrize(
  ('found', 'chosen'),
  [
    (info(2000, (8, 8, 1)), ('digits_cnn', 60, 64, 0.01, 1.0)),
    (info(60_000, (28, 28, 1)), ('mnist_cnn', 30, 128, 0.01, 1.0)),
    (info(6_000), ('cifar_cnn', 40, 64, 0.1, 1.0)),
    (info(50_000, classes=100), ('cifar_cnn', 30, 128, 6.0, 0.1)),
    (info(60, (96, 128, 3), 2), ('resnet34', 60, 8, 0.1, 1.0)),
    (info(300), ('cifar_cnn', 60, 32, 0.1, 1.0)),
    (info(5), ('cifar_cnn', 60, 4, 0.1, 1.0)),
    (info(20_000, (768,)), ('mlp', 40, 128, 0.01, 1.0)),
    (info(20, (768,), 2), ('mlp', 60, 8, 0.01, 1.0)),
    (info(10_000, (768,), 1000), ('mlp', 40, 64, 6.0, 0.1)),
  ],
)
def test_what_is_left_is_chosen(found, chosen):
  config = check.check_config(own.get_config('sl'))
  assert config.left == tuple(choose.FIELDS)
  done = choose.complete(config, found)
  assert (
    done.model.name,
    done.train.epochs,
    done.train.batch_size,
    done.loss.hparams['alpha'],
    done.loss.hparams['beta'],
  ) == chosen
  assert done.optim.weight_decay == (0.01 if found.has_features else 0.0)
  # Nothing is penalised twice.
  penalised = choose.complete(
    check.check_config(own.get_config('anl_ce')), found
  )
  assert penalised.optim.weight_decay == 0.0
  # As the run's config.json keeps it.
  assert check.check_config(done.to_dict()) == done


def test_feature_vectors_have_no_second_view():
  config = own.get_config('gjs')
  config.data.augment.pad_crop = 2  # As it is told without.
  message = told(
    check.check_fits, check.check_config(config), info(100, (768,), 3)
  )
  assert "'gjs' compares two augmentations" in message
  assert message.endswith('use another loss')


def test_what_is_given_stays():
  raw = own.get_config('sl')
  raw.train.epochs = 3
  raw.loss.beta = 0.5
  config = check.check_config(raw)
  assert config.left == (
    'model.name',
    'train.batch_size',
    'loss.alpha',
    'optim.weight_decay',
  )
  assert config.to_dict()['model']['name'] is None
  done = choose.complete(config, info())
  assert (done.train.epochs, done.loss.hparams['beta']) == (3, 0.5)
  assert choose.complete(done, info(9, (8, 8, 1))) is done


def test_another_loss_keeps_its_own_values():
  raw = own.get_config('gce')
  config = choose.complete(check.check_config(raw), info())
  assert config.loss.hparams == {'q': 0.7}
  assert dataclasses.asdict(config)['left'] == ()


@pytest.mark.parametrize(
  'path', ['/data/my flowers/', 'my flowers', 'a\\my flowers']
)
def test_the_path_names_the_data(path):
  config = own.get_config()
  config.data.path = path
  assert config.data.name == 'my flowers'
  config.data.path = '..'
  assert config.data.name == 'my flowers'
  config.data.name = 'roses'
  config.data.path = 'elsewhere'
  assert config.data.name == 'roses'
