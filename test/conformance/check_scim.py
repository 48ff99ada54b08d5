"""Runs scim2-tester against a SCIM service; prints one JSON object per check.

Environment: SCIM_URL (base of the service), SCIM_TOKEN (bearer token), SCIM_DOMAIN (e-mail domain it trusts).
"""

import json
import os
import re
import sys

import httpx2
import scim2_tester.filling as filling
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import check_server

domain = os.environ["SCIM_DOMAIN"]
original = filling.generate_random_value


def in_trusted_domain(value):
    """The suite invents a domain for each address, and which domains may be provisioned is a guardrail here."""
    if isinstance(value, str):
        return re.sub(r"^([0-9a-f-]{36})@[0-9a-f-]{36}\.com$", rf"\1@{domain}", value)
    if isinstance(value, list):
        return [in_trusted_domain(each) for each in value]
    return value


def generate_random_value(*args, **kwargs):
    return in_trusted_domain(original(*args, **kwargs))


for name, module in list(sys.modules.items()):
    if name.startswith("scim2_tester") and getattr(module, "generate_random_value", None) is original:
        module.generate_random_value = generate_random_value

http = httpx2.Client(
    base_url=os.environ["SCIM_URL"],
    headers={"Authorization": f"Bearer {os.environ['SCIM_TOKEN']}"},
    timeout=30,
)
for result in check_server(SyncSCIMClient(http)):
    print(
        json.dumps(
            {
                "status": result.status.name,
                "title": result.title,
                "resourceType": getattr(result, "resource_type", None),
                "reason": str(result.reason) if result.reason else None,
            }
        )
    )
