#!/bin/sh
# Copies what the core preset needs beside LibTorch (nlohmann-json, CLI11, Catch2, zlib) into
# build/prefix, to carry it to a GPU host that has no packages. There:
#   cmake --preset core -DCMAKE_PREFIX_PATH=$PWD/build/prefix -DLV_TORCH_ROOT=<site-packages>/torch
# `pack_prefix.sh text` adds what tokenizers and templates need (PCRE2, ICU, XGrammar; 37 MB): with it, -DLV_TEXT=ON
# -DLV_XGRAMMAR_ROOT=$PWD/build/prefix/xgrammar.
set -eu
cd "$(dirname "$0")/../.."
libraries="/usr/lib/$(gcc -print-multiarch)"
rm -rf build/prefix
mkdir -p build/prefix/include build/prefix/lib build/prefix/share/cmake
cp -r /usr/include/nlohmann /usr/include/CLI /usr/include/catch2 build/prefix/include
cp /usr/include/zlib.h /usr/include/zconf.h build/prefix/include
cp "$libraries/libz.a" build/prefix/lib
cp -r /usr/share/cmake/nlohmann_json /usr/share/cmake/CLI11 build/prefix/share/cmake
if [ "${1:-}" = text ]; then
  cp -r /usr/include/unicode /usr/include/pcre2.h build/prefix/include
  cp "$libraries/libicuuc.a" "$libraries/libicudata.a" "$libraries/libpcre2-8.a" build/prefix/lib
  cp -r .deps/xgrammar build/prefix/xgrammar
fi
du -sh build/prefix
