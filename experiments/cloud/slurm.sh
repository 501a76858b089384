#!/usr/bin/env bash
# One run on Slurm: 2 hosts with 8 GPUs, one task a GPU, which train as one. They
# find each other automatically. Rendered and checked (bash -n, shellcheck), not
# run.
#
#   sbatch experiments/cloud/slurm.sh --config=configs/cifar10.py:sl,symmetric,0.4
#
# --signal sends SIGTERM to the tasks 2 minutes before the time is up: they save
# their run and end with 75; such a job is put into the queue again.
#SBATCH --job-name=sce-jax
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=runs/slurm-%j.log
set -u

code=0
srun .venv/bin/python launch.py "$@" || code=$?
if [ "$code" -eq 75 ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
