"""TLS: what is sent is encrypted, by a certificate that can be exchanged, and nothing older."""

import asyncio
import signal
import ssl
import time
from pathlib import Path

import aiohttp
import pytest
import trustme

from tests.integration.serving import Server, until
from tests.integration.wire import connected, request

HOST = "127.0.0.1"
DEFAULT_S = 10.0
"""So long a server waits by default for whoever says nothing."""


class Issued:
    """Certificates of an authority of the test's own, in files."""

    def __init__(self, directory: Path) -> None:
        self.authority = trustme.CA()
        self.cert = directory / "cert.pem"
        self.key = directory / "key.pem"
        self.issue()

    def issue(self) -> None:
        """Write another certificate and its key to the same files."""
        issued = self.authority.issue_cert(HOST)
        self.cert.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
        self.key.write_bytes(issued.private_key_pem.bytes())

    def trust(self) -> ssl.SSLContext:
        """What a client needs to believe them."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context

    @property
    def flags(self) -> tuple[str, ...]:
        return ("--tls-cert", str(self.cert), "--tls-key", str(self.key))


async def serial(server: Server, trust: ssl.SSLContext) -> str:
    """The serial number of the certificate that a new connection gets."""
    port = int(server.url.rpartition(":")[2])
    _, writer = await asyncio.open_connection(HOST, port, ssl=trust)
    certificate = writer.get_extra_info("peercert")
    writer.close()
    await writer.wait_closed()
    return str(certificate["serialNumber"])


@pytest.mark.parametrize("workers", [1, 2])
async def test_requests_are_encrypted_and_the_certificate_is_exchanged_while_they_are_served(
    database_url: str, tmp_path: Path, workers: int
) -> None:
    issued = Issued(tmp_path)
    arguments = ("--database-url", database_url, "--workers", str(workers), *issued.flags)
    server = Server(*arguments, log=tmp_path / "log")
    trust = issued.trust()
    try:
        await server.start()
        assert server.url.startswith("https://")
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session:
            name = f"{server.url}/warehouses/main"
            async with session.put(name, json={"name": "Main"}) as response:
                assert response.status == 201
            former = await serial(server, trust)
            issued.issue()
            assert server.process is not None
            server.process.send_signal(signal.SIGHUP)

            done = "server.certificate_read" if workers == 1 else "supervisor.rolled"
            await until(lambda: server.logged(done))
            assert await serial(server, trust) != former
            issued.cert.write_bytes(b"no certificate")
            server.process.send_signal(signal.SIGHUP)
            refused = "server.certificate_refused" if workers == 1 else "supervisor.roll_stopped"
            await until(lambda: server.logged(refused))
            async with session.get(name) as response:  # it goes on with what it had
                assert response.status == 200
            assert await serial(server, trust) != former
        assert await server.terminate() == 0
    finally:
        await server.close()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
async def test_nothing_older_than_tls_1_2_and_nothing_unencrypted_is_spoken(
    database_url: str, tmp_path: Path
) -> None:
    issued = Issued(tmp_path)
    arguments = ("--database-url", database_url, "--head-timeout-ms", "500", *issued.flags)
    server = Server(*arguments, log=tmp_path / "log")
    try:
        await server.start()
        old = issued.trust()
        old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("DEFAULT:@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, ConnectionError)):  # an alert may be lost
            await serial(server, old)
        async with connected(server.url) as plain:
            await plain.send(request("GET", "/healthz"))
            assert b"HTTP" not in await plain.rest()
        async with connected(server.url) as silent:  # it never shakes hands
            began = time.monotonic()
            assert await silent.rest() == b""
            assert time.monotonic() - began < DEFAULT_S
        assert await serial(server, issued.trust())
    finally:
        await server.close()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("no certificate", "--tls-cert {cert} cannot be read: No such file or directory"),
        ("no key", "--tls-key {key} cannot be read: No such file or directory"),
        ("another key", "--tls-key {key} is not the key of --tls-cert {cert}"),
        ("not PEM", "--tls-cert {cert} and --tls-key {key} must be a certificate chain"),
        ("encrypted", "--tls-key is encrypted"),
    ],
)
async def test_files_that_are_no_good_stop_the_start_before_anything_is_started(
    tmp_path: Path, fault: str, said: str
) -> None:
    issued = Issued(tmp_path)
    match fault:
        case "no certificate":
            issued.cert.unlink()
        case "no key":
            issued.key.unlink()
        case "another key":
            certificate = issued.cert.read_bytes()
            issued.issue()
            issued.cert.write_bytes(certificate)
        case "not PEM":
            issued.cert.write_bytes(b"-----BEGIN NOTHING-----")
        case _:
            issued.key.write_bytes(ENCRYPTED_KEY)
    log = tmp_path / "log"
    server = Server("--data-dir", str(tmp_path / "data"), *issued.flags, log=log)
    with pytest.raises(AssertionError):
        await server.start()

    assert server.process is not None
    assert server.process.returncode == 2
    assert said.format(cert=issued.cert, key=issued.key) in log.read_text("utf-8")
    assert not (tmp_path / "data").exists()


ENCRYPTED_KEY = b"""-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjWRnxRrfFdzgICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEAQIEEM7rl1t6PvPPhrvA/BYiqLUEgZAU
dRi4qOESc3mD50G0ghehN1sLAckVVbeXK+INK8N26FXRfaed1HrOgc1OJzWZyZDg
1yXRLrF6Xee5WgFRW1poUbFd7QazocfTntK9jx9iFBPDu72vDOLQ/lIBfttN3Ldx
ikV4L5FGXWhaelJKyD3C7QeqpQydKdUtS+8FRJNaEq2ef2g+0Z6OAhLH2zj5HO4=
-----END ENCRYPTED PRIVATE KEY-----
"""
