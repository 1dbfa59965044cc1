# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The manifests name what the code names."""

import pathlib
import typing as tp

import jinja2
import pytest
import yaml
from gcl_sdk.agents.universal import utils as ua_utils

from exordos_paas_mail import constants, controllers, definition
from exordos_paas_mail.tests.unit.repository import manifests

ROOT = pathlib.Path(__file__).parents[4]
WHEEL = "exordos_paas_mail-1.2.3-py3-none-any.whl"
DIGEST = "0123456789abcdef" * 4
BUILT = {
    "artifacts": {"pypi_package": "urn:artifacts:11111111-1111-5111-8111-111111111111"},
    "images": {"exordos_metapaas_mail_dp": "urn:images:22222222-2222-5222-8222-222222222222"},
}
PUBLISHED = {
    "index_url": "http://index.example/simple/",
    "wheel": WHEEL,
    "wheel_sha256": DIGEST,
    "repository": "http://repository.example/elements/",
}


OWNER_ROLE = "726f6c65-0000-0000-0000-000000000002"
# The manifests of the runtime (metapaas_user) and of Core (permissions) give these.
RUNTIME_USER = "4d657461-0000-0000-0000-000000000001"
DNS_PERMISSIONS = {
    "domain_read": "74d3d8e2-85fa-5a05-8caa-4a3036181f88",
    "record_create": "0e332cde-811c-5c91-a903-d2809acfe817",
    "record_read": "776e0696-32f6-50ba-b419-0bfc35c6dfe1",
    "record_update": "63e98744-132e-5b67-8b83-8dc0cd7646b1",
    "record_delete": "3c937db2-917b-5353-82b6-66acabe83604",
}

CERTIFICATE_PERMISSIONS = {
    "certificate_create": "28c3d63c-b331-42dc-86b5-5cb79bd467e0",
    "certificate_read": "9fbcf344-550b-4069-a6b1-adcab6bfe403",
    "certificate_delete": "73d511a6-5d31-4d83-af0a-3227076eabe0",
}


@pytest.fixture(params=[BUILT, PUBLISHED], ids=["urn", "url"])
def element(request: pytest.FixtureRequest) -> dict[str, tp.Any]:
    return manifests.render("mailaas.yaml.j2", version="1.2.3", **request.param)


@pytest.fixture
def example() -> dict[str, tp.Any]:
    return manifests.render("example_mail.yaml.j2", version="1.2.3")


def test_the_element_is_named_as_the_definition_names_it(element: dict[str, tp.Any]) -> None:
    mail = element["resources"]["$metapaas.types"][constants.SLUG]
    plugin = definition.MailDefinition()
    assert (element["name"], element["version"]) == (plugin.element_name, "1.2.3")
    assert (mail["name"], mail["element_name"]) == (plugin.slug, plugin.element_name)
    assert mail["project_id"] == constants.METAPAAS_PROJECT_ID


@pytest.mark.parametrize(
    ("variables", "package"),
    [
        pytest.param(BUILT, BUILT["artifacts"]["pypi_package"], id="urn"),
        pytest.param(
            PUBLISHED,
            f"http://index.example/simple/exordos-paas-mail/{WHEEL}#sha256={DIGEST}",
            id="url",
        ),
    ],
)
def test_the_package_is_the_wheel_that_was_built_and_never_a_name(
    variables: dict[str, tp.Any], package: str
) -> None:
    element = manifests.render("mailaas.yaml.j2", version="1.2.3", **variables)
    assert element["resources"]["$metapaas.types"]["mail"]["package"] == package


@pytest.mark.parametrize(
    ("variables", "image"),
    [
        pytest.param(BUILT, BUILT["images"]["exordos_metapaas_mail_dp"], id="urn"),
        pytest.param(
            PUBLISHED,
            "http://repository.example/elements/mailaas/1.2.3/images/"
            f"{constants.IMAGE_NAME}.raw.zst",
            id="url",
        ),
    ],
)
def test_the_catalogue_holds_the_image_that_was_built(
    variables: dict[str, tp.Any], image: str
) -> None:
    element = manifests.render("mailaas.yaml.j2", version="1.2.3", **variables)
    assert element["resources"]["$mailaas.types.mail.versions"] == {
        "exim4_1": {
            "name": "exim4_1",
            "description": "Submission relay with exim 4, release 1.2.3",
            "image": image,
        }
    }
    assert element["exports"] == {"exim4_1": {"link": "$mailaas.types.mail.versions.$exim4_1"}}


def test_the_manifest_names_what_the_build_makes() -> None:
    build = yaml.safe_load((ROOT / "exordos" / "exordos.yaml").read_text())["build"]
    (made,) = build["elements"]
    assert made["manifest"] == "manifests/mailaas.yaml.j2"
    names = {
        kind: {part["name"].replace("-", "_") for part in made[kind]}
        for kind in ("images", "artifacts")
    }
    assert [image["name"] for image in made["images"]] == [constants.IMAGE_NAME]
    # `exordos build` gives the template one variable a part, and nothing else.
    template = jinja2.Environment(autoescape=True).parse(
        (manifests.DIRECTORY / "mailaas.yaml.j2").read_text()
    )
    used = {
        (node.node.name, node.attr)
        for node in template.find_all(jinja2.nodes.Getattr)
        if isinstance(node.node, jinja2.nodes.Name) and node.node.name in names
    }
    assert used == {(kind, name) for kind, found in names.items() for name in found}


def test_the_owner_role_gets_what_the_controllers_ask_for(element: dict[str, tp.Any]) -> None:
    writable = ("create", "read", "update", "delete")
    # The catalogue is the platform's to write, and what DNS shows nobody's.
    read_only = (
        *(controllers.MailVersionController, controllers.MailDnsRecordController),
        *(controllers.MailEventController, controllers.MailMessageEventController),
        *(controllers.MailMessageController, controllers.MailStatController),
        *(controllers.MailQueueItemController, controllers.MailQueueDomainController),
        *(controllers.MailOperationController, controllers.MailWebhookDeliveryController),
    )
    # By the action `erase` of an instance.
    erased = {"exordos_mail.message.delete"}
    # By the actions on the queue.
    queue = {f"exordos_mail.queue.{verb}" for verb in ("retry", "bounce", "delete", "suspend")}
    # And on a webhook.
    webhook = {f"exordos_mail.webhook.{verb}" for verb in ("rotate", "test", "replay")}
    # By the actions of an account.
    account = {f"exordos_mail.account.{verb}" for verb in ("hold", "release")}
    asked = {
        f"{controller.__policy_service_name__}.{controller.__policy_name__}.{verb}"
        for controller in vars(controllers).values()
        if hasattr(controller, "__policy_name__")
        for verb in (("read",) if controller in read_only else writable)
    }
    permissions = element["resources"]["$core.iam.permissions"]
    bindings = element["resources"]["$core.iam.permissionbinding"]
    names = {permission["name"] for permission in permissions.values()}
    assert names == asked | erased | queue | webhook | account
    owners = {
        name: binding["permission"]
        for name, binding in bindings.items()
        if binding["role"] == OWNER_ROLE
    }
    assert owners == {
        f"{name}_binding": f"$core.iam.permissions.${name}:uuid" for name in permissions
    }
    assert {bindings[name]["project_id"] for name in owners} == {constants.METAPAAS_PROJECT_ID}


def test_the_manifests_declare_fields_that_the_models_have(
    element: dict[str, tp.Any], example: dict[str, tp.Any]
) -> None:
    known = {
        path: set(ua_utils.cfg_load_class(model).properties.properties)
        for path, model in definition.MailDefinition().get_agent_models().items()
    }
    assert [
        (path, unknown)
        for path, values in manifests.declared(element, example)
        if (unknown := set(values) - known[path])
    ] == []


def test_what_is_declared_is_where_the_agent_looks_for_it(
    element: dict[str, tp.Any], example: dict[str, tp.Any]
) -> None:
    # The project of the element manager, in the column that the agent filters by.
    columns = definition.MailDefinition().get_agent_filters()
    assert columns["versions"] == "manager", "which the agent fills in"
    assert {
        values[columns[path]]
        for path, values in manifests.declared(element, example)
        if path != "versions"
    } == {"12345678-c625-4fee-81d5-f691897b8142"}


def test_every_kind_that_the_manifests_declare_is_reconciled(
    element: dict[str, tp.Any], example: dict[str, tp.Any]
) -> None:
    kinds = {path for path, _ in manifests.declared(element, example)}
    plugin = definition.MailDefinition()
    assert kinds == set(plugin.get_agent_models()) == set(plugin.get_agent_filters())


def test_the_example_imports_what_the_element_exports(
    element: dict[str, tp.Any], example: dict[str, tp.Any]
) -> None:
    exported = {export["link"] for export in element["exports"].values()}
    assert {item["link"] for item in example["imports"].values()} == exported


def test_the_runtime_may_publish_and_have_certificates_in_any_project_and_nothing_else(
    element: dict[str, tp.Any],
) -> None:
    roles = {name: f"$core.iam.roles.$mailaas_{name}:uuid" for name in ("dns", "certificates")}
    bindings = element["resources"]["$core.iam.permissionbinding"]
    assert {name: b for name, b in bindings.items() if b["role"] != OWNER_ROLE} == {
        **{
            f"mailaas_dns_{name}_binding": {"role": roles["dns"], "permission": uuid}
            for name, uuid in DNS_PERMISSIONS.items()
        },
        **{
            f"mailaas_{name}_binding": {"role": roles["certificates"], "permission": uuid}
            for name, uuid in CERTIFICATE_PERMISSIONS.items()
        },
    }
    assert element["resources"]["$core.iam.rolebinding"] == {
        f"mailaas_{name}_role_binding": {"role": role, "user": RUNTIME_USER}
        for name, role in roles.items()
    }
