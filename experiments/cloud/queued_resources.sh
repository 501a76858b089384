#!/usr/bin/env bash
# A run on a Cloud TPU v5e slice of 16 chips (4 hosts), with gcloud alone.
# Rendered and checked (bash -n, shellcheck), not run.
#
#   export PROJECT=... ZONE=us-west4-a BUCKET=...
#   experiments/cloud/queued_resources.sh create   # asks for the slice, on spot
#   experiments/cloud/queued_resources.sh status   # until it says ACTIVE
#   experiments/cloud/queued_resources.sh setup    # code and packages, each host
#   experiments/cloud/queued_resources.sh run      # given again, it resumes
#   experiments/cloud/queued_resources.sh delete   # it costs until then
set -euo pipefail

: "${PROJECT:?} ${ZONE:?} ${BUCKET:?}"
NAME=${NAME:-sce-jax}
TYPE=${TYPE:-v5litepod-16}
# v5e: v2-alpha-tpuv5-lite; v5p: v2-alpha-tpuv5; v6e: v2-alpha-tpuv6e; v4:
# tpu-ubuntu2204-base (cloud.google.com/tpu/docs/runtimes).
RUNTIME=${RUNTIME:-v2-alpha-tpuv5-lite}
CONFIG=${CONFIG:-configs/cifar10.py:sl,symmetric,0.4}
where=(--project="$PROJECT" --zone="$ZONE")

on_every_host() {
  gcloud compute tpus tpu-vm ssh "$NAME" "${where[@]}" --worker=all --command="$1"
}

case ${1:-} in
  create)
    gcloud compute tpus queued-resources create "$NAME" "${where[@]}" \
      --node-id="$NAME" --accelerator-type="$TYPE" \
      --runtime-version="$RUNTIME" --spot
    ;;
  status)
    gcloud compute tpus queued-resources describe "$NAME" "${where[@]}" \
      --format='value(state.state)'
    ;;
  setup)
    code=$(mktemp --suffix=.tar.gz)
    trap 'rm -f "$code"' EXIT
    git archive --format=tar.gz --prefix=sce_jax/ --output="$code" HEAD
    gcloud compute tpus tpu-vm scp "$code" "$NAME":sce_jax.tar.gz "${where[@]}" \
      --worker=all
    on_every_host "set -e
      tar -xzf sce_jax.tar.gz
      curl -LsSf https://astral.sh/uv/install.sh | sh
      ~/.local/bin/uv venv --allow-existing --python=3.11 sce_jax_env
      ~/.local/bin/uv pip install --python=sce_jax_env \
        -r sce_jax/requirements.txt 'jax[tpu]' gcsfs
      gcloud storage cp --recursive gs://$BUCKET/tfds/* tensorflow_datasets/"
    ;;
  run)
    on_every_host "cd sce_jax && TFDS_DATA_DIR=\$HOME/tensorflow_datasets \
      ../sce_jax_env/bin/python launch.py --config=$CONFIG \
      --workdir=gs://$BUCKET/runs/$NAME"
    ;;
  delete)
    gcloud compute tpus queued-resources delete "$NAME" "${where[@]}" --force \
      --quiet
    ;;
  *)
    echo "usage: $0 create|status|setup|run|delete" >&2
    exit 2
    ;;
esac
