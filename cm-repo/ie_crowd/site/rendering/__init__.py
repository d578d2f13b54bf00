"""How templates show values.

context       what every template gets
present       filters: numbers, units, dates, ids
citations     BibTeX, CFF, JSON-LD and badges
links         addresses, on a server and in static files
assets        style sheet and pictures
visible_text  people's texts with invisible characters spelled out
evidence      a result's level, and who reproduced it
issued        whether a result's label draws were issued to a commitment
holds         whether the paper holds, by what results
side_by_side  several results, with the best of each metric
result_files  curves and figures from a results folder
"""
