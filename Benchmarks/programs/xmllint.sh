# shellcheck shell=bash
# xmllint: a document is parsed into a tree, searched by XPath, and written formatted.
# SPDX-License-Identifier: Apache-2.0

# A catalogue of books, always the same.
document() {
  awk -v books="$(pick 8000 80000)" 'BEGIN {
    srand(42)
    print "<catalogue xmlns:x=\"urn:example\">"
    for (book = 1; book <= books; book++) {
      printf "<book id=\"b%d\" x:shelf=\"%d\"><title>Title %d of %d</title>", book, book % 97, book * 7919 % 10007, book
      for (author = 0; author < 1 + int(rand() * 3); author++)
        printf "<author><first>First%d</first><last>Last%d</last></author>", rand() * 500, rand() * 5000
      printf "<price currency=\"EUR\">%.2f</price><!-- stock %d -->", rand() * 100, rand() * 50
      for (part = 0; part < int(rand() * 6); part++)
        printf "<part n=\"%d\">Some text &amp; an entity, <em>mixed</em> with %d elements.</part>", part, rand() * 1000
      print "</book>"
    }
    print "</catalogue>"
  }'
}

search() {
  "$@" xmllint document.xml \
    --xpath "count(//part[em]) + sum(//book[count(author) > 2]/price) + count(//book[starts-with(author/last, 'Last1')])"
}

format() { "$@" xmllint --format document.xml; }

prepare() {
  document >document.xml
  search >expected
  format >>expected
}

run() {
  search measured >output
  format measured >>output
  cmp expected output
}
