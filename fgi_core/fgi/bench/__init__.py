"""What fgi costs, against each framework's own mechanism and against the machine's limit.

mechanisms.py  ways to have a value and another gradient
workloads.py   what is computed, once for every framework
measure.py     one group of cells in one process, its mechanisms in turns
runner.py      every function in a process of its own, each group kept when finished
report.py      what finished rows say: ratios, and the summary for the screen
page.py        pages of results; figures.py: their pictures

How a framework runs and times a function is in ``fgi_backends.<framework>.measure.timing``.
"""
