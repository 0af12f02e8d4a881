#!/bin/sh
# On a GPU host with LibTorch in Python's torch and build/prefix of pack_prefix.sh: builds the core
# preset (with tokenizers, if that was packed), runs its tests, and compares FIXTURES (folders) with the reference on the CPU and the GPU.
#   tests/gpu/core_check.sh FIXTURE...
set -u
cd "$(dirname "$0")/../.." || exit 1
torch=$(python3 -c 'import torch; print(torch.__path__[0])')
broken=0
text=
[ ! -d build/prefix/xgrammar ] || text="-DLV_TEXT=ON -DLV_XGRAMMAR_ROOT=$PWD/build/prefix/xgrammar"
start=$(date +%s)
# shellcheck disable=SC2086  # two words
cmake --preset core $text -DCMAKE_PREFIX_PATH="$PWD/build/prefix" -DLV_TORCH_ROOT="$torch" -DLV_CUDA=ON > build/core.log 2>&1 &&
  ninja -C build/core >> build/core.log 2>&1 || { tail -n 40 build/core.log; exit 1; }
echo "built in $(($(date +%s) - start)) s"
ctest --test-dir build/core -LE slow --output-on-failure > build/core-tests.log 2>&1 || broken=1
tail -n 25 build/core-tests.log
for place in "cpu float32" "cuda float32" "cuda bfloat16"; do
  # shellcheck disable=SC2086  # two words
  echo "== parity on $place"
  build/core/apps/longview parity --device ${place% *} --dtype ${place#* } "$@" || broken=1
done
exit $broken
