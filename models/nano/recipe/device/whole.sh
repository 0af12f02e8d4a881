#!/bin/bash
# Starts a whole training that outlives this call, and then predictions of held-out items; back.sh fetches what there is. From the repository's root, after keep.sh.
# whole.sh MINUTES EVALUATION_SECONDS [--compile]
set -u
export PYTHONUNBUFFERED=1 TOKENIZERS_PARALLELISM=false OMP_NUM_THREADS=1 PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
run=/tmp/nano/run
mkdir -p $run
cp -r models/nano /tmp/nano/source
cd /tmp/nano/source || exit 1
python3 -m recipe unpack --pieces /tmp/nano/pieces --assets /tmp/nano/assets || exit 1
setsid bash -c "
python3 -m recipe train --assets /tmp/nano/assets --out $run --minutes $1 --workers 13 ${3:-}
echo training: \$?
timeout $(($2 + 60)) python3 -m recipe predict --assets /tmp/nano/assets --weights $run/nano.safetensors --items 400 --keep 1 .25 .1 --questions 5 \
    --workers 13 --seconds $2 --out $run/predictions.jsonl
python3 -m recipe score $run/predictions.jsonl | python3 -c 'import json, sys
for keep, scores in json.load(sys.stdin).items():
    print(keep, {name: (round(s[\"value\"], 3), s[\"n\"]) for name, s in scores.items() if s[\"value\"] is not None})' > $run/scores.txt
touch $run/done" > $run/log.txt 2>&1 < /dev/null &
