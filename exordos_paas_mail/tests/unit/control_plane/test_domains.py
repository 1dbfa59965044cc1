# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The primary domain of an instance has a row of its own, with the facts of the domain."""

from __future__ import annotations

import typing as tp
import uuid as sys_uuid

from restalchemy.storage.sql import engines

from exordos_paas_mail.tests.unit.control_plane import stage as stages


def execute(statement: str, *values: str) -> list[dict[str, tp.Any]]:
    with engines.engine_factory.get_engine().session_manager() as session:
        cursor = session.execute(statement, values)
        return [] if cursor.description is None else list(cursor.fetchall())


def domains(stage: stages.Stage) -> list[tuple[tp.Any, ...]]:
    rows = execute(
        "SELECT uuid, domain, is_primary, dkim_public_key, dkim_selector FROM mail_domains"
        " WHERE instance = %s",
        stage.uuid,
    )
    return [tuple(row.values()) for row in rows]


def primary(stage: stages.Stage, dkim_public_key: str = "") -> tuple[tp.Any, ...]:
    uuid = sys_uuid.uuid5(sys_uuid.UUID(stage.uuid), "domain")
    return (uuid, "mail.example.com", True, dkim_public_key, "platform")


def test_an_instance_has_its_primary_domain_from_the_start(stage: stages.Stage) -> None:
    assert domains(stage) == [primary(stage)]


def test_what_a_node_reports_of_its_key_is_a_fact_of_the_domain(stage: stages.Stage) -> None:
    stage.serving()
    assert domains(stage) == [primary(stage, stages.DKIM)]
    assert stage.shown("dkim_public_key", "dkim_selector") == (stages.DKIM, "platform")


def test_an_instance_that_the_release_before_made_gets_its_domain_with_the_facts(
    stage: stages.Stage,
) -> None:
    execute("DELETE FROM mail_domains WHERE instance = %s", stage.uuid)
    stage.serving()
    assert domains(stage) == [primary(stage, stages.DKIM)]


def test_the_domains_go_with_their_instance(stage: stages.Stage) -> None:
    stage.api.delete(stage.path)
    assert domains(stage) == []
