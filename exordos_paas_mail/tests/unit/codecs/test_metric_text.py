# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""codecs.metric_text, read back by the client library of Prometheus."""

from __future__ import annotations

import hypothesis
from hypothesis import strategies as st
from prometheus_client import parser

from exordos_paas_mail.codecs import metric_text

NAMES = st.from_regex(r"\A[a-z][a-z_]{0,9}\Z")
# The text is UTF-8, and a line ends with a line feed and nothing else.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=20)


@hypothesis.given(
    NAMES,
    st.dictionaries(NAMES, TEXTS, max_size=3),
    st.one_of(st.integers(0, 2**53), st.floats(allow_nan=False)),
)
def test_what_is_rendered_is_read_as_it_was_meant(
    name: str, labels: dict[str, str], value: float
) -> None:
    family = metric_text.Family(name, "gauge", "Help.", [metric_text.Sample(value, labels)])
    (read,) = parser.text_string_to_metric_families(metric_text.render([family]))
    assert (read.name, read.type, read.documentation) == (name, "gauge", "Help.")
    assert [(sample.labels, sample.value) for sample in read.samples] == [(labels, value)]


def test_a_sample_has_the_labels_of_all_and_its_own() -> None:
    families = [
        metric_text.gauge("one", "First.", 1),
        metric_text.Family(
            "two", "counter", 'A "\\" and\nmore.', [metric_text.Sample(2, {"own": 'a"\\\n'}, "_x")]
        ),
    ]
    assert metric_text.render(families, {"all": "b"}) == (
        "# HELP one First.\n"
        "# TYPE one gauge\n"
        'one{all="b"} 1\n'
        '# HELP two A "\\\\" and\\nmore.\n'
        "# TYPE two counter\n"
        'two_x{all="b",own="a\\"\\\\\\n"} 2\n'
    )
    assert metric_text.render(families[:1]).splitlines()[-1] == "one 1"
