"""The rules on what a sandbox reaches."""

from __future__ import annotations

import pytest

from harness.emulator.answers import ApiError
from harness.emulator.egress import ALL_TRAFFIC, EgressRules, check_network, replace_rules, rules_of
from harness.emulator.life import NewSandbox
from harness.emulator.template_records import Template

ADDRESS = "93.184.216.34"


@pytest.mark.parametrize(
    ("rules", "permitted"),
    [
        (EgressRules(), True),
        (EgressRules(internet=False), False),
        (EgressRules(internet=False, allow=(ADDRESS,)), True),
        (EgressRules(deny=(ALL_TRAFFIC,)), False),
        (EgressRules(deny=("93.184.0.0/16",)), False),
        (EgressRules(deny=("93.185.0.0/16",)), True),
        (EgressRules(deny=(ALL_TRAFFIC,), allow=("93.184.216.0/24",)), True),
        (EgressRules(deny=(ALL_TRAFFIC,), allow=("API.example.com",)), True),
        (EgressRules(deny=(ALL_TRAFFIC,), allow=("*.example.com",)), True),
        (EgressRules(deny=(ALL_TRAFFIC,), allow=("example.com",)), False),
        (EgressRules(deny=(ALL_TRAFFIC,), allow=("*.ample.com",)), False),
        (EgressRules(deny=(ALL_TRAFFIC,), allow=("*",)), True),
    ],
)
def test_rules_permit_what_is_allowed_before_what_is_denied(
    rules: EgressRules, *, permitted: bool
) -> None:
    """Allow beats deny, by address, network, name and wildcard; nothing matches by half."""
    assert rules.permits(ADDRESS, ["api.example.com"]) is permitted


def test_wildcard_of_all_names_does_not_allow_bare_addresses() -> None:
    """An address that nobody named is not reached by a rule on names."""
    assert not EgressRules(deny=(ALL_TRAFFIC,), allow=("*",)).permits(ADDRESS)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ({"denyOut": ["example.com"]}, "invalid denied CIDR example.com"),
        ({"denyOut": ["2001:db8::/32"]}, "invalid denied CIDR"),
        ({"allowOut": ["example.com"]}, "deny out"),
        ({"allowOut": "1.1.1.1"}, "list of strings"),
        ({"denyOut": [1]}, "list of strings"),
    ],
)
def test_network_that_does_not_fit_is_refused(network: dict[str, object], words: str) -> None:
    """The refusal is E2B's, and names what does not fit."""
    with pytest.raises(ApiError, match=words) as caught:
        check_network(network)
    assert caught.value.status == 400


def test_update_clears_what_it_leaves_out_and_keeps_what_is_about_traffic_in() -> None:
    """Rules are replaced whole; the mask and the token stay."""
    template = Template(template_id="t", name="base")
    asked = NewSandbox(
        template=template,
        timeout_s=10,
        allow_internet_access=False,
        network={"allowOut": ["1.1.1.1"], "denyOut": [ALL_TRAFFIC], "allowPublicTraffic": False},
    )
    updated = replace_rules(asked, {"denyOut": ["8.8.8.8"], "allowOut": None})
    assert rules_of(updated) == EgressRules(deny=("8.8.8.8",))
    assert not updated.public_traffic
    assert rules_of(replace_rules(updated, {})) == EgressRules()
