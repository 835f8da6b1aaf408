"""Who gets in, as whom, to do what, and how often?"""

from __future__ import annotations

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import jwt
import pytest
from conftest import ACME, SECRET, bearer, settings_of
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi.testclient import TestClient
from jwt.algorithms import RSAAlgorithm
from quorate_host import auth
from quorate_host.app import create_app
from quorate_host.rates import Rates
from quorate_host.settings import Settings

CLAIMS = {"iss": "quorate", "aud": "quorate", "sub": "ann", "tenant": "acme", "permissions": ["read"]}


def signed(key=SECRET, algorithm="HS256", headers=None, **changed):
    claims = {**CLAIMS, "exp": time.time() + 60, **changed}
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, key, algorithm, headers)


def unsigned():
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part({**CLAIMS, 'exp': time.time() + 60})}."


def asked(client, token):
    return client.get("/v1/search", params={"q": "x"}, headers={"authorization": f"Bearer {token}"})


def test_a_good_token_gets_in(client):
    assert asked(client, signed()).status_code == 200
    assert asked(client, signed(permissions=None, scope="openid read")).status_code == 200
    assert asked(client, signed(aud=["other", "quorate"])).status_code == 200
    # Clocks may differ a little.
    assert asked(client, signed(exp=time.time() - 5)).status_code == 200


@pytest.mark.parametrize(
    ("name", "token", "code"),
    [
        ("expired", lambda: signed(exp=time.time() - 120), "token_expired"),
        ("not yet", lambda: signed(nbf=time.time() + 600), "token_invalid"),
        ("without an end", lambda: signed(exp=None), "token_invalid"),
        ("forged", lambda: signed("another secret, which is long enough too"), "token_invalid"),
        ("unsigned", unsigned, "token_invalid"),
        ("of another algorithm", lambda: signed(SECRET * 2, "HS512"), "token_invalid"),
        ("of another issuer", lambda: signed(iss="evil"), "token_invalid"),
        ("for somebody else", lambda: signed(aud="other"), "token_invalid"),
        ("of nobody", lambda: signed(sub=None), "token_invalid"),
        ("of no tenant", lambda: signed(tenant=None), "token_invalid"),
        ("of a tenant that is a path", lambda: signed(tenant="../globex"), "token_invalid"),
        ("of a tenant that is a list", lambda: signed(tenant=["acme"]), "token_invalid"),
        ("of a long tenant", lambda: signed(tenant="a" * 65), "token_invalid"),
        ("of a tenant with a line break", lambda: signed(tenant="acme\n"), "token_invalid"),
        ("no token", lambda: "not.a.token", "token_invalid"),
        ("without end", lambda: "x" * 20_000, "token_invalid"),
        ("cut short", lambda: signed()[:-4], "token_invalid"),
    ],
)
def test_a_bad_token_is_refused(client, name, token, code):
    given = token()
    refused = asked(client, given)
    assert (refused.status_code, refused.json()["code"]) == (401, code), name
    assert refused.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
    assert refused.headers["content-type"] == "application/problem+json"
    assert given[:40] not in refused.text


def test_without_a_token_nothing_but_health_answers(app):
    with TestClient(app) as client:
        described = client.get("/openapi.json").json()["paths"]
        open_to_all = {path for path in described if "health" in path} | {"/metrics"}
        assert len(described) > 30
        for path, methods in described.items():
            for method in methods:
                answer = client.request(method, path.replace("{id}", "x").replace("{job}", "x"), json={})
                if path in open_to_all:
                    assert answer.status_code == 200
                else:
                    # Whoever sends a body that does not fit is told that; nobody is told more.
                    assert answer.status_code in (401, 422), (method, path)
        for scheme in ("Basic YTpi", "Bearer", "bearer "):
            refused = client.get("/v1/search", params={"q": "x"}, headers={"authorization": scheme})
            assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")


def test_keys_of_a_provider(tmp_path):
    ours, theirs = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
    key = {**json.loads(RSAAlgorithm.to_jwk(ours.public_key())), "kid": "k1", "alg": "RS256", "use": "sig"}
    asked_for = []

    class Provider(BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802
            asked_for.append(self.path)
            body = json.dumps({"keys": [key]}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [key]}))
    pem = ours.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(pem)
    try:
        for place in (f"http://127.0.0.1:{server.server_port}/keys", str(tmp_path / "jwks.json"), str(tmp_path / "key.pem")):
            with TestClient(create_app(settings_of(tmp_path, jwt_secret=None, jwt_keys=place))) as client:
                good = signed(ours, "RS256", {"kid": "k1"})
                assert [asked(client, good).status_code for _ in range(3)] == [200] * 3
                bad = [signed(theirs, "RS256", {"kid": "k1"}), unsigned()]
                if not place.endswith("pem"):
                    bad.append(signed(ours, "RS256", {"kid": "other"}))
                # The public key, taken for a secret.
                head, body = (base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=") for one in ({"alg": "HS256", "kid": "k1"}, {**CLAIMS, "exp": time.time() + 60}))
                mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(head + b"." + body, pem)
                bad.append(b".".join([head, body, base64.urlsafe_b64encode(mac).rstrip(b"=")]).decode())
                assert [asked(client, one).json()["code"] for one in bad] == ["token_invalid"] * len(bad)
        # Keys are fetched once, and again for one that is not known.
        assert 1 <= len(asked_for) <= 4
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"jwt_secret": SECRET, "jwt_keys": "keys.json"},
        {"jwt_secret": "short"},
        {"jwt_secret": SECRET, "jwt_algorithms": ("none",)},
        {"jwt_secret": SECRET, "jwt_algorithms": ("RS256",)},
        {"jwt_keys": "keys.json", "jwt_algorithms": ("HS256",)},
        {"jwt_secret": SECRET, "role": "boss"},
        {"jwt_secret": SECRET, "max_seconds": float("nan")},
    ],
)
def test_settings_that_would_let_anybody_in_are_refused(tmp_path, wrong):
    with pytest.raises(ValueError, match="QUORATE_HOST_"):
        Settings(folder=tmp_path, **wrong)


def test_settings_come_from_the_environment():
    told = {"QUORATE_HOST_JWT_SECRET": SECRET, "QUORATE_HOST_REFRESH": "0.5", "QUORATE_HOST_CATALOG": "", "QUORATE_HOST_BURST": "7"}
    read = Settings.from_environment({**told, "QUORATE_HOST_JWT_ALGORITHMS": "HS256, HS512", "QUORATE_HOST_RESUME": "no"})
    assert (read.refresh_seconds, read.catalog, read.burst, read.algorithms, read.resume) == (0.5, None, 7, ("HS256", "HS512"), False)
    assert SECRET not in repr(read)
    with pytest.raises(ValueError, match="QUORATE_HOST_BURST is 'many'"):
        Settings.from_environment({**told, "QUORATE_HOST_BURST": "many"})


@pytest.mark.parametrize(
    ("permissions", "method", "path", "body", "status"),
    [
        (("read",), "POST", "/v1/documents", {"documents": [{"id": "a", "text": "b"}]}, 403),
        (("write",), "POST", "/v1/documents", {"documents": [{"id": "a", "text": "b"}]}, 201),
        (("write",), "GET", "/v1/search?q=x", None, 403),
        (("read", "write", "review"), "PUT", "/v1/agents/mine", {"name": "Mine", "summary": "Mine."}, 403),
        (("admin",), "PUT", "/v1/agents/mine", {"name": "Mine", "summary": "Mine."}, 200),
        (("read", "write"), "GET", "/v1/reviews", None, 403),
        (("review",), "GET", "/v1/reviews", None, 200),
        (("read", "superuser"), "POST", "/v1/workflows/example/runs", {}, 403),
        ((), "POST", "/v1/ask", {"question": "x"}, 403),
        ((), "GET", "/v1/models", None, 403),
    ],
)
def test_permissions_are_those_of_the_token(client, permissions, method, path, body, status):
    answer = client.request(method, path, json=body, headers=bearer(permissions=permissions))
    assert answer.status_code == status, answer.text


def test_the_dependency_can_be_replaced(app):
    async def mine():
        return auth.Principal("acme", "eve", frozenset({"read"}))

    app.dependency_overrides[auth.verified] = mine
    with TestClient(app) as client:
        assert client.get("/v1/search", params={"q": "x"}).status_code == 200
        assert client.post("/v1/documents", json={"documents": [{"id": "a", "text": "b"}]}).status_code == 403


def test_a_tenant_that_asks_too_often_waits_and_others_do_not(tmp_path):
    with TestClient(create_app(settings_of(tmp_path, rate=0.5, burst=3)), headers=ACME) as client:
        answers = [client.get("/v1/search", params={"q": "x"}) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert [answer.headers["ratelimit"].split(";")[1] for answer in answers] == ["r=2", "r=1", "r=0", "r=0"]
        assert answers[0].headers["ratelimit-policy"] == '"tenant";q=3;w=6'
        refused = answers[3]
        assert refused.json()["code"] == "too_many_requests" and 1 <= int(refused.headers["retry-after"]) <= 2
        # In OpenAI's form where its clients ask.
        assert client.get("/v1/models").json()["error"]["type"] == "rate_limit_error"
        assert client.get("/v1/search", params={"q": "x"}, headers=bearer("globex")).status_code == 200


def test_buckets_fill_again_and_are_bounded():
    now = [0.0]
    rates = Rates(2.0, 2, lambda: now[0])
    for _ in range(2):
        rates.spend("a")
    with pytest.raises(Exception, match="too often"):
        rates.spend("a")
    now[0] = 0.5
    assert rates.spend("a")["ratelimit"] == '"tenant";r=0;t=1'
    for i in range(20_000):
        rates.spend(f"t{i}")
    assert len(rates._buckets) == 10_000
