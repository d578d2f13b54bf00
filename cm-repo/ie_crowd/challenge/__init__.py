"""A challenge as its YAML files state it. Read and validated here; judged in ``check``.

model         the types: Challenge, Task, Metric, Pin
load          find a challenge's folder and read rules.yaml
fields        validation of YAML fields and of configuration types
bands         reference bands of rules.yaml
claims        claims.yaml
evidence      evidence levels, and what the rules ask of them
issued        label draws that a server issues
fixed         settings that a rank asks for though a division leaves them free
measured      what a rank asks of how a result is measured, and of the rules it names
moments       from when on a key of the policy stands
captions      captions.yaml: what curves and figures show
verification  the commands that recompute or rerun a result
paper_pages   pages.yaml: the texts about the paper, and published numbers
"""
