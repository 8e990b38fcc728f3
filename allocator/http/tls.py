"""TLS: a certificate and its key, read once for all connections to come."""

import ssl

from allocator.errors import UsageError


def tls_context(cert: str, key: str) -> ssl.SSLContext:
    """Return what speaks TLS 1.2 or newer with this certificate.

    Args:
        cert: Name of a file with the certificate chain in PEM.
        key: Of one with its key, unencrypted.

    Raises:
        UsageError: They cannot be read, or do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    load_certificate(context, cert, key)
    return context


def load_certificate(context: ssl.SSLContext, cert: str, key: str) -> None:
    """Have a context use what is in the files now, for the connections to come.

    Raises:
        UsageError: They cannot be read, or do not belong together; what was used before may
            not work any more. Try a context of its own first.
    """
    for flag, path in (("--tls-cert", cert), ("--tls-key", key)):
        _require_readable(flag, path)
    try:
        context.load_cert_chain(cert, key, password=_refuse_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise UsageError(f"--tls-key {key} is not the key of --tls-cert {cert}") from error
        raise UsageError(
            f"--tls-cert {cert} and --tls-key {key} must be a certificate chain and its key, "
            f"both in PEM: {error.reason or error}"
        ) from error


def _require_readable(flag: str, path: str) -> None:
    try:
        with open(path, "rb"):  # noqa: PTH123 (nothing but that is wanted)
            pass
    except OSError as error:
        raise UsageError(f"{flag} {path} cannot be read: {error.strerror or error}") from error


def _refuse_password() -> str:
    raise UsageError("--tls-key is encrypted: nobody is there to type its password at a start")
