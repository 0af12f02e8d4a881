#!/bin/bash
# Copies what /tmp/nano/run holds to $OUT in files below 16 MiB: weights-NN (join with cat), step.json, losses.jsonl.xz, predictions.jsonl.xz, log.txt.
run=/tmp/nano/run
rm -f "$OUT"/weights-*
[ -f $run/nano.safetensors ] && split -b 15M -d $run/nano.safetensors "$OUT/weights-"
cp $run/step.json "$OUT/" 2>/dev/null
for lines in losses predictions; do
    [ -f $run/$lines.jsonl ] && xz -1 -c $run/$lines.jsonl > "$OUT/$lines.jsonl.xz"
done
tail -c 200000 $run/log.txt > "$OUT/log.txt"
tail -n 1 $run/losses.jsonl | cut -c1-700
tail -n 5 $run/log.txt
[ ! -f $run/scores.txt ] || cat $run/scores.txt
