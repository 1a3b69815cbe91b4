"""The scan finds every planted form, nothing else, and says what it could not read."""

import base64
import gzip
import io
import json
import lzma
import os
import random
import secrets
import socket
import subprocess
import sys
import tarfile
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path

import cramjam
import pytest

from harness.redaction.block_scan import MAX_FINDINGS_OF_A_KIND
from harness.redaction.layers import MAX_DEPTH
from harness.redaction.scan import ScanLimits, Scanner, ScanResult
from harness.redaction.self_test import DETECTABLE, PLANTS
from harness.redaction.self_test import FILES as ARCHIVES
from harness.secret_values import Secret

PASSWORD = "p4ss'w\"rd&<é/%+=x"  # pragma: allowlist secret
TOKEN = "tok-" + "7f3a9c" * 4
VALUES = (Secret("MYSQL_PASSWORD", PASSWORD), Secret("API_TOKEN", TOKEN))
SCANNER = Scanner(VALUES)

# Kinds of file; each puts bytes that somebody wrote where such a file has room for them.
FILES: dict[str, Callable[[bytes], bytes]] = {
    "log.txt": lambda planted: b"2026-01-01 INFO a line\n" + planted + b"\nanother line\n",
    "bare": lambda planted: planted,
    "events.jsonl": lambda planted: b'{"event": "x", "raw": ' + planted + b"}\n",
    "junit.xml": lambda planted: (
        b"<testsuite><system-out>" + planted + b"</system-out></testsuite>"
    ),
    "table.csv": lambda planted: b"id,value\n1," + planted + b",2\n",
    "blob.bin": lambda planted: bytes(range(256)) + planted + bytes(range(256)),
    "long_line": lambda planted: b"x" * 3_000_000 + planted + b"y" * 100,
    "log.gz": lambda planted: gzip.compress(b"a line\n" + planted + b"\n"),
}
LINES = {"log.txt": 2, "table.csv": 2, "blob.bin": 0, "events.jsonl": 1, "junit.xml": 1}


def scan(data: bytes, *, scanner: Scanner = SCANNER, shown: str = "file") -> ScanResult:
    result = ScanResult()
    scanner.scan_bytes(data, result, shown=shown)
    return result


def kinds(result: ScanResult) -> set[str]:
    return {finding.kind for finding in result.findings}


# An archive in the middle of a file is no archive.
COMBINATIONS = [
    (form, kind)
    for form in PLANTS
    for kind in FILES
    if form not in ARCHIVES or kind in {"bare", "log.gz"}
]
# Their bytes, or the place that they have, make a file one without lines.
WITHOUT_LINES = ARCHIVES | {"base64 wrapped", "over two lines", "over two records", "utf-16"}


@pytest.mark.parametrize(("form", "kind"), COMBINATIONS)
def test_scan_every_form_in_every_kind_of_file_is_found(form: str, kind: str) -> None:
    """Recall is 100 %: encoding and kind of file, for a simple value and for an odd one."""
    archive = form in ARCHIVES
    for secret in VALUES:
        planted = PLANTS[form](secret.reveal())
        content = gzip.compress(planted) if archive and kind == "log.gz" else FILES[kind](planted)
        result = scan(content)
        assert kinds(result) == {secret.name}
        assert result.unread == []
        if kind in LINES and form not in WITHOUT_LINES and " of " not in form:
            assert {finding.line for finding in result.findings} == {LINES[kind]}


@pytest.mark.parametrize("kind", DETECTABLE)
def test_scan_unknown_secret_is_detected_by_its_form(kind: str) -> None:
    """Also a secret that nobody told about is found; without detectors it is not."""
    content = f"<system-out>{DETECTABLE[kind]}</system-out>".encode()
    assert kinds(scan(content)) == {kind}
    assert kinds(scan(content, scanner=Scanner((), detect=False))) == set()
    assert kinds(scan(content + b"  # pragma: allowlist secret")) <= {"private-key"}


def test_scan_benign_lines_yields_nothing() -> None:
    """Ids, hashes, images and minified code: 20,000 lines without a hit."""
    drawn = random.Random(7)  # noqa: S311 - the same lines in each run
    lines = []
    for number in range(4_000):
        lines += [
            json.dumps({"id": str(uuid.UUID(int=drawn.getrandbits(128))), "row": number}),
            f"sha256:{drawn.getrandbits(256):064x} commit {drawn.getrandbits(160):040x}",
            f"<img src='data:image/png;base64,{base64.b64encode(drawn.randbytes(60)).decode()}'/>",
            f'sandbox i{drawn.getrandbits(90):018x} etag="{drawn.getrandbits(64):x}" token=***',
            f"var a{number}=function(b,c){{return b[c]}};mysql://***@db/x password: ${{PW}}",
        ]
    assert scan("\n".join(lines).encode()).findings == []


def test_scan_finding_has_line_encoding_and_digest_and_no_value() -> None:
    """A finding can be shown to anyone: the same digest for the same value, in any encoding."""
    content = f"a\nb {TOKEN}\n{base64.b64encode(TOKEN.encode()).decode()}\n{PASSWORD}".encode()
    findings = scan(content).findings
    assert [(f.kind, f.encoding, f.line) for f in findings] == [
        ("API_TOKEN", "plain", 2),
        ("API_TOKEN", "base64", 3),
        ("MYSQL_PASSWORD", "plain", 4),
    ]
    assert findings[0].digest == findings[1].digest != findings[2].digest
    assert TOKEN not in repr(findings)
    again = Scanner(VALUES, digest_key=b"k"), Scanner(VALUES, digest_key=b"k")
    assert len({scan(content, scanner=s).findings[0].digest for s in again}) == 1


@pytest.mark.parametrize("block", [256, 1000, 4096])
def test_scan_value_on_a_block_border_is_found_once(block: int) -> None:
    """Blocks overlap: wherever a value lies, it is found, and told once, on its line."""
    scanner = Scanner(VALUES, limits=ScanLimits(block_bytes=block), detect=False)
    for position in range(block - 40, block + 40):
        content = b"\n" * position + TOKEN.encode() + b"\n" * block
        (finding,) = scan(content, scanner=scanner).findings
        assert (finding.kind, finding.line) == ("API_TOKEN", position + 1)


def test_scan_many_hits_are_bounded_and_counted() -> None:
    """A value on each of 5,000 lines is told 20 times; the others are counted."""
    result = scan(f"{TOKEN}\n".encode() * 5_000)
    assert len(result.findings) == MAX_FINDINGS_OF_A_KIND
    assert result.repeated == 5_000 - MAX_FINDINGS_OF_A_KIND


def test_scan_weak_value_counts_only_beside_its_name() -> None:
    """A word that is also a password does not make every log a leak."""
    scanner = Scanner([Secret("DB_PASSWORD", "root")])
    assert scan(b"user root, home /root, chroot", scanner=scanner).findings == []
    assert kinds(scan(b"DB_PASSWORD=root\n", scanner=scanner)) == {"DB_PASSWORD"}
    assert kinds(scan(b"DB_PASSWORD=rooted\n", scanner=scanner)) == set()


def _folder(root: Path) -> Path:
    folder = root / "run"
    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "clean.log").write_text("nothing here\n")
    (folder / "logs" / "leaky.log").write_text(f"first\n{TOKEN}\n")
    return folder


def test_scan_folder_names_paths_below_it(tmp_path: Path) -> None:
    """Files are found at any depth; what is excluded is left out."""
    folder = _folder(tmp_path)
    result = ScanResult()
    SCANNER.scan_folder(folder, result, prefix="testing_env/run/")
    assert [(f.path, f.line) for f in result.findings] == [("testing_env/run/logs/leaky.log", 2)]
    assert (result.files, result.unread) == (2, [])
    result = ScanResult()
    SCANNER.scan_folder(folder, result, exclude={folder / "logs"})
    assert (result.files, result.findings) == (0, [])


def test_scan_folder_installed_packages_count_for_known_values_alone(tmp_path: Path) -> None:
    """A package's examples are no leak; a known value in it is."""
    example = f"url = '{DETECTABLE['connection-string']}'\n"
    for folder in ("venv/lib/python3.12/site-packages/lib", "project"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "x.py").write_text(example)
    (tmp_path / "venv" / "pyvenv.cfg").write_text("")
    (tmp_path / "venv" / "leak.log").write_text(TOKEN)
    result = ScanResult()
    SCANNER.scan_folder(tmp_path, result)
    assert {(f.kind, f.path) for f in result.findings} == {
        ("connection-string", "project/x.py"),
        ("API_TOKEN", "venv/leak.log"),
    }


def test_scan_folder_secret_in_a_name_is_found_and_not_shown(tmp_path: Path) -> None:
    """A file or folder named after a secret is a leak, and the finding does not repeat it."""
    (tmp_path / f"out-{TOKEN}").mkdir()
    (tmp_path / f"out-{TOKEN}" / "x.txt").write_text("")
    (tmp_path / "link").symlink_to(f"/nowhere/{TOKEN}")
    result = ScanResult()
    SCANNER.scan_folder(tmp_path, result)
    assert {finding.encoding for finding in result.findings} == {"plain, in the file's name"}
    assert len(result.findings) == 2
    assert TOKEN not in repr(result)


def test_scan_folder_special_files_are_named_not_followed(tmp_path: Path) -> None:
    """A FIFO, a socket, a loop and a link that leads outside end no scan and hide nothing."""
    outside = tmp_path / "outside.txt"
    outside.write_text(TOKEN)
    folder = tmp_path / "folder"
    folder.mkdir()
    os.mkfifo(folder / "fifo")
    (folder / "loop").symlink_to("loop")
    (folder / "up").symlink_to("..")
    (folder / "outside").symlink_to(outside)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
        result = ScanResult()
        SCANNER.scan_folder(folder, result)
    assert result.findings == []
    assert {unread.path: unread.reason for unread in result.unread} == {
        "fifo": "FIFO, not read",
        "loop": "link that leads nowhere",
        "outside": "link, not followed",
        "socket": "socket, not read",
        "up": "link, not followed",
    }
    assert result.incomplete == ()


def test_scan_file_without_permission_is_incomplete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be opened is named, and the scan is not complete."""
    (tmp_path / "closed").mkdir(mode=0)
    (tmp_path / "y").touch(mode=0)
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)  # somebody else may not come here by the whole path
    user = os.geteuid()
    if user == 0:  # root may read everything: ask as somebody else
        os.seteuid(65534)
    try:
        unread = _unread_names(Path())
    finally:
        os.seteuid(user)
        (tmp_path / "closed").chmod(0o755)
    assert unread == {"closed", "y"}


def _unread_names(folder: Path) -> set[str]:
    result = ScanResult()
    SCANNER.scan_folder(folder, result)
    return {unread.path.rstrip("/") for unread in result.incomplete}


def test_scan_missing_folder_is_incomplete(tmp_path: Path) -> None:
    """A folder that is not there was not scanned."""
    result = ScanResult()
    SCANNER.scan_folder(tmp_path / "no", result)
    assert [unread.reason for unread in result.incomplete] == ["No such file or directory"]


def test_scan_file_that_grows_meanwhile_is_incomplete(tmp_path: Path) -> None:
    """What is written during the scan may hold what it has not seen."""
    path = tmp_path / "live.log"
    path.write_text("x\n")

    class Writer(Scanner):
        def _scan_content(self, stream: io.BufferedReader, shown: str, result: ScanResult) -> None:  # type: ignore[override]  # narrower stream
            super()._scan_content(stream, shown, result)
            with path.open("a") as file:
                file.write("more\n")

    result = ScanResult()
    Writer(VALUES).scan_file(path, result, shown="live.log")
    assert "changed while it was read" in result.incomplete[0].reason


def _tar_of(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def test_scan_nested_archives_are_opened_and_named() -> None:
    """gzip of tar of zip of gzip: found, and the path says where."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("deep.gz", gzip.compress(f"1\n2\n{TOKEN}".encode()))
    content = gzip.compress(_tar_of("a/b.zip", buffer.getvalue()))
    (finding,) = scan(content, shown="bundle.tgz").findings
    assert (finding.path, finding.line) == ("bundle.tgz!!a/b.zip!deep.gz!", 3)


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress], ids=["gzip", "xz"])
def test_scan_archives_beyond_the_depth_are_incomplete(pack: Callable[[bytes], bytes]) -> None:
    """An archive without end is given up by name, not followed for ever."""
    content = TOKEN.encode()
    for _ in range(ScanLimits().archive_depth + 1 + MAX_DEPTH):
        content = pack(content)
    result = scan(content)
    assert result.findings == []
    assert "archives in each other" in result.incomplete[0].reason


def test_scan_bomb_is_given_up_within_its_budget() -> None:
    """A small file that unpacks to gigabytes costs the budget and is named."""
    scanner = Scanner(VALUES, limits=ScanLimits(unpacked_bytes=8 * 1024**2))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("leak.txt", TOKEN)
        archive.writestr("bomb", bytes(64 * 1024**2))
    result = scan(buffer.getvalue(), scanner=scanner)
    assert kinds(result) == {"API_TOKEN"}
    assert "MiB unpacked" in result.incomplete[0].reason
    # The control: the same archive fits a larger budget.
    assert scan(buffer.getvalue()).incomplete == ()


@pytest.mark.parametrize("damage", ["truncated", "overwritten"])
@pytest.mark.parametrize("kind", ["gzip", "zip", "tar.gz", "xz"])
def test_scan_damaged_archive_is_incomplete(kind: str, damage: str) -> None:
    """What cannot be unpacked is named; nothing passes for clean."""
    noise = secrets.token_bytes(50_000)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", noise)
    content = {
        "gzip": gzip.compress(noise),
        "zip": buffer.getvalue(),
        "tar.gz": gzip.compress(_tar_of("x", noise)),
        "xz": lzma.compress(noise),
    }[kind]
    middle = len(content) // 2
    broken = content[:middle] + (
        b"" if damage == "truncated" else bytes(99) + content[middle + 99 :]
    )
    assert scan(content).incomplete == ()
    assert scan(broken).incomplete != ()


UNOPENED = {
    "7z": b"7z\xbc\xaf\x27\x1c\0\4",
    "rar": b"Rar!\x1a\x07\x01\0",
    "lz4": b"\x04\x22\x4d\x18\x64\x40",
    "compress": b"\x1f\x9d\x90",
    "lzip": b"LZIP\x01",
    "lzop": b"\x89LZO\0\r\n\x1a\n",
    "snappy": b"\xff\x06\0\0sNaPpY",
    "cabinet": b"MSCF\0\0\0\0",
    "Debian package": b"!<arch>\ndebian-binary   ",
    "RPM package": b"\xed\xab\xee\xdb\x03",
    "squashfs": b"hsqs\x01\0",
    "ORC": b"ORC\x0a\0\x82",
    "Avro": b"Obj\x01\x04\x14avro.codec\x0edeflate",
    "Arrow": b"ARROW1\0\0",
    "HDF5": b"\x89HDF\r\n\x1a\n",
    "DuckDB": b"12345678DUCK\x40",
}


@pytest.mark.parametrize("kind", UNOPENED)
def test_scan_format_that_packs_and_is_not_unpacked_is_incomplete(kind: str) -> None:
    """It is named, alone and in an archive, not passed over."""
    content = UNOPENED[kind] + b"\0\xff" * 99
    for data in (content, _tar_of("x", content)):
        assert [u.reason for u in scan(data).incomplete] == [f"{kind} is not unpacked here"]


@pytest.mark.parametrize(
    "text", ["ORCHESTRATION of it", "hsqs is a word", "LZIP it", "Rar! said the bear", "MSCF"]
)
def test_scan_text_that_begins_like_a_packed_format_is_complete(text: str) -> None:
    """A log must not be taken for an archive."""
    assert scan(f"{text}\n{TOKEN}\n".encode()).incomplete == ()


ZSTD = bytes(cramjam.zstd.compress(f"a line\n{TOKEN}\n".encode()))


@pytest.mark.parametrize("packed", [ZSTD, ZSTD + ZSTD], ids=["one-frame", "two-frames"])
def test_scan_zstandard_is_unpacked(packed: bytes) -> None:
    """A log of it, and what was rotated into one file."""
    assert (kinds(scan(packed)), scan(packed).incomplete) == ({"API_TOKEN"}, ())
    assert "damaged" in scan(ZSTD[:-5]).incomplete[0].reason


def test_scan_lzma_of_the_old_kind_is_unpacked() -> None:
    """Its beginning says little; what it holds is read."""
    packed = lzma.compress(f"a line\n{TOKEN}\n".encode(), format=lzma.FORMAT_ALONE)
    assert (kinds(scan(packed)), scan(packed).incomplete) == ({"API_TOKEN"}, ())


def test_scan_xz_that_needs_much_memory_is_read_while_it_holds_little() -> None:
    """What keeps 64 MiB in memory is named, and what only says that it may is not."""
    line = b"a line of a log that is very long, and says the same again and again\n" * 1024
    small = lzma.compress(line + TOKEN.encode(), preset=9)
    assert (kinds(scan(small)), scan(small).incomplete) == ({"API_TOKEN"}, ())
    large = scan(lzma.compress(line * 500, preset=9))
    assert "LZMA that needs more than 32 MiB" in large.incomplete[0].reason


def test_scan_zip_with_a_password_is_incomplete() -> None:
    """The flag says it, and what is in it was not read."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("inner.txt", TOKEN[::-1])
    content = buffer.getvalue()
    for at in (content.find(b"PK\x03\x04") + 6, content.find(b"PK\x01\x02") + 8):
        content = content[:at] + bytes([content[at] | 1]) + content[at + 1 :]
    assert "encrypted" in scan(content).incomplete[0].reason


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("bundle.js.br", b"\x1b\x2f\x00\xf8\x8d\x94\x6e\xde\x44\x55\x86\x96\x20\x0c", True),
        ("bundle.js", b"\x1b\x2f\x00\xf8\x8d\x94\x6e\xde\x44\x55\x86\x96\x20\x0c", False),
        ("texto.br", "ação ".encode() * 103, False),
    ],
    ids=["brotli", "other-name", "text"],
)
def test_scan_brotli_is_told_by_its_name(name: str, content: bytes, *, named: bool) -> None:
    """It has no beginning of its own; a text of that name is read as one, also in an archive."""
    for data, shown in ((content, name), (_tar_of(name, content), "x.tar")):
        result = ScanResult()
        Scanner([]).scan_bytes(data, result, shown=shown)
        reasons = ["brotli is not unpacked here"] if named else []
        assert [unread.reason for unread in result.incomplete] == reasons


MEASURE = """
import resource, sys
from pathlib import Path
from harness.redaction.scan import Scanner, ScanResult
from harness.secret_values import Secret
scanner = Scanner([Secret("API_TOKEN", sys.argv[2])])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
result = ScanResult()
scanner.scan_file(Path(sys.argv[1]), result, shown="large")
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print([finding.kind for finding in result.findings], grown // 1024)
"""


@pytest.mark.parametrize(("unit", "count"), [(b"x", 128), (b"23456734", 3)], ids=["x", "digits"])
def test_scan_large_file_stays_within_bounded_memory(
    unit: bytes, count: int, tmp_path: Path
) -> None:
    """Any size without a line break takes a few blocks of memory, and digits no more.

    Each of the digits could begin a text in hexadecimal, so that there is a match at each byte.
    """
    path = tmp_path / "large"
    with path.open("wb") as file:
        for _ in range(count):
            file.write(unit * (1024**2 // len(unit)))
        file.write(b" " + TOKEN.encode())
    command = [sys.executable, "-c", MEASURE, str(path), TOKEN]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found, _, grown_mib = done.stdout.rpartition(" ")
    assert found == "['API_TOKEN']"
    assert int(grown_mib) < 32


def test_scan_result_shows_no_value() -> None:
    """A result that is printed, or falls into a traceback, leaks nothing."""
    result = scan(TOKEN.encode())
    assert len(result.findings) == 1
    assert TOKEN not in repr(result)
