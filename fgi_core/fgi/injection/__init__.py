"""Forward gradient injection: the definition, and the functions that are made of it.

``expansion`` is the definition, and the file to read first. ``functions`` has ``inject`` and
``bypass``; ``custom_jvp`` and ``set_gradients`` are for several inputs. ``fast`` chooses a faster
path to the same numbers, where the framework has one and nothing can see the difference.
``inference`` decides where only values are computed. ``docs/paths.md`` says which path runs when.
"""

from .custom_jvp import CustomJVP, custom_jvp
from .fast import fast_paths_enabled, set_fast_paths, use_fast_paths
from .functions import bypass, inject, inject_as_published, stop_gradient, tangent
from .inference import inference_mode
from .set_gradients import set_gradients

__all__ = [
    "CustomJVP",
    "bypass",
    "custom_jvp",
    "fast_paths_enabled",
    "inference_mode",
    "inject",
    "inject_as_published",
    "set_fast_paths",
    "set_gradients",
    "stop_gradient",
    "tangent",
    "use_fast_paths",
]
