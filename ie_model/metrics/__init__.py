"""What a trained model is measured by; ``evaluate`` applies it.

scores      each metric as a pure function of arrays
probes      small classifiers that read the class from a representation
judge       the network that judges swapped images
transforms  known transformations
inference   q(v|r,x), f(x), q(y|x), bounds for many images
likelihood  estimates of log p(x | y) and log p(x)
"""
