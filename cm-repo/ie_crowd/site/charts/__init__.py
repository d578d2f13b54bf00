"""Charts as SVG, drawn on the server, so that pages need no script.

svg        axes, markers, confidence intervals
points     scatter of two axes
by_labels  a metric against the number of labels
standalone a chart as a file of its own
png        SVG to PNG
"""
