#!/bin/bash
# Builds the native addon and puts it beside this script, or into the directory given as first argument. Quick when nothing changed; silent when fine.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
into=${1:-$here}
command -v cargo > /dev/null || { echo 'addon: cargo is missing; install Rust 1.88 or newer (rustup.rs)' >&2; exit 1; }
cargo build --quiet --release --locked --manifest-path "$here/Cargo.toml" --target-dir "$here/target"
built=$here/target/release/liblandfall_posix.so
mkdir -p "$into"
cmp -s "$built" "$into/landfall-posix.node" || {
  # beside and renamed: a process that has the old one loaded keeps it
  cp "$built" "$into/.landfall-posix.$$" && mv "$into/.landfall-posix.$$" "$into/landfall-posix.node"
}
