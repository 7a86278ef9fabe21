"""What the tests share."""

import os

# Before any framework starts: their start-up messages are not the tests'.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
# Two workers on two cores: threads of one would wait for those of the other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
