#!/bin/sh
# Writes speech.wav: espeak-ng 1.51, sox 14.4.2; 16 kHz, mono, 16 bits.
cd "$(dirname "$0")" || exit 1
espeak-ng -v en-us -s 150 --stdout "A red car is waiting at the corner." |
  sox -t wav - -b 16 speech.wav rate 16000 gain -n -6 pad 0.2 0.3
