# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
import hypothesis

# A busy machine exceeds the deadline of an example, and speed is the benchmarks' to show.
hypothesis.settings.register_profile("unit", deadline=None)
hypothesis.settings.load_profile("unit")
