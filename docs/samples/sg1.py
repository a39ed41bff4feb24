#!/usr/bin/env python3
"""SG1 request headers in Python 3, standard library only. 用 Python 3 标准库生成 SG1 请求头。

    SG_APP=rs-benefit SG_HMAC=hmac.key python3 sg1.py GET 'https://gw.example/pop/v1/persons?id=1' > headers
    curl --cacert ca.pem -H @headers 'https://gw.example/pop/v1/persons?id=1'

SG_HMAC is a file with the HMAC key in base64. HMAC-SM3 uses hashlib (needs an OpenSSL with
SM3, as Debian's has). SM2 signing is left to the openssl command, as no SM2 is in the
standard library. Environment: see sg1.sh.
"""
import base64
import hashlib
import hmac
import os
import secrets
import subprocess
import sys
import time

ELEMENTS = ("purpose", "item", "biz", "org", "operator")


def canonical(method, host, path, query, values):
    """The 14 signed lines; absent headers are empty values."""
    pairs = b"&".join(sorted(query.encode().split(b"&"))).decode() if query else ""
    names = ("app", "time", "nonce", "digest") + ELEMENTS
    lines = ["SG1", method.upper(), host.lower(), path, pairs]
    lines += [f"x-sg-{name}:{values.get(name, '')}" for name in names]
    return "\n".join(lines).encode()


def sign(text, env):
    if env.get("SG_KEY"):
        der = subprocess.run(
            ["openssl", "dgst", "-sm3", "-sign", env["SG_KEY"], "-sigopt", "distid:1234567812345678"],
            input=text, capture_output=True, check=True).stdout
        return "sm2=" + base64.b64encode(der).decode()
    with open(env["SG_HMAC"], "rb") as f:
        key = base64.b64decode(f.read().strip(), validate=True)
    return "hmac-sm3=" + base64.b64encode(hmac.new(key, text, "sm3").digest()).decode()


def encoded(value):
    """Percent-encodes what is not visible ASCII, and %."""
    return "".join(chr(b) if 0x21 <= b <= 0x7E and b != 0x25 else f"%{b:02X}" for b in value.encode())


def headers(method, url, body=b"", env=os.environ):
    rest = url.split("://", 1)[1]
    host, slash, tail = rest.partition("/")
    path, _, query = (slash + tail or "/").partition("?")
    values = {name: encoded(env.get("SG_" + name.upper(), "")) for name in ELEMENTS}
    values["app"] = env["SG_APP"]
    values["time"] = env.get("SG_TIME") or str(time.time_ns() // 1_000_000)
    values["nonce"] = env.get("SG_NONCE") or base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
    values["digest"] = "sm3=" + base64.b64encode(hashlib.new("sm3", body).digest()).decode()
    out = {f"X-SG-{name.capitalize()}": value for name, value in values.items() if value}
    out["X-SG-Sign"] = sign(canonical(method, host, path, query, values), env)
    return out


if __name__ == "__main__":
    payload = open(sys.argv[3], "rb").read() if len(sys.argv) > 3 else b""
    for name, value in headers(sys.argv[1], sys.argv[2], payload).items():
        print(f"{name}: {value}")
