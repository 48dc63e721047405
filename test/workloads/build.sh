#!/bin/bash
# Unpacks the sources, builds them, removes every second tree, and again until it is ended: build.sh DIRECTORY
set -euo pipefail
cd "$1"
for ((round = 0; ; round++)); do
  tar -xf sources.tar
  mv source "tree-$round"
  for part in "tree-$round"/part-[0-4]; do
    (cd "$part" && gcc -c -O1 unit-*.c && ar rcs parts.a unit-*.o && rm unit-*.o)
    cat "tree-$round"/part-*/*.c > "tree-$round/everything" || true
  done
  if ((round % 2 == 1)); then rm -rf "tree-$round"; fi
done
