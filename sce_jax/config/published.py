"""What papers use where: hyper-parameters by method, data set, noise and rate.

One place, with the source of each number; base.py takes them from here. Where a
paper says nothing of a data set the values for CIFAR-10 are used. That is so of
all methods on ANIMAL-10N and Food-101N: ANL has a figure on the one, but its
public code no settings for it, and no other source below has any for either.

A setting that differs by rate is that of the nearest rate in the paper; where
nobody knows the rate, that of clean labels. Methods that have such settings are
marked in tables (Spec.tuned_per_rate, Spec.tuned_per_kind): nobody knows the
noise of real data. Methods that are told the rate get the share of all labels
that is wrong (rates.py), and none where it is not known: it must be given.

Sources, as they are called below:
  D2L   xingjunm/dimensionality-driven-learning, train_models.py
  SCE   YisenWang/symmetric_cross_entropy_for_noisy_labels
  APL   HanxunH/Active-Passive-Losses, configs/*/sym/*.yaml
  ANL   Virusdoll/Active-Negative-Loss, config/*.json
  EPS   cswjl/eps-softmax, config.py; it has the losses before it as baselines.
        LDR-KL on WebVision is in its first version only. Its LogitClip has
        another threshold, see methods/loss_wrappers.py; its paper's GCE on
        CIFAR-100 has q = 0.5, 0.5, 0.7, 0.7, 0.9 by rate, its code 0.7
  JAL   cswjl/joint-asymmetric-loss, config.py
  SR    hitcszx/lnl_sr, config.py and main.py; on CIFAR-100 its issue 2, with
        which main.py agrees but config.py, 10 for both kinds, does not
  GJS   ErikEnglesson/GJS, scripts/*/*/*.yaml; its runs are of 400 epochs with
        RandAugment and cutout on a PreActResNet, so these are no APL settings
  SOP   shengliu66/SOP, README, for its loss of today: under asymmetric noise
        rate_u is 0.1 where the paper, and an older README beside another loss,
        have 1. It is of SOP+, and of CIFAR-100 only. CIFAR-10 and Clothing1M
        are at second hand, from october25kim/no-clean-oracle, which transcribes
        the paper's table A.1
  PEER  weijiaheng/Multi-class-Peer-Loss-functions, */runner.py; best network by
        noisy validation labels, not the last one
  VOL   xuefeng-li1/Provably-end-to-end-label-noise-learning-without-anchor-
        points, main.py; best network by noisy validation labels
  JoCoR hongxin001/JoCoR, README and algorithm/jocor.py; nine layers, Adam
  ELR   shengliu66/ELR, ELR/config_*.json; ResNet-34, weight decay 1e-3
  DAL   XiuchuanLi/DAL, cifar.py and webvision.py; of others' losses, too. On
        CIFAR DAL's own default is that of CIFAR-100: what it had on CIFAR-10
        is not known

MAE alone is 2 (1 - p_y), as in EPS: twice that of APL and ANL.
  TREV  xiaoboxia/T-Revision, main.py and tools.py
"""

from collections.abc import Mapping
import math
from typing import Any

from sce_jax.config import rates
from sce_jax.noise import FROM_PROBABILITIES

Values = Mapping[str, Any]

# log 0 as both public codes have it: they clip a one-hot label at 1e-4. The
# paper's text speaks of -4 (benchmarks) and -6 (CIFAR-10 analysis). It is
# losses.LOG_ZERO_PUBLIC_CODES, which cannot be imported here without jax.
PUBLIC_CODES_LOG_ZERO = math.log(1e-4)
_RCE = {'log_zero': PUBLIC_CODES_LOG_ZERO}
_FOCAL = {'gamma': 0.5, 'detach': True}  # APL, and all codes after it.
_EPS = {'floor': 1e-8}  # EPS.
_EPS_FOCAL = {**_EPS, **_FOCAL, 'gamma': 0.1}

_ANYWHERE: Mapping[str, Values] = {
  'rce': _RCE,
  'focal': _FOCAL,
  'nfl': _FOCAL,
  'nnfl': _FOCAL,
  'mixup': {'concentration': 1.0},  # facebookresearch/mixup-cifar10.
}

_MNIST: Mapping[str, Values] = {
  'sl': {'alpha': 0.01, 'beta': 1.0, **_RCE},  # SCE.
  'd2l': {'warm_up': 5},  # D2L.
  'agce': {'a': 4.0, 'q': 0.2},  # ANL, EPS.
  'aul': {'a': 3.0, 'q': 0.1},
  'ael': {'a': 3.5},
  'phuber': {'tau': 10.0},  # dmizr/phuber.
  'vol_min_net': {'optimizer': 'adam', 'factor': 1.0},  # VOL.
  # TREV: phases of 20, 100 and 200 epochs.
  't_revision': {'start': 20 / 320, 'revision': 120 / 320},
  # APL, ANL. Their MAE is 1 - p_y, half of ours, whose beta is half of theirs.
  'nce_rce': {'alpha': 1.0, 'beta': 10.0, **_RCE},
  'nce_mae': {'alpha': 1.0, 'beta': 5.0},
  'nfl_rce': {'alpha': 1.0, 'beta': 10.0, **_FOCAL, **_RCE},
  'nfl_mae': {'alpha': 1.0, 'beta': 5.0, **_FOCAL},
  # ANL, EPS: the weight of NCE is 0 on MNIST.
  'nce_agce': {'alpha': 0.0, 'beta': 1.0, 'a': 4.0, 'q': 0.2},
  'nce_aul': {'alpha': 0.0, 'beta': 1.0, 'a': 3.0, 'q': 0.1},
  'nce_ael': {'alpha': 0.0, 'beta': 1.0, 'a': 3.5},
  # ANL. With the entropy term it has no MNIST setting.
  'anl_ce': {'alpha': 1.0, 'beta': 1.0, 'l1': 1e-6},
  'anl_fl': {'alpha': 1.0, 'beta': 1.0, 'l1': 1e-6, **_FOCAL},
  # SR; logits are not normalised on MNIST.
  'ce_sr': {
    'temperature': 0.1,
    'power': 0.1,
    'strength': 4.0,
    'growth': 2.0,
    'growth_epochs': 5,
    'normalize': False,
  },
  'gce_sr': {
    'q': 0.01,
    'temperature': 0.5,
    'power': 0.1,
    'strength': 3.0,
    'growth': 2.0,
    'growth_epochs': 5,
    'normalize': False,
  },
}

_CIFAR10: Mapping[str, Values] = {
  'sl': {'alpha': 0.1, 'beta': 1.0, **_RCE},  # SCE.
  'd2l': {'warm_up': 10},  # D2L.
  # APL. On MNIST it, and NCE, are scaled by 10 there, here they are not.
  'ngce': {'q': 0.1},
  # APL, ANL, EPS; half of their beta for our MAE.
  'nce_rce': {'alpha': 1.0, 'beta': 1.0, **_RCE},
  'nce_mae': {'alpha': 1.0, 'beta': 0.5},
  'nfl_rce': {'alpha': 1.0, 'beta': 1.0, **_FOCAL, **_RCE},
  'nfl_mae': {'alpha': 1.0, 'beta': 0.5, **_FOCAL},
  # ANL, EPS.
  'nce_agce': {'alpha': 1.0, 'beta': 4.0, 'a': 6.0, 'q': 1.5},
  'nce_aul': {'alpha': 1.0, 'beta': 4.0, 'a': 6.3, 'q': 1.5},
  'nce_ael': {'alpha': 1.0, 'beta': 4.0, 'a': 5.0},
  # ANL.
  'anl_ce': {'alpha': 5.0, 'beta': 5.0, 'l1': 5e-5},
  'anl_fl': {'alpha': 5.0, 'beta': 5.0, 'l1': 5e-5, **_FOCAL},
  'anl_ce_er': {'alpha': 5.0, 'beta': 5.0, 'l1': 5e-5, 'entropy': 2.0},
  # JAL.
  'jal_ce': {'alpha': 1.0, 'beta': 1.0, 'a': 30.0, 'l1': 5e-5},
  'jal_fl': {'alpha': 1.0, 'beta': 1.0, 'a': 30.0, 'l1': 5e-5, **_FOCAL},
  # SR.
  'ce_sr': {
    'temperature': 0.5,
    'power': 0.1,
    'strength': 1.2,
    'growth': 1.03,
    'growth_epochs': 1,
    'normalize': True,
  },
  'gce_sr': {
    'q': 0.01,
    'temperature': 0.5,
    'power': 0.1,
    'strength': 1.2,
    'growth': 1.03,
    'growth_epochs': 1,
    'normalize': True,
  },
}

_CIFAR100: Mapping[str, Values] = {
  'sl': {'alpha': 6.0, 'beta': 0.1, **_RCE},  # SCE.
  'd2l': {'warm_up': 20},  # D2L.
  'ngce': {'q': 0.7},  # APL.
  'phuber': {'tau': 10.0},  # dmizr/phuber.
  'taylor': {'order': 18},  # DAL.
  'bi_tempered': {'t1': 0.7, 't2': 1.5},  # DAL.
  'elr': {'decay': 0.9, 'strength': 7.0},  # ELR.
  'vol_min_net': {'optimizer': 'adam', 'init': 4.5},  # VOL.
  # TREV: phases of 15, 200 and 200 epochs, and anchors with outliers.
  't_revision': {
    'percentile': 100.0,
    'start': 15 / 415,
    'revision': 215 / 415,
  },
  'ldr_kl': {'temperature': 1.0},  # EPS.
  'gmm_selection': {'warm_up': 30},  # LiJunnan1992/DivideMix.
  # APL, ANL, EPS; half of their beta for our MAE. NCE+MAE is that of ANL and
  # EPS, whose tables others quote; APL's own beta is 1, so 0.5 here.
  'nce_rce': {'alpha': 10.0, 'beta': 0.1, **_RCE},
  'nce_mae': {'alpha': 10.0, 'beta': 0.05},
  'nfl_rce': {'alpha': 10.0, 'beta': 0.1, **_FOCAL, **_RCE},
  'nfl_mae': {'alpha': 10.0, 'beta': 0.5, **_FOCAL},  # APL only.
  # ANL, EPS.
  'nce_agce': {'alpha': 10.0, 'beta': 0.1, 'a': 1.8, 'q': 3.0},
  'nce_aul': {'alpha': 10.0, 'beta': 0.015, 'a': 6.0, 'q': 3.0},
  'nce_ael': {'alpha': 10.0, 'beta': 0.1, 'a': 1.5},
  # ANL.
  'anl_ce': {'alpha': 10.0, 'beta': 1.0, 'l1': 5e-7},
  'anl_fl': {'alpha': 10.0, 'beta': 1.0, 'l1': 5e-7, **_FOCAL},
  'anl_ce_er': {'alpha': 10.0, 'beta': 1.0, 'l1': 5e-7, 'entropy': 0.01},
  # JAL.
  'jal_ce': {'alpha': 5.0, 'beta': 1.0, 'a': 20.0, 'l1': 5e-6},
  'jal_fl': {'alpha': 5.0, 'beta': 1.0, 'a': 20.0, 'l1': 5e-6, **_FOCAL},
}

_WEBVISION: Mapping[str, Values] = {
  # APL, ANL, EPS; half of APL's beta for our MAE.
  'sl': {'alpha': 10.0, 'beta': 1.0, **_RCE},
  'nce_rce': {'alpha': 50.0, 'beta': 0.1, **_RCE},
  'nce_mae': {'alpha': 50.0, 'beta': 0.5},
  'nfl_rce': {'alpha': 50.0, 'beta': 0.1, **_FOCAL, **_RCE},
  'nfl_mae': {'alpha': 50.0, 'beta': 0.5, **_FOCAL},
  # ANL, EPS.
  'agce': {'a': 1e-5, 'q': 0.5},
  'nce_agce': {'alpha': 50.0, 'beta': 0.1, 'a': 2.5, 'q': 3.0},
  # ANL; the weights of ANL-FL are EPS's.
  'anl_ce': {'alpha': 20.0, 'beta': 1.0, 'l1': 5e-6},
  'anl_fl': {'alpha': 20.0, 'beta': 1.0, 'l1': 5e-6, **_FOCAL},
  # JAL, with weight decay and no L1 penalty.
  'jal_ce': {'alpha': 50.0, 'beta': 1.0, 'a': 30.0, 'l1': 0.0},
  'jal_fl': {'alpha': 50.0, 'beta': 1.0, 'a': 30.0, 'l1': 0.0, **_FOCAL},
  # EPS.
  'eps_ce_mae': {'alpha': 0.015, 'beta': 0.3, 'm': 1e3, **_EPS},
  'eps_fl_mae': {'alpha': 0.015, 'beta': 0.3, 'm': 1e3, **_EPS_FOCAL},
  'ce_lc': {'max_norm': 1.2},
  'ldr_kl': {'temperature': 1.0},
  # DAL.
  'dal': {'q_start': 0.4, 'q_end': 1.5},
  'ce_sr': {
    'temperature': 0.5,
    'power': 0.01,
    'strength': 2.0,
    'growth': 1.02,
    'growth_epochs': 1,
    'normalize': True,
  },
  # GJS, where neither is scaled on WebVision: about a tenth of ours.
  'gjs': {'weight': 0.1},
  'js': {'weight': 0.1},
  'gmm_selection': {'warm_up': 1},  # LiJunnan1992/DivideMix.
}

_CLOTHING1M: Mapping[str, Values] = {
  # EPS, all with weight decay: its ANL has no L1 penalty either.
  'gce': {'q': 0.6},
  'sl': {'alpha': 10.0, 'beta': 1.0, **_RCE},
  'agce': {'a': 1e-5, 'q': 0.5},
  'ldr_kl': {'temperature': 1.0},
  'nce_rce': {'alpha': 10.0, 'beta': 1.0, **_RCE},
  'nce_agce': {'alpha': 50.0, 'beta': 0.1, 'a': 2.5, 'q': 3.0},
  'anl_ce': {'alpha': 5.0, 'beta': 0.1, 'l1': 0.0},
  'anl_fl': {'alpha': 5.0, 'beta': 0.1, 'l1': 0.0, **_FOCAL},
  'eps_ce_mae': {'alpha': 0.012, 'beta': 0.1, 'm': 1e3, **_EPS},
  'eps_fl_mae': {'alpha': 0.012, 'beta': 0.1, 'm': 1e3, **_EPS_FOCAL},
  # JAL.
  'jal_ce': {'alpha': 5.0, 'beta': 0.1, 'a': 5.0, 'l1': 0.0},
  'jal_fl': {'alpha': 5.0, 'beta': 0.1, 'a': 5.0, 'l1': 0.0, **_FOCAL},
  'gmm_selection': {'warm_up': 1},  # LiJunnan1992/DivideMix.
  'sop': {'rate_u': 0.1, 'rate_v': 1.0},  # SOP.
}
_OWN = {
  'mnist': _MNIST,
  'cifar100': _CIFAR100,
  'cifar100_n': _CIFAR100,
  'webvision_mini': _WEBVISION,
  'clothing1m': _CLOTHING1M,
}

# SR on CIFAR-100; its strength is tuned to the kind of noise.
_SR_CIFAR100 = {
  'temperature': 0.5,
  'power': 0.01,
  'growth': 1.02,
  'growth_epochs': 1,
  'normalize': True,
}

# EPS: alpha by rate, on CIFAR-100. At 0.6 the code has 0.00125 and the paper
# 0.0125, which fits its neighbours; the table is the code's.
_EPS_SYMMETRIC = {0.0: 0.1, 0.2: 0.05, 0.4: 0.03, 0.6: 0.00125, 0.8: 0.0075}
_EPS_ASYMMETRIC = {0.1: 0.015, 0.2: 0.007, 0.3: 0.005, 0.4: 0.004}
# GJS: the label's weight by rate; what it predicts, or both views, have the
# rest.
_JS_CIFAR10 = {0.0: 0.1, 0.2: 0.7, 0.4: 0.7, 0.6: 0.9, 0.8: 0.9}
_JS_CIFAR100 = {0.0: 0.1, 0.2: 0.1, 0.4: 0.3, 0.6: 0.5, 0.8: 0.3}
_GJS_CIFAR10 = {0.0: 0.5, 0.2: 0.3, 0.4: 0.9, 0.6: 0.1, 0.8: 0.1}
_GJS_CIFAR100 = {0.0: 0.3, 0.2: 0.3, 0.4: 0.5, 0.6: 0.9, 0.8: 0.1}
_GJS_CIFAR100_ASYMMETRIC = {0.2: 0.5, 0.4: 0.1}
# JoCoR, on CIFAR-10; 0.9 also at asymmetric 0.4.
_JOCOR_CIFAR10 = {0.2: 0.9, 0.5: 0.9, 0.8: 0.65}


def presets(dataset: str, noise: str, rate: float) -> dict[str, Values]:
  """The hyper-parameters of each method that differ from its own defaults.

  Args:
    dataset: a data set's name.
    noise: a key of sce_jax.noise.NOISE, or the name of given labels, whose
      noise is taken for one of people.
    rate: its rate.
  """
  own = _OWN.get(dataset, {})
  is_cifar100 = own is _CIFAR100
  share = rates.overall(dataset, noise, rate)
  told = {} if share is None else {'forget_rate': share}
  people = rates.of_people(dataset, noise)
  rate = rate if people is None else people
  kind = _kind(noise)
  # PEER calls noise between pairs of classes sparse. On MNIST its schedule is 0
  # for as long as its code trains; that of CIFAR-10 is used.
  is_asymmetric = kind == 'asymmetric'
  schedule = 'sparse' if is_asymmetric else 'uniform'
  data = 'cifar100' if is_cifar100 else 'cifar10'
  by_noise: dict[str, Values] = {
    'co_teaching': told,
    'jocor': {
      **told,
      'weight': 0.85 if is_cifar100 else nearest(_JOCOR_CIFAR10, rate),
    },
    'peer': {'schedule': f'{data}_{schedule}'},
  }
  if is_cifar100:
    rate_u, rate_v = (0.1, 100.0) if is_asymmetric else (1.0, 10.0)
    by_noise['sop'] = {'rate_u': rate_u, 'rate_v': rate_v}
  elif is_asymmetric:
    by_noise['elr'] = {'decay': 0.9, 'strength': 1.0}
    by_noise['sop'] = {'rate_u': 10.0, 'rate_v': 100.0}
  tuned = (_cifar100 if is_cifar100 else _cifar10)(kind, rate)
  return {**_ANYWHERE, **by_noise, **_CIFAR10, **tuned, **own}


def _cifar10(kind: str, rate: float) -> dict[str, Values]:
  # EPS, which for labels of people says nothing: as for symmetric noise.
  alpha, beta, m = {
    'asymmetric': (0.02, 5.0, 1e3),
    'dependent': (0.045, 10.0, 1e5),
  }.get(kind, (0.01, 5.0, 1e5))
  max_norm = {'asymmetric': 2.5, 'people': 2.5, 'dependent': 2.0}.get(
    kind, 1.0 if rate < 0.5 else 1.5
  )
  is_asymmetric = kind == 'asymmetric'
  return _tuned(
    {'alpha': alpha, 'beta': beta, 'm': m},
    max_norm,
    0.3 if is_asymmetric else nearest(_GJS_CIFAR10, rate),
    0.3 if is_asymmetric else nearest(_JS_CIFAR10, rate),
  )


def _cifar100(kind: str, rate: float) -> dict[str, Values]:
  is_asymmetric = kind == 'asymmetric'
  alphas = _EPS_ASYMMETRIC if is_asymmetric else _EPS_SYMMETRIC
  weights = _GJS_CIFAR100_ASYMMETRIC if is_asymmetric else _GJS_CIFAR100
  sr = {**_SR_CIFAR100, 'strength': 10.0 if is_asymmetric else 4.0}
  return _tuned(
    {
      'alpha': nearest(alphas, rate),
      'beta': 1.0,
      'm': 1e2 if is_asymmetric else 1e4,
    },
    2.5 if is_asymmetric else 0.5,
    nearest(weights, rate),
    0.5 if is_asymmetric else nearest(_JS_CIFAR100, rate),
  ) | {'ce_sr': sr, 'gce_sr': {'q': 0.001, **sr}}


def _tuned(
  eps: Values, max_norm: float, gjs: float, js: float
) -> dict[str, Values]:
  return {
    'eps_ce_mae': {**eps, **_EPS},
    'eps_fl_mae': {**eps, **_EPS_FOCAL},
    'ce_lc': {'max_norm': max_norm},
    'gjs': {'weight': gjs},
    'js': {'weight': js},
  }


def _kind(noise: str) -> str:
  """What the papers would call a noise."""
  if noise.startswith('symmetric') or noise == 'clean':
    return 'symmetric'
  if noise.startswith(('asymmetric', 'random_matrix')) or noise == 'pair_flip':
    return 'asymmetric'
  if 'dependent' in noise or noise in (*FROM_PROBABILITIES, 'cluster_based'):
    return 'dependent'
  return 'people'


def nearest(values: Mapping[float, float], rate: float) -> float:
  """The value of the rate nearest to one; of two as near, the lower's."""
  # Rounded, so that 0.3 is as near to 0.2 as to 0.4.
  return values[min(sorted(values), key=lambda x: round(abs(x - rate), 9))]
