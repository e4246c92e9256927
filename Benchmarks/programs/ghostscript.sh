# shellcheck shell=bash
# Ghostscript: PostScript with many paths, texts and fonts becomes a PDF, which is then rendered.
# SPDX-License-Identifier: Apache-2.0

convert() {
  "$@" gs -q -dBATCH -dNOPAUSE -sDEVICE=pdfwrite -o document.pdf -c "/pages $(pick 3 30) def" \
    -f "$BENCHMARKS/programs/ghostscript/document.ps"
}

# The pages one after the other, in a single file.
render() { "$@" gs -q -dBATCH -dNOPAUSE -sDEVICE=pgmraw -r100 -o - document.pdf; }

prepare() {
  convert
  render | sha256sum >expected
}

run() {
  convert measured
  render measured | sha256sum | cmp - expected
}
