"""Evidence of results: the files that they rest on, and the machine of the operator that looks at them.

taken    which files of a result are taken
files    weights, predictions, histories, pictures under their hash, in a folder beside the store
bucket   the same in S3-compatible storage
folders  what of it lies in folders of results on this machine
queue    verifications that wait, who works on them, and what they found; in the store
sandbox  a child without network, that writes into one folder only, where the system can do that
job      one verification, in that child: recompute or rerun by the rules, and what came out
alike    whether predictions of two results are too much the same to be of weights of their own
image_intervals  over draws and test images, of what was recomputed here
plausible  what is better than validation images or the reference allow
worker   takes verifications from the queue, one after the other
backup   a store and its evidence in one file, and back
"""
