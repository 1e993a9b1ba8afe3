"""The client of the header protocol's well-known tutorial, with its socket wrapped in TLS and nothing else changed.

Usage: tutorial-client.py HOST PORT ACTION VALUE. As in the tutorial, `search` is sent as JSON and any other action as
a binary request; the answer is read by the header protocol and printed.
"""

import io
import json
import socket
import ssl
import struct
import sys


class Message:
    def __init__(self, sock, request):
        self.sock = sock
        self.request = request
        self._recv_buffer = b""
        self._jsonheader_len = None
        self.jsonheader = None
        self.response = None

    def _read(self):
        data = self.sock.recv(4096)
        if not data:
            raise RuntimeError("Peer closed.")
        self._recv_buffer += data

    def _json_encode(self, obj, encoding):
        return json.dumps(obj, ensure_ascii=False).encode(encoding)

    def _json_decode(self, json_bytes, encoding):
        tiow = io.TextIOWrapper(io.BytesIO(json_bytes), encoding=encoding, newline="")
        obj = json.load(tiow)
        tiow.close()
        return obj

    def _create_message(self, *, content_bytes, content_type, content_encoding):
        jsonheader = {
            "byteorder": sys.byteorder,
            "content-type": content_type,
            "content-encoding": content_encoding,
            "content-length": len(content_bytes),
        }
        jsonheader_bytes = self._json_encode(jsonheader, "utf-8")
        return struct.pack(">H", len(jsonheader_bytes)) + jsonheader_bytes + content_bytes

    def write(self):
        content = self.request["content"]
        content_type = self.request["type"]
        content_encoding = self.request["encoding"]
        if content_type == "text/json":
            content = self._json_encode(content, content_encoding)
        self.sock.sendall(
            self._create_message(
                content_bytes=content, content_type=content_type, content_encoding=content_encoding
            )
        )

    def read(self):
        while self.response is None:
            self._read()
            if self._jsonheader_len is None:
                self.process_protoheader()
            if self._jsonheader_len is not None and self.jsonheader is None:
                self.process_jsonheader()
            if self.jsonheader and self.response is None:
                self.process_response()

    def process_protoheader(self):
        hdrlen = 2
        if len(self._recv_buffer) >= hdrlen:
            self._jsonheader_len = struct.unpack(">H", self._recv_buffer[:hdrlen])[0]
            self._recv_buffer = self._recv_buffer[hdrlen:]

    def process_jsonheader(self):
        hdrlen = self._jsonheader_len
        if len(self._recv_buffer) >= hdrlen:
            self.jsonheader = self._json_decode(self._recv_buffer[:hdrlen], "utf-8")
            self._recv_buffer = self._recv_buffer[hdrlen:]
            for reqhdr in ("byteorder", "content-length", "content-type", "content-encoding"):
                if reqhdr not in self.jsonheader:
                    raise ValueError(f"Missing required header '{reqhdr}'.")

    def process_response(self):
        content_len = self.jsonheader["content-length"]
        if not len(self._recv_buffer) >= content_len:
            return
        data = self._recv_buffer[:content_len]
        self._recv_buffer = self._recv_buffer[content_len:]
        if self.jsonheader["content-type"] == "text/json":
            self.response = self._json_decode(data, self.jsonheader["content-encoding"])
            print(f"Got result: {self.response.get('result')}")
        else:
            self.response = data
            print(f"Received {self.jsonheader['content-type']} response, got: {self.response!r}")
        # What belongs to no field of the header protocol would show that the answer was not meant for this client.
        extra = set(self.jsonheader) - {"byteorder", "content-length", "content-type", "content-encoding"}
        print(f"Other fields: {sorted(extra)}")


def create_request(action, value):
    if action == "search":
        return dict(type="text/json", encoding="utf-8", content=dict(action=action, value=value))
    if action == "double":
        return dict(type="text/json", encoding="utf-8", content=dict(action=action, value=value))
    return dict(
        type="binary/custom-client-binary-type",
        encoding="binary",
        content=bytes(action + value, encoding="utf-8"),
    )


def main():
    host, port, action, value = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection((host, port), timeout=20) as raw:
        with context.wrap_socket(raw, server_hostname=host) as sock:
            message = Message(sock, create_request(action, value))
            message.write()
            message.read()


try:
    main()
except (RuntimeError, ConnectionError, ssl.SSLError) as error:
    print(f"Error: {error}")
    sys.exit(1)
