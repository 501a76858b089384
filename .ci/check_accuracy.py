"""Fails unless a finished run reached a test accuracy.

python .ci/check_accuracy.py WORKDIR ACCURACY
"""

import json
import pathlib
import sys

folder, wanted = pathlib.Path(sys.argv[1]), float(sys.argv[2])
accuracy = json.loads((folder / 'result.json').read_text())['test_accuracy']
print(f'{folder}: test accuracy {accuracy}, wanted {wanted}')
sys.exit(accuracy < wanted)
