"""Data sets of images from the web, too large to be held in memory as files.

listing.py       what a data set's own lists say, whoever reads them
clothing1m.py, animal10n.py, food101n.py, webvision.py    readers of such lists
archives.py      image files that lie in folders or in tars
preparation.py   images made small, once, in shards that can be continued
prepared.py      the folder that this leaves
choosing.py      which of the examples are trained on
reading.py       all of it together: a source
"""
