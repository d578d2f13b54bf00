"""Pictures for other places: charts as files to take away, and what other sites show beside a link to a page here.

answer      how a picture is sent: its form, its ETag, what is said where none can be drawn
chart_files each chart as SVG, PNG and CSV
words       lines of text of a width, clipped
cards       the pictures for links (Open Graph), as SVG
open_graph  their addresses
"""
