"""The TLS certificate of the bundled servers, and the authority that signed it."""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificateIssuerPrivateKeyTypes,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from firstclick.core.errors import HomeError, SettingsError
from firstclick.core.home import Home
from firstclick.core.trust import changeable

ADDRESS = ipaddress.ip_address("127.0.0.1")
"""Where the bundled servers listen. Their certificate must be valid for it."""

LIFETIME = datetime.timedelta(days=825)
"""The validity of a generated certificate: the longest that Apple's systems accept."""
RENEWED = datetime.timedelta(days=400)
"""A start replaces a generated certificate that is valid for less than this."""

_NAMES = ("ca.pem", "server.key", "server.pem")
"""The generated files, in the order in which they are written. If the last one exists,
they are complete."""


@dataclass(frozen=True)
class Certificates:
    """A server's certificate and key, and the authority that its clients trust."""

    chain: bytes
    """PEM: the server's certificate, followed by the intermediate certificates."""
    key: bytes
    """The certificate's key: PEM, PKCS #8, not encrypted."""
    authority: Path
    """The file with the authority's certificate, in PEM."""


def generated(home: Home) -> Certificates:
    """Return the home's certificates, generated if they are missing or about to expire.

    The authority only signs this one certificate, because its key is never stored.
    Raises HomeError.
    """
    directory = home.path / "tls"
    with home.errors():
        directory.mkdir(mode=0o700, exist_ok=True)
        if not _is_good(directory):
            for name, content in zip(_NAMES, _generate(), strict=True):
                home.write_bytes(content, f"tls/{name}")
        authority, key, chain = (directory / name for name in _NAMES)
        return Certificates(chain.read_bytes(), key.read_bytes(), authority)


def given(certificate: Path, key: Path, authority: Path) -> Certificates:
    """Return the certificates in your own files, which must be PEM.

    Raises SettingsError if they can't be used: for example, if the key isn't the
    certificate's, if the certificate isn't for 127.0.0.1, or if other users can change
    one of the files.
    """
    try:
        for file in (certificate, key, authority):
            found = changeable(file)
            if found is not None:
                raise SettingsError(
                    # Cause: Another user could replace the certificate or its key.
                    # Remedy: Keep the files below directories that only root and you
                    #   can change.
                    f"{found}, on the way to {file}, can be changed by other users, "
                    "expected only by its owner: keep what FIRSTCLICK_TLS_CERTIFICATE"
                    ", FIRSTCLICK_TLS_KEY and FIRSTCLICK_TLS_CA name where nobody else "
                    "can write"
                )
        chain = certificate.read_bytes()
        loaded = x509.load_pem_x509_certificates(chain)[0]
        private = serialization.load_pem_private_key(key.read_bytes(), None)
        x509.load_pem_x509_certificates(authority.read_bytes())
    except OSError as error:
        raise SettingsError(
            f"{error.filename} can't be read: {error.strerror}; expected PEM there, "
            "see FIRSTCLICK_TLS_CERTIFICATE, FIRSTCLICK_TLS_KEY and FIRSTCLICK_TLS_CA"
        ) from error
    except (ValueError, TypeError) as error:
        raise SettingsError(
            # Cause: One of the files has another format, or the key has a passphrase.
            # Remedy: Convert the file with `openssl x509` or `openssl pkey`.
            f"the files of FIRSTCLICK_TLS_CERTIFICATE, FIRSTCLICK_TLS_KEY and "
            f"FIRSTCLICK_TLS_CA are not what was expected ({error}): give a "
            "certificate, its key without a passphrase, and the authority's "
            "certificate, each in PEM"
        ) from error
    if loaded.public_key() != private.public_key():
        raise SettingsError(
            f"{key} is not the key of {certificate}: set FIRSTCLICK_TLS_KEY to the one "
            "that is"
        )
    if ADDRESS not in _addresses(loaded):
        raise SettingsError(
            # Cause: Clients connect to 127.0.0.1 and compare the certificate with that
            #   address.
            # Remedy: Have a certificate signed with `IP:127.0.0.1` as an alternative
            #   name, or unset the three variables.
            f"{certificate} is not for {ADDRESS}, where the bundled servers listen: "
            "give one that names it among its alternative names"
        )
    return Certificates(chain, _pem_of(private), authority)  # type: ignore[arg-type]


def _is_good(directory: Path) -> bool:
    if not all((directory / name).is_file() for name in _NAMES):
        return False
    try:
        found = x509.load_pem_x509_certificate((directory / "server.pem").read_bytes())
    except ValueError as error:
        raise HomeError(
            f"{directory} holds no certificate ({error}), expected one: delete the "
            "directory, another one is generated"
        ) from error
    return found.not_valid_after_utc - _now() > RENEWED


def _generate() -> tuple[bytes, bytes, bytes]:
    """Return the authority's certificate, the server's key, and its certificate."""
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority_name = _name("First Click's own authority")
    authority = (
        _certificate(authority_name, authority_name, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    server = (
        _certificate(_name("First Click"), authority_name, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(
                authority_key.public_key()
            ),
            critical=False,
        )
        .add_extension(
            # Kafka's broker and controller are also clients of each other
            x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            ),
            critical=False,
        )
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.IPAddress(ADDRESS), x509.DNSName("localhost")]
            ),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return authority.public_bytes(pem), _pem_of(key), server.public_bytes(pem)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        )
        .serial_number(x509.random_serial_number())
        # The clock of a client may be slow
        .not_valid_before(_now() - datetime.timedelta(hours=1))
        .not_valid_after(_now() + LIFETIME)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(**uses: bool) -> x509.KeyUsage:
    names = (
        *("digital_signature", "content_commitment", "key_encipherment"),
        *("data_encipherment", "key_agreement", "key_cert_sign", "crl_sign"),
        *("encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**(dict.fromkeys(names, False) | uses))


def _addresses(certificate: x509.Certificate) -> list[object]:
    try:
        names = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except x509.ExtensionNotFound:
        return []
    return list(names.value.get_values_for_type(x509.IPAddress))


def _pem_of(key: CertificateIssuerPrivateKeyTypes) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
