"""The bundled servers' certificate: generated and renewed, or yours and checked."""

import datetime
from pathlib import Path

import pytest
from cryptography import x509

from firstclick.core.errors import SettingsError
from firstclick.core.home import Home
from firstclick.servers import certificates
from firstclick.servers.certificates import Certificates, generated, given


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.open(tmp_path / "home")


def test_it_is_generated_once(home: Home) -> None:
    first = generated(home)
    assert generated(home) == first
    authority = x509.load_pem_x509_certificate(first.authority.read_bytes())
    server = x509.load_pem_x509_certificate(first.chain)
    server.verify_directly_issued_by(authority)
    for file in (home.path / "tls").iterdir():
        assert file.stat().st_mode & 0o077 == 0


def test_the_key_of_the_authority_is_kept_nowhere(home: Home) -> None:
    generated(home)
    names = {file.name for file in (home.path / "tls").iterdir()}
    assert names == {"ca.pem", "server.pem", "server.key"}


def test_it_is_renewed_long_before_it_ends(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(certificates, "LIFETIME", datetime.timedelta(days=300))
        first = generated(home)
    again = generated(home)
    assert again.chain != first.chain
    assert generated(home) == again


def test_one_whose_making_was_interrupted_is_made_anew(home: Home) -> None:
    first = generated(home)
    (home.path / "tls" / "server.pem").unlink()
    assert generated(home).chain != first.chain


def files(found: Certificates, directory: Path) -> tuple[Path, Path, Path]:
    certificate, key = directory / "given.pem", directory / "given.key"
    certificate.write_bytes(found.chain)
    key.write_bytes(found.key)
    return certificate, key, found.authority


def test_a_given_one_is_used(home: Home, tmp_path: Path) -> None:
    found = generated(home)
    assert given(*files(found, tmp_path)) == found


def test_a_given_one_that_does_not_serve_is_told(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key, authority = files(generated(home), tmp_path)
    other = tmp_path / "other.key"
    other.write_bytes(generated(Home.open(tmp_path / "other")).key)
    for wrong, why in (
        ((tmp_path / "none", key, authority), "can't be read: No such file"),
        ((certificate, authority, authority), "are not what was expected"),
        ((certificate, other, authority), "is not the key of"),
    ):
        with pytest.raises(SettingsError, match=why) as raised:
            given(*wrong)
        assert "\n" not in str(raised.value)
    monkeypatch.setattr(certificates, "ADDRESS", "192.0.2.1")
    with pytest.raises(SettingsError, match=r"is not for 192\.0\.2\.1"):
        given(certificate, key, authority)
