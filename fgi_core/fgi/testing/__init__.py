"""Whether a surrogate does what it says: in every framework, mode and dtype; for your tests and CI.

    import fgi.testing

    fgi.testing.assert_gradients_match(hat(width=0.5))
    print(fgi.testing.check([hat(), fgi.surrogates.ATan()], dtypes=["float32"]))

``subjects.py``     what can be checked
``points.py``       where it is looked at
``references.py``   what is right there: the definition in float64
``bounds.py``       how far from it a number may be, one table
``cell.py``         one framework, mode and dtype
``engine.py``       runs a cell for many subjects at once
``judge.py``        compares what comes out with what is right
``between.py``      frameworks against each other, for functions that nobody has defined
``diagnosis.py``    from wrong numbers to a cause
``report.py``       rows, tables, JSON, JUnit
``isolation.py``    the same in worker processes, which may crash or hang
``linearity.py``    whether a rule of ``fgi.custom_jvp`` is linear
``conformance/``    whether a backend is one, for whoever writes it

This package needs NumPy, and is loaded on first use.
"""

from ..moved import keep_old_names
from .api import assert_gradients_match, assert_value_exact, check
from .bounds import TABLE as BOUNDS, Bound
from .conformance import backend_conformance, conformance_test
from .linearity import assert_linear, checking
from .modes import modes
from .report import Element, Failure, Report, Row
from .subjects import Subject, load

__all__ = [
    "BOUNDS",
    "Bound",
    "Element",
    "Failure",
    "Report",
    "Row",
    "Subject",
    "assert_gradients_match",
    "assert_linear",
    "assert_value_exact",
    "backend_conformance",
    "check",
    "checking",
    "conformance_test",
    "load",
    "modes",
]

keep_old_names(__name__)
