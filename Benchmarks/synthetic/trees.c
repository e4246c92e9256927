// Binary trees of growing depth, built and freed as a whole while one big tree lives: nothing but small equal blocks, linked.
// SPDX-License-Identifier: Apache-2.0
#include "synthetic.h"

struct node {
  struct node *left, *right;
};

static struct node *grown(int depth) {
  struct node *node = (struct node *)malloc(sizeof *node);
  if (!node) fail("out of memory");
  node->left = depth ? grown(depth - 1) : 0;
  node->right = depth ? grown(depth - 1) : 0;
  return node;
}

static long felled(struct node *node) {
  long count = 1;
  if (node->left) count += felled(node->left) + felled(node->right);
  free(node);
  return count;
}

static void trees(int index) {
  (void)index;
  enum { DEEPEST = 20 };
  struct node *lasting = grown(DEEPEST);
  for (int depth = 4; depth <= DEEPEST; depth += 4)
    for (long left = scaled(2e7) >> (depth + 1); left >= 0; left--)
      if (felled(grown(depth)) != (2L << depth) - 1) fail("a tree lost nodes");
  if (felled(lasting) != (2L << DEEPEST) - 1) fail("the lasting tree lost nodes");
}

int main(int count, char **values) {
  begin(count, values);
  on_threads(threads, trees);
}
