"""The config file of small runs, to which a test adds its sweeps."""

CONFIG = """
from configs import digits

def get_config(argument=None):
  c = digits.get_config(argument)
  c.data.limit = 64
  c.train.epochs = 4
  c.train.batch_size = 32
  c.checkpoint.every = 1
  return c
"""
