"""Runs scim2-tester against a SCIM service; prints one JSON object per check.

Environment: SCIM_URL (base of the service), SCIM_TOKEN (bearer token).
"""

import json
import os

import httpx2
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import check_server

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
