"""TLS of every port and every connection, made in one place: nothing below TLS 1.2, no compression."""

import ssl
from pathlib import Path

from offhook.config.problems import WRONG_VALUE, ConfigError, Mark, Problem
from offhook.config.schema import TlsConfig

#: Of TLS 1.2: forward secrecy and authenticated encryption; those of TLS 1.3 have both.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


def server_context(tls: TlsConfig, setting: str) -> ssl.SSLContext:
    """Return how a port speaks TLS.

    Args:
        tls: the files of its certificate.
        setting: where that is configured, for the error: `tls` or `admin_tls`.

    Raises:
        ConfigError: certificate or key cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    # A client that asks for one handshake after the other costs much and pays nothing.
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    load_certificate(context, tls, setting)
    return context


def load_certificate(context: ssl.SSLContext, tls: TlsConfig, setting: str) -> None:
    """Show this certificate from the next connection on; ConfigError like that of `server_context`.

    Whether the files can be used is better tried on another context first: this one may be left without a certificate.
    """
    for name, path in (("cert", tls.cert), ("key", tls.key)):
        try:
            with Path(path).open("rb"):
                pass
        except OSError as error:
            raise _unusable(f"{setting}.{name}", error.strerror or type(error).__name__) from error
    try:
        # With a password that is wrong, for otherwise an encrypted key has OpenSSL ask at the terminal, for ever.
        context.load_cert_chain(tls.cert, tls.key, password="")
    except ssl.SSLError as error:
        why = "they do not belong together" if error.reason == "KEY_VALUES_MISMATCH" else "no PEM, or an encrypted key"
        raise _unusable(setting, why) from error


def client_context() -> ssl.SSLContext:
    """Return how a connection of ours speaks TLS: the server's name is checked against the platform's authorities."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    return context


def _unusable(setting: str, why: str) -> ConfigError:
    text = f"certificate and key cannot be used ({why})"
    return ConfigError([Problem(WRONG_VALUE, Mark("the configuration"), setting, text)])
