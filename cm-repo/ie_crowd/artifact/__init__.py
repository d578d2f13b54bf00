"""Make the artifact: assemble result.json from the runs, and write what lies beside it.

assemble         result.json
bundle           everything below, in order, each by rename
cm_output        cm-output.json for ``cm run experiment``
ro_crate         ro-crate-metadata.json
report_html      report.html
verdict_text     a verdict as terminal table, Markdown or page
statement        a verdict as an in-toto statement, and its signature
learning_curves  learning curves as SVG
"""
