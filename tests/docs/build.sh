#!/usr/bin/env bash
# Builds docs/ as a book in target/docs/book, with the documents beside it that its pages link to, and checks every link.
#
#   bash tests/docs/build.sh
#
# Takes mdbook from MDBOOK, the path, or crates.io (mdbook 0.5.4, MPL-2.0, into target/docs; a few minutes at first). `mdbook serve`
# shows the pages of docs/ alone, while they are written.
set -euo pipefail
cd "$(dirname "$0")/../.."

VERSION=0.5.4
mdbook=${MDBOOK:-$(command -v mdbook || true)}
if [[ -z $mdbook ]]; then
  mdbook=$PWD/target/docs/bin/mdbook
  [[ -x $mdbook ]] || cargo install mdbook --version "$VERSION" --locked --no-default-features --features search --root target/docs
fi
"$mdbook" --version
python3 tests/docs/book.py stage target/docs/stage
rm -rf target/docs/book
"$mdbook" build --dest-dir "$PWD/target/docs/book" target/docs/stage
python3 tests/docs/book.py check target/docs/book
