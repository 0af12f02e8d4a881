#!/bin/sh
# Copies what the core preset needs beside LibTorch (nlohmann-json, CLI11, Catch2, zlib) into
# build/prefix, to carry it to a GPU host that has no packages. There:
#   cmake --preset core -DCMAKE_PREFIX_PATH=$PWD/build/prefix -DLV_TORCH_ROOT=<site-packages>/torch
set -eu
cd "$(dirname "$0")/../.."
rm -rf build/prefix
mkdir -p build/prefix/include build/prefix/lib build/prefix/share/cmake
cp -r /usr/include/nlohmann /usr/include/CLI /usr/include/catch2 build/prefix/include
cp /usr/include/zlib.h /usr/include/zconf.h build/prefix/include
cp "/usr/lib/$(gcc -print-multiarch)/libz.a" build/prefix/lib
cp -r /usr/share/cmake/nlohmann_json /usr/share/cmake/CLI11 build/prefix/share/cmake
du -sh build/prefix
