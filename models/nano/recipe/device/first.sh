#!/bin/bash
# Joins the assets, then measures real steps without and with compiled layers, and predictions. From the repository's root, after keep.sh.
# first.sh [SECONDS of each measurement]
set -u
seconds=${1:-35}
export PYTHONUNBUFFERED=1 TOKENIZERS_PARALLELISM=false OMP_NUM_THREADS=1 PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
export TORCHINDUCTOR_CACHE_DIR=/tmp/nano/inductor
mkdir -p /tmp/nano
df -h /dev/shm | tail -1
nproc
cd models/nano || exit 1
[ -f /tmp/nano/assets/stamps.json ] || python3 -m recipe unpack --pieces /tmp/nano/pieces --assets /tmp/nano/assets || exit 1
python3 -m recipe.measure --assets /tmp/nano/assets --seconds "$seconds" --out /tmp/nano/measured --workers 14
timeout 40 python3 -m recipe predict --assets /tmp/nano/assets --weights /tmp/nano/measured/nano.safetensors --items 2 --keep 1 --seconds 20 --out "$OUT/first.jsonl"
cut -c1-330 "$OUT/first.jsonl" | awk 'NR % 12 == 1' | head -6
cp /tmp/nano/measured/measured.json "$OUT/" 2>/dev/null
ls -l "$OUT"
