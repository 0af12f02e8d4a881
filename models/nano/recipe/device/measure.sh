#!/bin/bash
# Times steps of the training (measure.py). From the repository's root, after keep.sh. measure.sh SECONDS
set -u
export PYTHONUNBUFFERED=1 TOKENIZERS_PARALLELISM=false OMP_NUM_THREADS=1 PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
cd models/nano || exit 1
python3 -m recipe unpack --pieces /tmp/nano/pieces --assets /tmp/nano/assets && python3 -m recipe.device.measure /tmp/nano/assets 13 "$1"
