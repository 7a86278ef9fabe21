"""The main job: one spiking network, written once, trained in every framework that is installed.

digits.py     the data: scikit-learn's handwritten digits as sequences
network.py    the network: recurrent adaptive neurons, in operators and ``fgi``
training.py   initial weights, loss, Adam, epochs: the same numbers for each framework
comparison.py each framework in turn: gradients, accuracy, time against the native mechanism
report.py     progress bars, the table, the figure
"""
