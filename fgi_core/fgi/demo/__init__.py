"""The main job: one spiking network, written once, trained in every framework that is installed.

training.py   the network of the demo, loss, a step: the same numbers for each framework
comparison.py each framework in turn: gradients, accuracy, time against the native mechanism
report.py     progress bars, the table, the figure
"""
