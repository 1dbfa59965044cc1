# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a look at exim's spool finds, and what it reads for it."""

from __future__ import annotations

import errno
import os
import typing as tp
from unittest import mock

import pytest

from exordos_paas_mail.node.queue import spool as spool_
from exordos_paas_mail.tests.unit.node import queue_stage

if tp.TYPE_CHECKING:
    import pathlib

NAME, NAMES, ARRIVED = queue_stage.NAME, queue_stage.NAMES, queue_stage.ARRIVED


class Stage(queue_stage.Spool):
    """A spool, and what is found in it."""

    def __init__(self, folder: pathlib.Path) -> None:
        super().__init__(folder)
        self.spool = spool_.Spool(str(self.path))

    def look(self) -> tuple[set[str], set[str]]:
        """Return what has changed, and which messages were read for it."""
        with mock.patch.object(spool_, "_content", wraps=spool_._content) as content:
            changed = self.spool.look(self.now)
        read = {os.path.basename(call.args[0]) for call in content.call_args_list}  # noqa: PTH119
        return changed, {name[:-2] for name in read if name.endswith("-H")}


@pytest.fixture
def stage(tmp_path: pathlib.Path) -> Stage:
    return Stage(tmp_path)


def test_a_message_is_found_and_read_once(stage: Stage) -> None:
    stage.write(NAME, "b@elsewhere.example", "c@elsewhere.example")
    assert stage.look() == ({NAME}, {NAME})
    assert stage.spool.messages == {
        NAME: spool_.Message(
            *(NAME, queue_stage.ALICE, queue_stage.ALICE, ARRIVED),
            frozen=False,
            recipients=("b@elsewhere.example", "c@elsewhere.example"),
            size=len("010  To: x@y\nHello.\n"),
        )
    }
    assert stage.spool.read(NAME) == stage.spool.messages[NAME]
    assert stage.look() == (set(), set())


def test_only_what_has_changed_is_read_again(stage: Stage) -> None:
    for name in NAMES:
        stage.write(name, "b@elsewhere.example", "c@elsewhere.example")
    stage.look()
    stage.write(NAME, "b@elsewhere.example", "c@elsewhere.example", frozen=True)
    stage.remove(NAMES[1])
    assert stage.look() == ({NAME, NAMES[1]}, {NAME})
    assert stage.spool.messages.keys() == {NAME, NAMES[2]}
    assert stage.spool.messages[NAME].frozen
    assert stage.spool.read(NAMES[1]) is None


def test_a_directory_in_which_nothing_happens_is_passed_over(stage: Stage) -> None:
    stage.write(NAME, "b@elsewhere.example")
    stage.look()
    with mock.patch.object(spool_, "_files", wraps=spool_._files) as files:
        stage.look()
        assert files.call_count == 0
        stage.settle()
        stage.look()
    assert [call.args[0] for call in files.call_args_list] == [str(stage.folder)]


def test_who_has_it_according_to_the_journal_waits_no_more(stage: Stage) -> None:
    stage.write(NAME, "b@elsewhere.example", "c@elsewhere.example", "d@elsewhere.example")
    stage.look()
    journal = stage.folder / f"{NAME}-J"
    journal.write_text("b@elsewhere.example\n")
    stage.settle()
    stage.look()
    assert stage.spool.messages[NAME].recipients == ("c@elsewhere.example", "d@elsewhere.example")
    # Written to in place: the directory does not change.
    with journal.open("a") as file:
        file.write("d@elsewhere.example\n")
    assert stage.look() == ({NAME}, {NAME})
    assert stage.spool.messages[NAME].recipients == ("c@elsewhere.example",)


def test_a_young_message_is_counted_and_not_read(stage: Stage) -> None:
    stage.write(NAME, "b@elsewhere.example")
    stage.now = ARRIVED + 3.0
    assert stage.look() == (set(), set())
    assert (stage.spool.young, stage.spool.messages) == ({NAME}, {})
    stage.now = ARRIVED + spool_.YOUNG + 1.0
    assert stage.look() == ({NAME}, {NAME})
    assert stage.spool.young == set()


def test_a_clock_that_was_set_back_hides_no_message_and_has_no_look_cost_more(
    stage: Stage,
) -> None:
    stage.write(NAME, "b@elsewhere.example")
    stage.now = ARRIVED - 2 * 86_400.0
    at = int((stage.now + 86_400) * 1e9)
    os.utime(stage.folder, ns=(at, at))
    assert stage.look() == ({NAME}, {NAME})
    assert stage.spool.young == set()
    with mock.patch.object(spool_, "_files", wraps=spool_._files) as files:
        stage.look()
    assert str(stage.folder) not in [call.args[0] for call in files.call_args_list]


def test_what_cannot_be_read_is_a_message_all_the_same(stage: Stage) -> None:
    stage.write(NAME, "b@elsewhere.example")
    (stage.folder / f"{NAME}-H").write_text("half")
    stage.settle()
    stage.look()
    assert stage.spool.messages[NAME].recipients == ()


def test_what_nobody_but_root_or_a_good_disk_can_read_hides_no_other_message(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = spool_._content

    def refuse(path: str, size: int) -> bytes:
        data = content(path, size)
        if os.path.basename(path).startswith(NAME):  # noqa: PTH119
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return data

    for name in NAMES:
        stage.write(name, "b@elsewhere.example")
    (stage.folder / f"{NAME}-J").write_text("b@elsewhere.example\n")
    # An editor's, and what a tool has unpacked into the wrong place
    (stage.folder / f"{NAME[:-1]}F-H").mkdir()
    os.mkfifo(stage.folder / f"{NAME[:-1]}G-H")
    stage.settle()
    monkeypatch.setattr(spool_, "_content", refuse)
    stage.spool.look(stage.now)
    assert stage.spool.messages.keys() == set(NAMES)
    assert [stage.spool.messages[name].recipients for name in NAMES] == [
        (),
        ("b@elsewhere.example",),
        ("b@elsewhere.example",),
    ]
    assert stage.spool.read(NAME) == stage.spool.messages[NAME]
    assert stage.spool.arrival(NAME) is None
    stage.spool.look(stage.now + 60)
    # Its owner is put right, which no stamp shows, or descriptors are there again.
    monkeypatch.undo()
    assert stage.spool.look(stage.now + 60) == {NAME}
    assert stage.spool.messages[NAME].sender
    assert stage.spool.look(stage.now + 60) == set()


def test_a_message_whose_body_is_lost_is_one_all_the_same(stage: Stage) -> None:
    stage.write(NAME, "b@elsewhere.example")
    (stage.folder / f"{NAME}-D").unlink()
    stage.settle()
    stage.look()
    message = stage.spool.messages[NAME]
    assert (message.recipients, message.size) == (("b@elsewhere.example",), len("010  To: x@y\n"))
    stage.remove(NAME)
    assert stage.look() == ({NAME}, set())


def test_there_is_no_spool(tmp_path: pathlib.Path) -> None:
    spool = spool_.Spool(str(tmp_path))
    assert (spool.look(ARRIVED), spool.messages, spool.read(NAME)) == (set(), {}, None)
