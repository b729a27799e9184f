from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.environment import SettingsError, load, name_of, require_stores
from realtime.settings import Settings

FIELDS = msgspec.structs.fields(Settings)
APP = {"STAGEWIRE_AGORA_APP_ID": "a" * 32, "STAGEWIRE_AGORA_CERTIFICATE": "B" * 32}
STORES = {"DATABASE_URL": "postgresql://db/x", "REDIS_URL": "redis://cache"}


def described(field: msgspec.structs.FieldInfo) -> str:
    return " ".join(meta.description or "" for meta in field.type.__metadata__).strip()


def test_without_any_variable_all_is_at_its_default() -> None:
    assert load({}) == Settings()


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_every_setting_has_a_sentence_and_a_default_within_its_bounds(field: msgspec.structs.FieldInfo) -> None:
    assert described(field).endswith(".")
    assert load({name_of(field.name): str(field.default)}) == Settings()


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("database_url", "DATABASE_URL"),
        ("redis_url", "REDIS_URL"),
        ("port", "STAGEWIRE_PORT"),
        ("jwt_role_claim", "STAGEWIRE_JWT_ROLE_CLAIM"),
    ],
)
def test_names(field: str, name: str) -> None:
    assert name_of(field) == name


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("STAGEWIRE_PORT", "0", 0),
        ("STAGEWIRE_PORT", "65535", 65535),
        ("STAGEWIRE_HEARTBEAT", "1.5", 1.5),
        ("STAGEWIRE_HEARTBEAT", "2", 2.0),
        ("STAGEWIRE_DEV", "true", True),
        ("STAGEWIRE_DEV", "False", False),
        ("STAGEWIRE_DEV", "1", True),
        ("STAGEWIRE_DEV", "0", False),
        ("STAGEWIRE_LOG_FORMAT", "console", "console"),
        ("STAGEWIRE_JWT_SECRET", "7" * 32, "7" * 32),
        ("STAGEWIRE_AGORA_VERSION", "006", "006"),
        ("STAGEWIRE_ORIGINS", "*", "*"),
        ("DATABASE_URL", "postgresql://db/x", "postgresql://db/x"),
    ],
)
def test_values_are_read(name: str, text: str, value: Any) -> None:
    field = {name_of(field.name): field.name for field in FIELDS}[name]
    found = getattr(load({name: text}), field)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("STAGEWIRE_PORT", ""),
        ("STAGEWIRE_PORT", "x"),
        ("STAGEWIRE_PORT", "-1"),
        ("STAGEWIRE_PORT", "65536"),
        ("STAGEWIRE_PORT", "80.5"),
        ("STAGEWIRE_DEV", "perhaps"),
        ("STAGEWIRE_HEARTBEAT", "0"),
        ("STAGEWIRE_HEARTBEAT", "nan"),
        ("STAGEWIRE_HELLO_TIMEOUT", "inf"),
        ("STAGEWIRE_MAX_FRAME", "1023"),
        ("STAGEWIRE_MAX_FRAME", "1048577"),
        ("STAGEWIRE_MAX_OUTGOING", "65535"),
        ("STAGEWIRE_BATCH_SIZE", "0"),
        ("STAGEWIRE_LOG_FORMAT", "xml"),
        ("STAGEWIRE_LOG_FORMAT", "json\n"),
        ("STAGEWIRE_LOG_LEVEL", "debug\n"),
        ("STAGEWIRE_AGORA_VERSION", "007\n"),
        ("STAGEWIRE_AGORA_APP_ID", "a" * 31),
        ("STAGEWIRE_AGORA_LIFETIME", "86401"),
        ("STAGEWIRE_AGORA_CUSTOMER_ID", "a:b"),
        ("STAGEWIRE_AGORA_API", "http://api.agora.io"),
        ("STAGEWIRE_AGORA_API", "https://api.agora.io/"),
        ("STAGEWIRE_AGORA_API", "http://localhost.example"),
        ("STAGEWIRE_JWT_LEEWAY", "301"),
    ],
)
def test_a_wrong_value_is_told_in_one_line_with_its_name(name: str, text: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load({name: text})
    assert str(raised.value).startswith(f"{name} is {text!r}: ")
    assert "\n" not in str(raised.value)


def test_a_wrong_secret_is_not_shown() -> None:
    with pytest.raises(SettingsError, match="STAGEWIRE_AGORA_CERTIFICATE: it must have 32 hexadecimal") as raised:
        load({**APP, "STAGEWIRE_AGORA_CERTIFICATE": "c0ffee"})
    assert "c0ffee" not in str(raised.value)
    with pytest.raises(SettingsError, match="STAGEWIRE_AGORA_WEBHOOK_SECRET: ") as raised:
        load({"STAGEWIRE_AGORA_WEBHOOK_SECRET": "c0ffee\n"})
    assert "c0ffee" not in str(raised.value)


@pytest.mark.parametrize("name", ["STAGEWIRE_PROT", "STAGEWIRE_", "STAGEWIRE_DATABASE_URL", "STAGEWIRE_port"])
def test_a_variable_that_is_no_setting_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"there is no setting {name}"):
        load({name: "1", "STAGEWIRE_~": "1"})


def test_other_programs_variables_are_left_alone() -> None:
    assert load({"PATH": "/bin", "STAGEWIRE_TOKEN": "of a client", "PORT": "1", "stagewire_port": "1"}) == Settings()


def test_overrides_win() -> None:
    assert load({"STAGEWIRE_PORT": "1", "STAGEWIRE_HTTP_PORT": "2"}, port=3) == Settings(port=3, http_port=2)


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({"STAGEWIRE_AGORA_APP_ID": "a" * 32}, "together"),
        ({"STAGEWIRE_AGORA_CERTIFICATE": "a" * 32}, "together"),
        ({**APP, "STAGEWIRE_AGORA_CUSTOMER_ID": "id"}, "CUSTOMER_SECRET are set together"),
        ({**APP, "STAGEWIRE_AGORA_CUSTOMER_SECRET": "secret"}, "CUSTOMER_SECRET are set together"),
        ({"STAGEWIRE_AGORA_CUSTOMER_ID": "id", "STAGEWIRE_AGORA_CUSTOMER_SECRET": "secret"}, "without"),
        ({"STAGEWIRE_AGORA_APP_ID": "a" * 32, "STAGEWIRE_AGORA_CERTIFICATE": "A" * 32}, "not the same"),
        ({"STAGEWIRE_SILENCE": "20"}, "SILENCE must be longer"),
        ({"STAGEWIRE_QUALITY_FAIR_MS": "149"}, "FAIR_MS must not be less"),
        ({"STAGEWIRE_HEARTBEAT": "30"}, "SILENCE must be longer"),
        ({"STAGEWIRE_LEASE_MS": "5999"}, "at least twice"),
        ({"STAGEWIRE_LINGER": "8"}, "LINGER must be longer"),
        ({"STAGEWIRE_DATABASE_TIMEOUT": "15"}, "LINGER must be longer"),
        ({"STAGEWIRE_JWT_SECRET": "x" * 31}, "must have 32 bytes"),
    ],
)
def test_settings_that_contradict_each_other(environ: dict[str, str], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        load(environ)


def test_settings_that_just_agree() -> None:
    settings = load({**APP, "STAGEWIRE_SILENCE": "20.5", "STAGEWIRE_LEASE_MS": "6000"})
    assert (settings.agora_app_id, settings.agora_certificate) == ("a" * 32, "B" * 32)


@given(value=st.integers(-(2**70), 2**70))
def test_any_integer_is_taken_or_refused_by_its_bounds(value: int) -> None:
    try:
        settings = load({"STAGEWIRE_PORT": str(value)})
    except SettingsError:
        assert not 0 <= value <= 65_535
    else:
        assert settings.port == value


@pytest.mark.parametrize(
    ("environ", "missing"),
    [
        ({}, "DATABASE_URL is not set"),
        ({"REDIS_URL": "redis://cache"}, "DATABASE_URL is not set"),
        ({"DATABASE_URL": "postgresql://db/x"}, "REDIS_URL is not set"),
        (STORES, "STAGEWIRE_JWT_SECRET is not set"),
    ],
)
def test_production_needs_stores_and_a_secret(environ: dict[str, str], missing: str) -> None:
    with pytest.raises(SettingsError, match=missing):
        require_stores(load(environ))


@pytest.mark.parametrize("secret", ["x" * 32, "é" * 16])
def test_production_is_content_with_these(secret: str) -> None:
    require_stores(load({**STORES, "STAGEWIRE_JWT_SECRET": secret}))


def test_production_needs_no_secret_where_tokens_have_an_issuer() -> None:
    require_stores(load({**STORES, "STAGEWIRE_JWT_JWKS_URL": "https://id.example/keys"}))


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("https://id.example/.well-known/jwks.json?x=1", True),
        ("http://127.0.0.1:8080/keys", True),
        ("http://[::1]:8080/keys", True),
        ("http://localhost/keys", True),
        ("http://id.example/keys", False),
        ("http://127.0.0.1.evil.example/keys", False),
        ("http://127.0.0.1:80@evil.example/keys", False),
        ("https://user:password@id.example/keys", False),
        ("file:///etc/passwd", False),
        ("https://id.example/a b", False),
        ("https://id.example/a\r\nHost: evil", False),
    ],
)
def test_keys_come_by_tls_or_from_this_machine(url: str, taken: bool) -> None:
    if taken:
        assert load({"STAGEWIRE_JWT_JWKS_URL": url}).jwt_jwks_url == url
    else:
        with pytest.raises(SettingsError, match="JWKS_URL"):
            load({"STAGEWIRE_JWT_JWKS_URL": url})
