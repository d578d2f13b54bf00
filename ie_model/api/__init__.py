"""The library: what `from ie_model import …` gives, and what the command line is made of.

runs      train a model, load a finished run or a published result's weights, ask it
exported  encoder, posterior and decoder as programs of torch.export and ONNX
"""
