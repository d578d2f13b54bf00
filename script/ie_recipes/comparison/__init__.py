"""What several results gave, side by side.

recipes         the paper's recipe and this project's, as a table and a page
label_curve     error against the number of labels
"""
