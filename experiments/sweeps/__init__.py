"""Many runs: planned, handed out to processes, resumed.

request.py is the door. expand.py says which runs, manifest.py writes them down,
jobs.py groups them into processes, driver.py sees each to its end, an executor
(local.py, ray_cluster.py) says where, and worker.py, which alone needs jax, is
what a process does.
"""
