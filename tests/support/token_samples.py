"""A sample for each rule that knows a secret by its form; drawn by seed, none stands in a file."""

from __future__ import annotations

import base64
import json
import random
import string

__all__ = ["samples"]

LETTERS = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
UPPER = string.ascii_uppercase + string.digits


def samples(seed: int) -> dict[str, list[str]]:
    """By a rule's name the samples of the rules of this name, in their order."""
    drawn = random.Random(seed)  # noqa: S311 - the same in each run

    def of(length: int, characters: str = LETTERS) -> str:
        return "".join(drawn.choices(characters, k=length))

    def part(field: str) -> str:
        return base64.urlsafe_b64encode(json.dumps({field: of(24)}).encode()).decode().rstrip("=")

    pem = "\n".join(base64.b64encode(drawn.randbytes(48)).decode() for _ in range(4))
    password = of(14) + "4#x"
    return {
        "private-key": [f"-----{'BEGIN'} PRIVATE KEY-----\n{pem}\n-----{'END'} PRIVATE KEY-----"],
        "jwt": [f"{part('alg')}.{part('sub')}.{of(43)}"],
        "e2b-key": ["e2b_" + of(40, HEX)],
        "anthropic-key": ["sk-" + "ant-api03-" + of(80)],
        "openai-key": ["sk-" + "proj-" + of(48)],
        "github-token": ["gh" + "p_" + of(36)],
        "gitlab-token": ["gl" + "pat-" + of(20)],
        "aws-access-key": ["AK" + "IA" + of(16, string.ascii_uppercase + "234567")],
        "azure-storage-key": ["Account" + "Key=" + of(86) + "=="],
        "google-api-key": ["AI" + "za" + of(35)],
        "google-oauth": ["GOC" + "SPX-" + of(28)],
        "stripe-key": ["sk_" + "live_" + of(24)],
        "slack-token": ["xo" + "xb-" + of(12, string.digits) + "-" + of(24)],
        "slack-webhook": [
            f"https://hooks.slack.com/services/T{of(8, UPPER)}/B{of(8, UPPER)}/{of(24)}"
        ],
        "supabase-key": ["sb" + "p_" + of(40, HEX)],
        "npm-token": ["np" + "m_" + of(36)],
        "pypi-token": ["py" + "pi-AgE" + of(80)],
        "docker-token": ["dckr_" + "pat_" + of(27)],
        "sendgrid-key": ["S" + "G." + of(22) + "." + of(43)],
        "mailgun-key": ["ke" + "y-" + of(32, HEX)],
        "twilio-key": ["S" + "K" + of(32, HEX)],
        "huggingface-token": ["h" + "f_" + of(34)],
        "groq-key": ["gs" + "k_" + of(52)],
        "xai-key": ["xa" + "i-" + of(80)],
        "replicate-token": ["r" + "8_" + of(37)],
        "langsmith-key": ["ls" + "v2_pt_" + of(32, HEX) + "_" + of(10, HEX)],
        "posthog-key": ["ph" + "x_" + of(43)],
        "keboola-token": [f"{of(4, '123456789')}-{of(5, '123456789')}-{of(40)}"],
        "databricks-token": ["da" + "pi" + of(32, HEX)],
        "digitalocean-token": ["do" + "p_v1_" + of(64, HEX)],
        "shopify-token": ["shp" + "at_" + of(32, HEX)],
        "vault-token": ["hv" + "s." + of(90)],
        "grafana-token": ["gl" + "sa_" + of(32) + "_" + of(8, HEX)],
        "sentry-token": ["sn" + "trys_" + of(120)],
        "newrelic-key": ["NR" + "AK-" + of(27, UPPER)],
        "linear-key": ["lin_" + "api_" + of(40)],
        "notion-token": ["nt" + "n_" + of(46)],
        "postman-key": ["PM" + "AK-" + of(24, HEX) + "-" + of(34, HEX)],
        "telegram-token": [of(9, "123456789") + ":A" + "A" + of(33)],
        "age-key": ["AGE-" + "SECRET-KEY-1" + of(58, UPPER)],
        "bearer": [
            f'"Authorization": "To{"ken"} {of(10)}7{of(8)}"',
            f"sent Bear{'er'} {of(20)}1{of(10)}",
        ],
        "header": [f"X-Api-{'Key'}: {of(12)}5{of(8)}"],
        "field": [
            f"pass{'word'}={password}",
            f'"pass{"word"}": "{password}"',
            f"pass{'word'}: {password}",
        ],
        "query": [f"https://x.invalid/?to{'ken'}={of(20)}"],
    }
