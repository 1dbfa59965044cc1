# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
import functools
import gc
import os
import typing as tp

import hypothesis
from cryptography.hazmat.primitives import serialization

# A busy machine exceeds the deadline of an example, and speed is the benchmarks' to show.
hypothesis.settings.register_profile("unit", deadline=None)
hypothesis.settings.load_profile("unit")

# Modules and thousands of tests are not garbage, and each look walks through some of them.
gc.set_threshold(20_000)


def _leave_it_to_the_kernel(fd: tp.Any) -> None:
    pass


# What a test writes need not survive a power cut.
os.fsync = _leave_it_to_the_kernel

# An RSA key is checked when it is loaded, for 40 ms; most tests load one that was checked before.
_load: tp.Any = functools.lru_cache(serialization.load_pem_private_key)
serialization.load_pem_private_key = _load
