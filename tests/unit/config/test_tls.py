"""TLS, shaken hands in memory."""

import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from offhook.config import ConfigError, TlsConfig, client_context, server_context


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def files(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> TlsConfig:
    folder = tmp_path_factory.mktemp("tls")
    issued = authority.issue_cert("localhost")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    return TlsConfig(cert=str(folder / "cert.pem"), key=str(folder / "key.pem"))


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = client_context()
    authority.configure_trust(context)
    return context


def shake_hands(
    client: ssl.SSLContext, server: ssl.SSLContext, name: str = "localhost"
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Join a client and a server; SSLError if they do not agree."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(6):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return sides


def test_the_best_that_both_know(authority: trustme.CA, files: TlsConfig) -> None:
    ours, theirs = shake_hands(trusting(authority), server_context(files, "tls"))
    assert ours.version() == theirs.version() == "TLSv1.3"
    assert theirs.compression() is None
    assert theirs.selected_alpn_protocol() == "http/1.1"


def test_tls_1_2_with_forward_secrecy_and_nothing_older(authority: trustme.CA, files: TlsConfig) -> None:
    server, old = server_context(files, "tls"), trusting(authority)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    ours, _ = shake_hands(old, server)
    cipher = ours.cipher()
    assert cipher is not None
    assert ours.version() == "TLSv1.2"
    assert cipher[0].startswith("ECDHE-")
    assert "GCM" in cipher[0] or "CHACHA20" in cipher[0]
    old.set_ciphers("AES128-SHA:ECDHE+AES:!AESGCM:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        shake_hands(old, server)
    for context in (server, client_context()):
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
        assert context.options & ssl.OP_NO_COMPRESSION
    assert server.options & ssl.OP_NO_RENEGOTIATION
    names = {cipher["name"] for cipher in server.get_ciphers() if cipher["protocol"] == "TLSv1.2"}
    assert names
    assert all(name.startswith("ECDHE-") and ("GCM" in name or "CHACHA20" in name) for name in names)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_a_client_that_knows_only_what_is_old(authority: trustme.CA, files: TlsConfig) -> None:
    client = trusting(authority)
    client.minimum_version = ssl.TLSVersion.TLSv1
    client.maximum_version = ssl.TLSVersion.TLSv1_1
    client.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        shake_hands(client, server_context(files, "tls"))


def test_our_connections_check_whom_they_talk_to(authority: trustme.CA, files: TlsConfig) -> None:
    server = server_context(files, "tls")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(client_context(), server)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"other\.example"):
        shake_hands(trusting(authority), server, "other.example")


def test_files_that_cannot_be_used(files: TlsConfig, tmp_path: Path) -> None:
    key = serialization.load_pem_private_key(Path(files.key).read_bytes(), None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"not empty"),
    )
    (tmp_path / "encrypted.pem").write_bytes(encrypted)
    (tmp_path / "other.pem").write_bytes(trustme.CA().issue_cert("localhost").private_key_pem.bytes())
    (tmp_path / "empty.pem").touch()
    for changes, path, why in (
        ({"cert": str(tmp_path / "nowhere.pem")}, "tls.cert", "No such file"),
        ({"key": str(tmp_path)}, "tls.key", "directory"),
        ({"key": str(tmp_path / "encrypted.pem")}, "tls", "an encrypted key"),
        ({"key": str(tmp_path / "other.pem")}, "tls", "do not belong together"),
        ({"cert": str(tmp_path / "empty.pem")}, "tls", "no PEM"),
    ):
        with pytest.raises(ConfigError) as caught:
            server_context(files.model_copy(update=changes), "tls")
        (problem,) = caught.value.problems
        assert (problem.code, problem.path) == ("OH-CONF-08", path)
        assert why in problem.message
