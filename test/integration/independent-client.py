"""A client of the Sealift protocol that shares nothing with the project but the protocol itself.

Usage: independent-client.py HOST PORT, with the token in SEALIFT_TOKEN. Prints one line for each thing that worked
and the SHA-256 of what it sent, so that whoever runs it can look at the files themselves; fails at the first thing
that did not. Uses the standard library only.
"""

import hashlib
import json
import os
import socket
import ssl
import struct
import sys

BLOCK = 1048576
NOT_HELD = bytes(32)


class Refused(Exception):
    """The server answered with an error."""

    def __init__(self, header, parts):
        super().__init__(header["code"], header["message"])
        self.code = header["code"]
        self.header = header
        self.parts = parts


def block_digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def file_digest(data):
    raw = b"".join(hashlib.sha256(block).digest() for block in blocks_of(data))
    return "sha256-1m:" + hashlib.sha256(raw).hexdigest()


def blocks_of(data):
    return [data[start : start + BLOCK] for start in range(0, len(data), BLOCK)]


class Connection:
    def __init__(self, address):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        # The caller made the server a moment ago; pinning is not what is tried here.
        context.verify_mode = ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols(["sealift/1"])
        raw = socket.create_connection(address, timeout=20)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = context.wrap_socket(raw)
        assert self.socket.selected_alpn_protocol() == "sealift/1"
        self.last_id = 0
        self.waiting = {}

    def send(self, fields, content=b"", content_type="application/octet-stream", encoding="binary"):
        header = {
            "byteorder": sys.byteorder,
            "content-length": len(content),
            "content-type": content_type,
            "content-encoding": encoding,
        }
        header.update(fields)
        encoded = json.dumps(header, ensure_ascii=False).encode("utf-8")
        self.socket.sendall(struct.pack(">H", len(encoded)) + encoded + content)

    def read_exactly(self, count):
        data = bytearray()
        while len(data) < count:
            chunk = self.socket.recv(min(65536, count - len(data)))
            if not chunk:
                raise EOFError(f"the stream ended {count - len(data)} bytes too early")
            data += chunk
        return bytes(data)

    def receive(self):
        (length,) = struct.unpack(">H", self.read_exactly(2))
        header = json.loads(self.read_exactly(length).decode("utf-8"))
        return header, self.read_exactly(header["content-length"])

    def begin(self, action, content=b"", content_type="application/octet-stream", **fields):
        self.last_id += 1
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        self.send({"action": action, "id": self.last_id, **named}, content, content_type)
        return self.last_id

    def finish(self, request):
        """The final answer and the parts before it; answers to other requests are kept for whoever waits for them."""
        parts = []
        while True:
            kept = self.waiting.get(request)
            if kept:
                header, content = kept.pop(0)
            else:
                header, content = self.receive()
                if header.get("id") != request:
                    if "id" in header:
                        self.waiting.setdefault(header["id"], []).append((header, content))
                    elif header["status"] == "error":
                        raise Refused(header, [])
                    continue
            if header["status"] == "error":
                raise Refused(header, parts)
            if header["status"] == "ok":
                return header, content, parts
            assert header["status"] in ("more", "block", "progress"), header
            parts.append((header, content))

    def ask(self, action, content=b"", **fields):
        return self.finish(self.begin(action, content, **fields))

    def hello(self, token):
        return self.ask("hello", protocol=1, agent="independent-client", token=token)[0]

    # --- what one does with files ---

    def put_inline(self, path, data, **fields):
        header, _, _ = self.ask(
            "put", data, path=path, size=len(data), digest=block_digest(data), **fields
        )
        assert header["digest"] == file_digest(data) and header["size"] == len(data), header
        return header

    def begin_upload(self, path, size, **fields):
        header, _, parts = self.ask("put", path=path, size=size, **fields)
        listed = b"".join(content for part, content in parts if part["status"] == "more")
        held = [listed[start : start + 32] for start in range(0, len(listed), 32)]
        return header["upload"], header["base"], held

    def send_missing(self, upload, data, held):
        """Sends, without waiting in between, the blocks that are not held as they should be; how many there were."""
        requests = []
        for index, block in enumerate(blocks_of(data)):
            if index < len(held) and held[index] == hashlib.sha256(block).digest():
                continue
            requests.append(
                self.begin("block", block, upload=upload, index=index, digest=block_digest(block))
            )
        for request in requests:
            self.finish(request)
        return len(requests)

    def commit(self, upload, data):
        return self.ask("commit", upload=upload, size=len(data), digest=file_digest(data))[0]

    def get(self, path, **fields):
        header, content, parts = self.ask("get", path=path, **fields)
        if "size" in header:
            assert block_digest(content) == header["digest"], header
            return header, content
        described = parts[0][0]
        assert described["status"] == "more" and "digest" not in described, described
        data = b""
        indexes = []
        for part, block in parts[1:]:
            assert part["status"] == "block" and block_digest(block) == part["digest"], part
            indexes.append(part["index"])
            data += block
        assert indexes == sorted(set(indexes)), indexes
        described.update({"digest": header.get("digest"), "indexes": indexes})
        return described, data

    def entries(self, action, key, **fields):
        _, content, parts = self.ask(action, **fields)
        pages = [page for part, page in parts if part["status"] == "more"]
        if content:
            pages.append(content)
        return [entry for page in pages for entry in json.loads(page.decode("utf-8"))[key]]


def refused(code, task):
    try:
        task()
    except Refused as error:
        assert error.code == code, (code, error.header)
        assert isinstance(error.header["retryable"], bool) and error.header["message"], error.header
        return error
    raise AssertionError(f"{code} was expected, and nothing was refused")


def done(what, data=None):
    print(what if data is None else f"{what} {hashlib.sha256(data).hexdigest()}", flush=True)


def main():
    address = (sys.argv[1], int(sys.argv[2]))
    token = os.environ["SEALIFT_TOKEN"]

    def connected():
        connection = Connection(address)
        connection.hello(token)
        return connection

    stranger = Connection(address)
    refused("unauthenticated", lambda: stranger.ask("list", path=""))
    refused("unsupported-version", lambda: stranger.ask("hello", protocol=999, agent="x"))
    refused("unauthenticated", lambda: stranger.ask("hello", protocol=1, agent="x", token="wrong"))
    hello = stranger.hello(token)
    assert hello["protocol"] == 1 and hello["block-size"] == BLOCK and hello["digest"] == "sha256"
    assert hello["principal"] == "tester" and set(hello["permissions"]) == {"read", "write", "list", "delete"}
    assert hello["max-requests"] >= 1 and hello["idle-timeout-ms"] > 0 and hello["time-ms"] > 0
    me = stranger
    done("hello")

    assert me.ask("ping")[0]["time-ms"] > 0
    header, content, _ = me.finish(me.begin("echo", b"\x00\xff", content_type="image/odd"))
    assert content == b"\x00\xff" and header["content-type"] == "image/odd"
    done("ping-and-echo")

    small = os.urandom(1000)
    receipt = me.put_inline("docs/small ü.bin", small, mtime_ms=1500000000123, mode=0o640)
    assert receipt["path"] == "docs/small ü.bin" and receipt["durability"] == "disk"
    assert receipt["mtime-ms"] == 1500000000123
    me.put_inline("docs/empty", b"")
    done("put-inline", small)

    large = os.urandom(3 * BLOCK + 17)
    upload, base, held = me.begin_upload("docs/large", len(large))
    assert base == "none" and not any(digest != NOT_HELD for digest in held)
    assert me.send_missing(upload, large, held) == 4
    receipt = me.commit(upload, large)
    assert receipt["size"] == len(large) and receipt["digest"] == file_digest(large)
    assert me.commit(upload, large) == {**receipt, "id": me.last_id}
    done("put-in-blocks", large)

    unknown_size = os.urandom(BLOCK + 1)
    upload, _, _ = me.begin_upload("docs/unknown", None)
    for index, block in enumerate(blocks_of(unknown_size)):
        # Without an id a block is not answered; the commit shows that both are there.
        me.send({"action": "block", "upload": upload, "index": index, "digest": block_digest(block)}, block)
    me.commit(upload, unknown_size)
    done("put-of-unknown-size", unknown_size)

    resumed = os.urandom(4 * BLOCK + 5)
    key = os.urandom(16).hex()
    broken = connected()
    first, _, _ = broken.begin_upload("resumed", len(resumed), resume_key=key)
    for index in (0, 3):
        block = blocks_of(resumed)[index]
        broken.ask("block", block, upload=first, index=index, digest=block_digest(block))
    broken.socket.close()
    again = connected()
    second, base, held = again.begin_upload("resumed", len(resumed), resume_key=key)
    assert base == "partial" and second != first
    assert [digest != NOT_HELD for digest in held] == [True, False, False, True], held
    refused("superseded", lambda: again.commit(first, resumed))
    lacking = refused("incomplete", lambda: again.commit(second, resumed))
    assert b"".join(page for _, page in lacking.parts)[:32] == held[0]
    # Half of the rest comes over another connection of the same principal.
    helper = connected()
    block = blocks_of(resumed)[1]
    helper.ask("block", block, upload=second, index=1, digest=block_digest(block))
    held[1] = hashlib.sha256(block).digest()
    assert again.send_missing(second, resumed, held) == 2
    assert again.commit(second, resumed)["digest"] == file_digest(resumed)
    done("resume", resumed)

    changed = resumed[: 2 * BLOCK] + os.urandom(BLOCK) + resumed[3 * BLOCK :]
    upload, base, held = me.begin_upload("resumed", len(changed), base="existing")
    assert base == "existing"
    assert me.send_missing(upload, changed, held) == 1
    me.commit(upload, changed)
    done("delta", changed)

    header, content = me.get("docs/small ü.bin")
    assert content == small and header["mtime-ms"] == 1500000000123 and header["mode"] == 0o640
    assert me.get("docs/empty")[1] == b""
    header, content = me.get("docs/large")
    assert content == large and header["digest"] == file_digest(large) and header["size"] == len(large)
    header, content = me.get("docs/large", from_block=1, block_count=2, if_match=header["etag"])
    assert content == large[BLOCK : 3 * BLOCK] and header["indexes"] == [1, 2] and header["digest"] is None
    refused("precondition-failed", lambda: me.get("docs/large", if_match="another"))
    # Two at once: the parts of the answers may come mixed.
    requests = [me.begin("get", path="docs/large"), me.begin("stat", path="docs/large")]
    assert me.finish(requests[1])[0]["size"] == len(large)
    assert len([part for part in me.finish(requests[0])[2] if part[0]["status"] == "block"]) == 4
    done("get")

    header, content, parts = me.ask("digests", path="docs/large")
    pages = b"".join(page for part, page in parts if part["status"] == "more") + content
    assert pages == b"".join(hashlib.sha256(block).digest() for block in blocks_of(large))
    assert header["digest"] == file_digest(large) and header["size"] == len(large)
    stat = me.ask("stat", path="docs/small ü.bin", digest=True)[0]
    assert stat["type"] == "file" and stat["size"] == 1000 and stat["digest"] == file_digest(small)
    assert me.ask("stat", path="docs")[0]["type"] == "directory"
    done("digests-and-stat")

    me.ask("mkdir", path="docs/new/deep")
    assert sorted(entry["path"] for entry in me.entries("list", "entries", path="")) == ["docs", "resumed"]
    inside = me.entries("list", "entries", path="docs", recursive=True)
    assert {entry["path"]: entry["type"] for entry in inside} == {
        "docs/empty": "file",
        "docs/large": "file",
        "docs/new": "directory",
        "docs/new/deep": "directory",
        "docs/small ü.bin": "file",
        "docs/unknown": "file",
    }
    assert me.entries("search", "result", query="small") == ["docs/small ü.bin"]
    assert me.entries("search", "result", query="*/lar?e") == ["docs/large"]
    done("list-and-search")

    present = refused("exists", lambda: me.put_inline("docs/empty", small, **{"if": "absent"}))
    assert present.header["digest"] == file_digest(b"") and present.header["etag"]
    me.put_inline("docs/empty", b"now", **{"if": "match", "etag": present.header["etag"]})
    refused("precondition-failed", lambda: me.put_inline("docs/empty", b"", **{"if": "match", "etag": "old"}))
    me.put_inline("in memory", b"m", durability="memory")
    me.ask("sync")
    me.ask("set", path="docs/empty", mtime_ms=1000)
    assert me.ask("stat", path="docs/empty")[0]["mtime-ms"] == 1000
    me.ask("move", path="docs/empty", to="moved/here")
    assert me.get("moved/here")[1] == b"now"
    refused("not-found", lambda: me.get("docs/empty"))
    me.ask("remove", path="in memory")
    refused("not-empty", lambda: me.ask("remove", path="moved"))
    me.ask("remove", path="moved", recursive=True)
    refused("not-found", lambda: me.ask("stat", path="moved"))
    done("change-and-remove")

    for path in ("../out", "/absolute", "a//b", "a/", "a\x00b", ".sealift/uploads", "x" * 256):
        refused("bad-name", lambda path=path: me.get(path))
    refused("is-directory", lambda: me.get("docs"))
    refused("unsupported", lambda: me.ask("fly"))
    refused("bad-request", lambda: me.ask("get"))
    refused("digest-mismatch", lambda: me.ask("put", b"a", path="x", size=1, digest=block_digest(b"b")))
    refused("unknown-upload", lambda: me.ask("abort", upload="no such thing"))
    upload, _, _ = me.begin_upload("aborted", BLOCK + 1)
    wrong = refused(
        "digest-mismatch", lambda: me.ask("block", bytes(BLOCK), upload=upload, index=0, digest=block_digest(b""))
    )
    assert wrong.header["upload"] == upload and wrong.header["index"] == 0
    refused("bad-request", lambda: me.ask("block", b"a", upload=upload, index=2, digest=block_digest(b"a")))
    me.ask("abort", upload=upload)
    refused("not-found", lambda: me.get("aborted"))
    assert me.ask("ping")[0]["status"] == "ok"
    done("errors")

    for frame, code in (
        (b"\x00\x00", "bad-frame"),
        (b"\xff\xff", "header-too-large"),
        (b"\x00\x02[]", "bad-header"),
    ):
        bad = connected()
        bad.socket.sendall(frame)
        header, _ = bad.receive()
        assert header["status"] == "error" and header["code"] == code and "id" not in header, header
        try:
            bad.receive()
            raise AssertionError("the stream went on")
        except (EOFError, ssl.SSLEOFError, ConnectionError):
            pass
    assert connected().ask("ping")[0]["status"] == "ok"
    done("broken-streams")


main()
