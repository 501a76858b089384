"""Many runs, each a launch.py command: planned, handed out, taken up again.

manifest.py says which commands, driver.py sees each of them to its end, and an
executor (local.py) says where they run. None of this needs jax.
"""
