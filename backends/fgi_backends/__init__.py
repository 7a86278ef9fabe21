"""One package per framework, the same files and the same names in each.

A backend is a plain module: ``fgi_backends.torch``, ``jax``, ``tensorflow`` and ``numpy`` satisfy
``fgi.backend.Backend``, which mypy checks. Each imports its framework at the top, and none imports
the core.

    __init__.py     the array namespace: element-wise functions under their array-API names
    transforms.py   differentiation and compilation
    scan.py         the time loop
    fast.py         what the framework has that is faster than the expansion
    private.py      the private names of the framework, each with what stands in where it is missing
    native.py       the framework's own custom-gradient mechanism
    measure/        every way to run, differentiate and time a function, as data
    module.py       (PyTorch; pytree.py and nnx.py in JAX, layer.py in Keras) a surrogate as an
                    object of the framework's own kind

Beside them: ``defaults.py``, what a backend need not write; ``adapter.py``, what those objects
share; ``moved.py``, the names of 0.1.
"""

from .moved import keep_old_names

keep_old_names(__name__)
