"""Tokens whose form their vendor has fixed: a prefix, an alphabet, a length.

One entry a form, so that a finding names the vendor. Each was read in the vendor's own
documentation, or in the client that checks it; the literal before it is what makes it cheap.
"""

from __future__ import annotations

__all__ = ["VENDOR_TOKENS"]

# Kind: an expression for how a token begins (see `Matcher`, letters in both cases), and the token.
VENDOR_TOKENS: dict[str, tuple[bytes, bytes]] = {
    # Source: e2b 2.45.1, whose client asks for `e2b_` and hexadecimal digits.
    "e2b-key": (rb"e2b_", rb"(?:sk_)?e2b_[0-9a-fA-F]{32,128}\b"),
    "anthropic-key": (rb"sk-ant-", rb"sk-ant-[A-Za-z0-9_-]{32,255}"),
    "openai-key": (rb"sk-", rb"sk-(?!ant-)(?:proj-|or-|svcacct-)?[A-Za-z0-9_-]{32,255}"),
    "github-token": (
        rb"gh[pousr]_|github_pat_",
        rb"(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{50,255})",
    ),
    "gitlab-token": (rb"gl(?:pat|dt|rt|ptt)-", rb"gl(?:pat|dt|rt|ptt)-[\w-]{20,255}"),
    "aws-access-key": (rb"a[ks]ia[a-z2-7]{8}", rb"(?:AKIA|ASIA)[A-Z2-7]{16}\b"),
    "azure-storage-key": (rb"accountkey=", rb"AccountKey=(?P<secret>[A-Za-z0-9+/]{86}==)"),
    "google-api-key": (rb"aiza", rb"AIza[A-Za-z0-9_-]{35}"),
    "google-oauth": (rb"ya29\.|gocspx-", rb"(?:ya29\.[\w-]{40,1024}|GOCSPX-[\w-]{28})"),
    "stripe-key": (
        rb"[sr]k_(?:live|test)_|whsec_",
        rb"(?:[sr]k_(?:live|test)_|whsec_)[A-Za-z0-9]{20,255}",
    ),
    "slack-token": (rb"xox[abeoprs]-|xapp-", rb"(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{20,255}"),
    "slack-webhook": (
        rb"hooks\.slack\.com/services/",
        rb"hooks\.slack\.com/services/(?P<secret>T[A-Z0-9]{6,16}/B[A-Z0-9]{6,16}/[A-Za-z0-9]{18,32})",
    ),
    "supabase-key": (rb"sb_secret_|sbp_", rb"(?:sb_secret_[\w-]{20,255}|sbp_[0-9a-f]{40})"),
    "npm-token": (rb"npm_", rb"npm_[A-Za-z0-9]{36}\b"),
    "pypi-token": (rb"pypi-age", rb"pypi-AgE[\w-]{50,512}"),
    "docker-token": (rb"dckr_pat_", rb"dckr_pat_[\w-]{20,64}"),
    "sendgrid-key": (rb"sg\.[a-z0-9_-]{8}", rb"SG\.[\w-]{16,64}\.[\w-]{16,128}"),
    "mailgun-key": (rb"key-[0-9a-f]{8}", rb"key-[0-9a-f]{32}\b"),
    "twilio-key": (rb"sk[0-9a-f]{8}", rb"SK[0-9a-f]{32}\b"),
    "huggingface-token": (rb"hf_", rb"hf_[A-Za-z0-9]{30,64}\b"),
    "groq-key": (rb"gsk_", rb"gsk_[A-Za-z0-9]{40,64}\b"),
    "xai-key": (rb"xai-", rb"xai-[A-Za-z0-9]{60,128}\b"),
    "replicate-token": (rb"r8_", rb"r8_[A-Za-z0-9]{37}\b"),
    "langsmith-key": (rb"lsv2_", rb"lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}\b"),
    "posthog-key": (rb"ph[cx]_", rb"ph[cx]_[A-Za-z0-9]{40,56}\b"),
    "keboola-token": (
        rb"[0-9]-[0-9]{1,9}-[a-z0-9]{16}",
        rb"\d{1,6}-\d{1,9}-(?=[A-Za-z0-9]*[G-Zg-z])[A-Za-z0-9]{32,40}\b",
    ),
    "databricks-token": (rb"dapi[0-9a-f]{8}", rb"dapi[0-9a-f]{32}\b"),
    "digitalocean-token": (rb"do[po]_v1_", rb"do[po]_v1_[0-9a-f]{64}\b"),
    "shopify-token": (rb"shp(?:at|ss)_", rb"shp(?:at|ss)_[0-9a-fA-F]{32}\b"),
    "vault-token": (rb"hv[sb]\.", rb"hv[sb]\.[\w-]{24,255}"),
    "grafana-token": (rb"glsa_", rb"glsa_[A-Za-z0-9]{32}_[0-9a-fA-F]{8}\b"),
    "sentry-token": (rb"sntrys_", rb"sntrys_[A-Za-z0-9+/=_-]{60,512}"),
    "newrelic-key": (rb"nrak-", rb"NRAK-[A-Z0-9]{27}\b"),
    "linear-key": (rb"lin_api_", rb"lin_api_[A-Za-z0-9]{40}\b"),
    "notion-token": (rb"ntn_", rb"ntn_[A-Za-z0-9]{40,64}\b"),
    "postman-key": (rb"pmak-", rb"PMAK-[0-9a-f]{24}-[0-9a-f]{34}\b"),
    "telegram-token": (rb"[0-9]:aa[a-z0-9_-]{8}", rb"\d{8,10}:AA[\w-]{33}\b"),
    "age-key": (rb"age-secret-key-1", rb"AGE-SECRET-KEY-1[0-9A-Z]{58}\b"),
}
