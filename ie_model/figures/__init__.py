"""The figures of a run.

draw     all of them, as PNG and SVG files
mosaics  figures made of images
plots    figures made of points and lines
"""
