#!/bin/bash
# Builds the native addon, the freeze watchdog and the program that tells a host of a first boot, and puts them beside this script, or into the directory given as first argument. Quick when nothing changed; silent when fine.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
into=${1:-$here}
command -v cargo > /dev/null || { echo 'addon: cargo is missing; install Rust 1.88 or newer (rustup.rs)' >&2; exit 1; }
cargo build --quiet --release --locked --manifest-path "$here/Cargo.toml" --target-dir "$here/target"
cargo build --quiet --release --locked --manifest-path "$here/../tell/Cargo.toml" --target-dir "$here/target"
mkdir -p "$into"
# beside and renamed: a process that has the old one loaded keeps it
place() {
  cmp -s "$1" "$into/$2" || { cp "$1" "$into/.$2.$$" && mv "$into/.$2.$$" "$into/$2"; }
}
place "$here/target/release/liblandfall_posix.so" landfall-posix.node
place "$here/target/release/landfall-thaw" landfall-thaw
place "$here/target/release/landfall-tell" landfall-tell
