"""Names of classes that some noises ask for, as their data sets have them."""

CIFAR10 = (
  'airplane',
  'automobile',
  'bird',
  'cat',
  'deer',
  'dog',
  'frog',
  'horse',
  'ship',
  'truck',
)
