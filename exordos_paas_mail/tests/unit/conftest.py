# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
import os
import typing as tp

import hypothesis

# A busy machine exceeds the deadline of an example, and speed is the benchmarks' to show.
hypothesis.settings.register_profile("unit", deadline=None)
hypothesis.settings.load_profile("unit")


def _leave_it_to_the_kernel(fd: tp.Any) -> None:
    pass


# What a test writes need not survive a power cut.
os.fsync = _leave_it_to_the_kernel
