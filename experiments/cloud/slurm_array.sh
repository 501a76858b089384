#!/usr/bin/env bash
# A sweep on Slurm: an array job, each task of which takes its share of a
# manifest, on one GPU. Rendered and checked (bash -n, shellcheck), not run.
#
#   python launch.py sweep --config=configs/mnist.py --executor=print
#   sbatch --array=0-15 experiments/cloud/slurm_array.sh runs/sweep-mnist.jsonl
#
# The first writes the manifest. Any other array than 0-N is refused: a share would
# be left out. What has ended is skipped; the second command, given again, resumes.
#SBATCH --job-name=sce-jax-sweep
#SBATCH --ntasks=1
#SBATCH --gpus=1
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=runs/slurm-%A-%a.log
set -eu

if [ "$SLURM_ARRAY_TASK_MIN" -ne 0 ] ||
  [ "$SLURM_ARRAY_TASK_MAX" -ne $((SLURM_ARRAY_TASK_COUNT - 1)) ]; then
  echo 'error: use --array=0-N' >&2
  exit 2
fi
manifest=$1
shift
exec .venv/bin/python launch.py sweep --manifest="$manifest" \
  --shard="$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" "$@"
