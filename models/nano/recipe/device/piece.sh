#!/bin/bash
# One piece of the training, which goes on from /tmp/nano/run, and then predictions of held-out items. From the repository's root.
# piece.sh MINUTES [MORE: minutes of pieces to come] [EVALUATION: seconds]   (MINUTES * 60 + EVALUATION + 40 below the call's limit)
# Comes back in $OUT: weights-NN (join with cat), step.json, predictions.jsonl.xz, losses.jsonl.xz, log.txt.
set -u
minutes=$1 more=${2:-0} evaluation=${3:-60}
export PYTHONUNBUFFERED=1 TOKENIZERS_PARALLELISM=false OMP_NUM_THREADS=1 PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
export TORCHINDUCTOR_CACHE_DIR=/tmp/nano/inductor
run=/tmp/nano/run
mkdir -p $run

back() {
    rm -f "$OUT"/weights-*
    [ -f $run/nano.safetensors ] && split -b 15M -d $run/nano.safetensors "$OUT/weights-"
    cp $run/step.json "$OUT/" 2>/dev/null
    [ -f $run/losses.jsonl ] && xz -1 -c $run/losses.jsonl > "$OUT/losses.jsonl.xz"
    [ -f $run/predictions.jsonl ] && xz -1 -c $run/predictions.jsonl > "$OUT/predictions.jsonl.xz"
    tail -c 200000 $run/log.txt > "$OUT/log.txt"
}
trap back EXIT
trap 'exit 1' TERM INT
(sleep 575; kill -TERM $$) &
guard=$!
cd models/nano || exit 1
compiled=$(cat /tmp/nano/compiled 2>/dev/null)
python3 -m recipe train --assets /tmp/nano/assets --out $run --minutes "$minutes" --more "$more" --workers 14 $compiled >> $run/log.txt 2>&1 &
wait $!
echo "training: $?"
tail -3 $run/log.txt
tail -1 $run/losses.jsonl | cut -c1-900
back
if [ "$evaluation" -gt 0 ]; then
    timeout $((evaluation + 30)) python3 -m recipe predict --assets /tmp/nano/assets --weights $run/nano.safetensors --items 64 --keep 1 .25 \
        --workers 12 --seconds "$evaluation" --out $run/predictions.jsonl >> $run/log.txt 2>&1 &
    wait $!
    timeout 40 python3 -m recipe score $run/predictions.jsonl | python3 -c 'import json, sys
for keep, scores in json.load(sys.stdin).items():
    print(keep, {name: (round(s["value"], 3), s["n"]) for name, s in scores.items() if s["value"] is not None})' 2>&1
fi
kill $guard 2>/dev/null
