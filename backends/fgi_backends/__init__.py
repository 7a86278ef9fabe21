"""One package per framework, the same files and the same names in each.

A backend is a plain module: ``fgi_backends.torch``, ``jax``, ``tensorflow`` and ``numpy`` satisfy
``fgi.backend.Backend``, which mypy checks. Each imports its framework at the top, and none imports
the core.

    __init__.py     the array namespace: element-wise functions under their array-API names
    transforms.py   differentiation, compilation, the time loop
    native.py       the framework's own custom-gradient mechanism
    modes.py        every way to run and differentiate a function, as data; mode.py: what one is
    face.py         a surrogate as an object of the framework's own kind; the one beside this file:
                    what they share; Keras, which runs on the others, has nothing else
"""
