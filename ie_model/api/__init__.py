"""The library: what `from ie_model import …` gives, and what the command line is made of.

runs        train a model, load a finished run or a published result's weights, ask it
sources     where a data set's files are, before torch is there
model_card  a run as a folder for a model hub
trackers    a run's history for TensorBoard, MLflow, Weights & Biases
croissant   what the data sets are, for catalogues
commands    `ie-model export` and `log`
exported    encoder, posterior and decoder as programs of torch.export and ONNX
"""
