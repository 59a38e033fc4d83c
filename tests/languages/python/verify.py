"""Verifies requests with the public library: {"key": …, "requests": [{"headers": …, "body": base64}]} in, verdicts out."""

import base64
import json
import sys

from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError


def verdict(webhook, request):
    try:
        webhook.verify(base64.b64decode(request["body"]), request["headers"])
    except WebhookVerificationError as error:
        return str(error)
    return "verified"


case = json.load(sys.stdin)
webhook = Webhook(case["key"])
json.dump([verdict(webhook, request) for request in case["requests"]], sys.stdout)
