// glibc's helpers include this for their settings outside of glibc: all are in internal.h.
