"""What is written has no secret in it and still can be compared."""

import base64
import binascii
import json
import secrets
from pathlib import Path
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape, quoteattr

import pytest

import harness.redaction
from harness.redaction import Redactor, redact_connection_string
from harness.secret_values import Secret

PASSWORD = "p4ss'w\"rd&<é/%+=x"  # pragma: allowlist secret
REDACTOR = Redactor([Secret("MYSQL_PASSWORD", PASSWORD)])
RAW = PASSWORD.encode()

WRITTEN = {
    "plain": PASSWORD,
    "json": json.dumps(PASSWORD)[1:-1],
    "json, unicode kept": json.dumps(PASSWORD, ensure_ascii=False)[1:-1],
    "json in json": json.dumps(json.dumps(PASSWORD)[1:-1])[1:-1],
    "xml text": escape(PASSWORD),
    "xml attribute": quoteattr(PASSWORD)[1:-1],
    "xml, ascii": escape(PASSWORD).encode("ascii", "xmlcharrefreplace").decode(),
    "url": quote(PASSWORD, safe=""),
    "url path": quote(PASSWORD),
    "url form": quote_plus(PASSWORD),
    "url, lower case": quote(PASSWORD, safe="").replace("%C3%A9", "%c3%a9").replace("%2F", "%2f")
    .replace("%3C", "%3c").replace("%3D", "%3d").replace("%2B", "%2b"),
    "url twice": quote(quote(PASSWORD, safe=""), safe=""),
    "hex": RAW.hex(),
    "hex, upper case": RAW.hex().upper(),
    "hex dump": RAW.hex(" "),
    "repr of text": repr(PASSWORD)[1:-1],
    "repr of bytes": repr(RAW)[2:-1],
    "reversed": PASSWORD[::-1],
    "quoted printable": binascii.b2a_qp(RAW).decode(),
}  # fmt: skip


@pytest.mark.parametrize("form", WRITTEN.values(), ids=WRITTEN.keys())
def test_redactor_known_value_in_any_encoding_becomes_its_name(form: str) -> None:
    """Every way to write a value is masked with the variable's name."""
    assert REDACTOR.text(f"a log line: [{form}] and more") == (
        "a log line: [<secret:MYSQL_PASSWORD>] and more"
    )


COLOURED = {
    "raw": "\x1b[{}m",
    "json": "\\u001b[{}m",
    "python": "\\x1b[{}m",
    "octal": "\\033[{}m",
    "junit": "#x1B[{}m",
    "xml": "&#x1b;[{}m",
}


@pytest.mark.parametrize("size", [1, 3, 7])
@pytest.mark.parametrize("code", COLOURED.values(), ids=COLOURED.keys())
def test_redactor_value_in_several_colours_is_masked(code: str, size: int) -> None:
    """What highlights numbers and quotes cuts a value; what is around it keeps its colours."""
    token = "tok-" + "7f3a9c" * 4
    parts = [token[start : start + size] for start in range(0, len(token), size)]
    on, off = code.format("1;32"), code.format("0")
    text = f"{on}INFO{off} " + "".join(f"{on}{part}{off}" for part in parts) + " done"
    redacted = Redactor([Secret("TOKEN", token)]).text(text)
    assert redacted == f"{on}INFO{off} {on}<secret:TOKEN>{off} done"


@pytest.mark.parametrize("offset", range(3))
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("tail", ["", "tail", "longer tail"])
def test_redactor_known_value_inside_base64_is_masked(
    offset: int, encode: object, tail: str
) -> None:
    """Wherever a value begins in what was encoded, its part of the base64 goes."""
    assert callable(encode)
    whole = encode(b"x" * offset + RAW + tail.encode()).decode()
    redacted = REDACTOR.text(f"body={whole}")
    assert "<secret:MYSQL_PASSWORD>" in redacted
    rest = redacted.replace("<secret:MYSQL_PASSWORD>", "").removeprefix("body=")
    # What is left are the neighbours, and at most the two characters that they share with it.
    assert len(rest) <= len(encode(b"x" * offset + tail.encode())) + 4


def test_redactor_bytes_that_are_no_text_stay_as_they_are() -> None:
    """Only the value goes from binary data."""
    data = b"\xff\x00" + RAW + b"\xfe\r\n"
    assert REDACTOR.data(data) == b"\xff\x00<secret:MYSQL_PASSWORD>\xfe\r\n"


def test_redactor_overlapping_values_leaves_no_end_of_either() -> None:
    """Two values that share a part go as one."""
    redactor = Redactor([Secret("A", "alpha-beta-1"), Secret("B", "beta-1-gamma-delta")])
    assert redactor.text("[alpha-beta-1-gamma-delta]") == "[<secret:B>]"


def test_redactor_value_that_looks_like_a_mask_ends() -> None:
    """A value that stands in a mask's own name does not nest masks without end."""
    redactor = Redactor([Secret("MYSQL_PASSWORD", "MYSQL_PASSWORD")])
    assert redactor.text("is MYSQL_PASSWORD") == "is <secret:MYSQL_PASSWORD>"


@pytest.mark.parametrize("value", ["root", "12345", "password", "8080"])
def test_redactor_weak_value_is_masked_only_where_it_is_a_secret(value: str) -> None:
    """A short or common value does not blank out every log; its field still goes."""
    redactor = Redactor([Secret("DB_PASSWORD", value)])
    benign = f"user {value} listens on port {value}, {value}s"
    assert redactor.text(benign) == benign
    assert value not in redactor.text(f"DB_PASSWORD={value}")
    assert redactor.text(json.dumps({"password": value})) == (
        '{"password": "<secret:DB_PASSWORD>"}'
    )
    assert redactor.text(f"mysql://u:{value}@h/db") == "mysql://***@h/db"


@pytest.mark.parametrize("value", ["your-api-key-here", "***", "<key>", "${E2B_API_KEY}"])
def test_redactor_placeholder_is_no_value(value: str) -> None:
    """What only stands for a key is not searched for."""
    redactor = Redactor([Secret("E2B_API_KEY", value)])
    assert redactor.text(f"see {value} in the guide") == f"see {value} in the guide"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("mysql://user:pw@host/db", "mysql://***@host/db"),
        ("mysql://user:p@ss/w?o#rd@host:3306/db", "mysql://***@host:3306/db"),
        ("mysql://user:p@ss@host/db?email=a@b.c", "mysql://***@host/db?email=a@b.c"),
        ("redis://:pw@host:6379/0", "redis://***@host:6379/0"),
        ("mysql://user@host/db", "mysql://***@host/db"),
        ('mysql://root:my pass"wd@db/x', "mysql://***@db/x"),
        ("mongodb+srv://u:p%40@a.b,c.d/x?y=z", "mongodb+srv://***@a.b,c.d/x?y=z"),
        ("jdbc:mysql://root:pw@h/db", "jdbc:mysql://***@h/db"),
        ("mysql://u:12/34@host/db", "mysql://***@host/db"),
        ("user:pa:s@s@tcp(h:3306)/db", "***@tcp(h:3306)/db"),
        ("postgresql://h/db?user=u&password=pw&x=1", "postgresql://h/db?user=u&password=***&x=1"),
        ("host=h user=u password='a b\\'c' dbname=d", "host=h user=u password=*** dbname=d"),
        ("Driver={ODBC};UID=sa;PWD={p;w};DB=x", "Driver={ODBC};UID=sa;PWD=***;DB=x"),
        ("Server=s;User Id=u;Password=p@w;", "Server=s;User Id=u;Password=***;"),
        ('{"dsn":"mysql://u:p@h/db","mail":"a@b"}', '{"dsn":"mysql://***@h/db","mail":"a@b"}'),
        ("amqp://u:p@h,amqp://u2:p2@h2/x", "amqp://***@h,amqp://***@h2/x"),
        ("MySQL://U:P@H/d and redis://:x@y", "MySQL://***@H/d and redis://***@y"),
        ("https://user:token@github.com/x/y@v1", "https://***@github.com/x/y@v1"),
    ],
    ids=[f"form-{n}" for n in range(18)],  # a test's name stands in reports, which are scanned
)
def test_redact_connection_string_masks_the_credentials(given: str, expected: str) -> None:
    """User and password go, the rest can still be read; a second time changes nothing."""
    assert redact_connection_string(given) == expected
    assert redact_connection_string(expected) == expected


@pytest.mark.parametrize(
    "benign",
    [
        "https://packages.example/@types/node",
        "https://host:8080/@scope/name",
        "git+https://github.com/x/y@v1.0",
        "see http://localhost:8000 is up, mail a@b.example",
        "mysql://host:3306/db and a@b.example",
        "postgresql://host:5432/db?user=a@b",
        "postgres://[::1]:5432/db",
        "s3://bucket/key@version",
        "mail me@example.org: it is 12:30@noon",
        "Invalid password: must be given",
        "bearer token expired; basic authentication is off",
        "primary_key=3 tokens: 12 bypass=1 next_token=x PWD=/home/user",
        "E2B_API_KEY not set: export E2B_API_KEY or add it to testing_env/.env",
        "MYSQL_PASSWORD=${MYSQL_PASSWORD} password: null api_key = None",
        "-----BEGIN PRIVATE KEY----- is how such a file begins, says the manual",
        "3f786850e387550fdab836ed7e6dc881de23001b e2b_ sk-short eyJhbGciOi",
    ],
)
def test_redactor_benign_text_stays(benign: str) -> None:
    """What only resembles a secret is left alone."""
    assert REDACTOR.text(benign) == benign


def test_redactor_name_that_the_guide_gives_is_there() -> None:
    """The guide's remediation names the function with an underscore."""
    assert harness.redaction._redact_connection_string is redact_connection_string


_JWT = ".".join(
    base64.urlsafe_b64encode(part).decode().rstrip("=")
    for part in (
        b'{"alg":"HS256","typ":"JWT"}',
        b'{"role":"service_role"}',
        secrets.token_bytes(32),
    )
)
FORMS = {
    "e2b-key": "e2b_" + secrets.token_hex(20),
    "jwt": _JWT,
    "github-token": "ghp_" + secrets.token_hex(18),
    "aws-access-key": "AK" + "IA" + "QWERTYUIOPASDFGH",
    "openai-key": "sk-" + "proj-" + secrets.token_hex(24),
    "private-key": "\n".join(
        (
            "-----{} RSA PRIVATE KEY-----".format("BEGIN"),
            *(base64.b64encode(secrets.token_bytes(48)).decode() for _ in range(4)),
            "-----{} RSA PRIVATE KEY-----".format("END"),
        )
    ),
}


@pytest.mark.parametrize(("kind", "value"), FORMS.items(), ids=FORMS.keys())
@pytest.mark.parametrize(
    "surroundings", ["%s", "key is %s.", '{"x": "%s"}', "<system-out>%s</system-out>", "a,%s,b"]
)
def test_redactor_without_any_known_value_masks_by_form(
    kind: str, value: str, surroundings: str
) -> None:
    """Keys and tokens that nobody told about go by their form, whatever stands around them."""
    assert Redactor().text(surroundings % value) == surroundings % f"<secret:{kind}>"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Authorization: Bearer abc", "Authorization: Bearer <secret:bearer>"),
        ("'authorization': 'Basic dXNlcjpwdw=='", "'authorization': 'Basic <secret:bearer>'"),
        ('{"Authorization": "Bearer a.b-c"}', '{"Authorization": "Bearer <secret:bearer>"}'),
        ("X-API-Key: abcdef", "X-API-Key: <secret:header>"),
        ("('X-Access-Token', 'abcdef')", "('X-Access-Token', '<secret:header>')"),
        ("MYSQL_PASSWORD=hunter2", "MYSQL_PASSWORD=***"),
        ('{"password": "a b", "user": "x"}', '{"password": "***", "user": "x"}'),
        ('{\\"password\\": \\"ab\\"}', '{\\"password\\": \\"***\\"}'),
        ("password: hunter2", "password: ***"),
        ("GET /f?path=x&signature=v1_abcdefgh", "GET /f?path=x&signature=***"),
    ],
)
def test_redactor_headers_and_fields_are_masked(given: str, expected: str) -> None:
    """What a header or a field calls a secret is one."""
    assert Redactor().text(given) == expected


def test_redactor_json_goes_by_structure() -> None:
    """A secret field's value goes, whatever it is; the document keeps its shape."""
    document = {
        "password": "any words",
        "apiKey": ["a", {"inner": "b"}],
        "pass": 3,
        "PIN_SECRET": 1234,
        "token": None,
        "has_token": True,
        "note": f"it is {PASSWORD}",
        f"key {PASSWORD}": 1,
        "db_password": "***",
        "empty_password": "",
        "user": "u",
    }
    assert REDACTOR.json(document) == {  # type: ignore[arg-type]  # a literal's type is narrower
        "password": "<secret:password>",
        "apiKey": ["<secret:apiKey>", {"inner": "<secret:apiKey>"}],
        "pass": 3,
        "PIN_SECRET": "<secret:PIN_SECRET>",
        "token": None,
        "has_token": True,
        "note": "it is <secret:MYSQL_PASSWORD>",
        "key <secret:MYSQL_PASSWORD>": 1,
        "db_password": "***",
        "empty_password": "",
        "user": "u",
    }


def test_redactor_of_process_knows_environment_and_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names decide: a variable, a line of .env, and what the caller adds."""
    (tmp_path / ".env").write_text("SUPABASE_SERVICE_ROLE_KEY=from-the-file-1\n")
    monkeypatch.setenv("SOME_TOKEN", "from-the-environment-2")
    redactor = Redactor.of_process(root=tmp_path, secrets=[Secret("E2B_API_KEY", "from-caller-3")])
    text = "from-the-file-1 from-the-environment-2 from-caller-3"
    assert redactor.text(text) == (
        "<secret:SUPABASE_SERVICE_ROLE_KEY> <secret:SOME_TOKEN> <secret:E2B_API_KEY>"
    )
