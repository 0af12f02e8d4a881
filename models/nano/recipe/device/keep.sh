#!/bin/bash
# Keeps pieces of the assets that travelled with this call for the next. From the repository's root.
mkdir -p /tmp/nano/pieces && cp build/nano/assets/* /tmp/nano/pieces/ && ls -l /tmp/nano/pieces && nvidia-smi -L && df -h /dev/shm /tmp | cat && nproc
