"""The settings as the environment has them: read once, checked against each other, and refused in one line."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from realtime.domain.addresses import Networks
from realtime.settings import Settings

PREFIX: Final = "STAGEWIRE_"
# What operators and platforms set by these names everywhere.
UNPREFIXED: Final = {"database_url": "DATABASE_URL", "redis_url": "REDIS_URL"}
# The access token of `stagewire chat`, which is no setting of the server's. On its command line everyone on the
# machine would see it.
TOKEN: Final = f"{PREFIX}TOKEN"
# Not even a wrong one is shown: it may be the right one with a slip.
SECRETS: Final = frozenset(["jwt_secret", "agora_certificate", "agora_webhook_secret", "agora_customer_secret"])
# What a value has to be, where its pattern would tell that to nobody.
SHAPES: Final = dict.fromkeys(
    ["agora_app_id", "agora_certificate"], "it must have 32 hexadecimal digits, as Agora's console shows them"
)
# RFC 7518, section 3.2: a key of HS256 is no shorter than its hash.
MIN_SECRET: Final = 32


class SettingsError(Exception):
    """A setting is missing or wrong. The message is one line for the operator."""


def name_of(field: str) -> str:
    """Give the environment variable of a setting."""
    return UNPREFIXED.get(field, PREFIX + field.upper())


def load(environ: Mapping[str, str], **overrides: Any) -> Settings:
    """Read the settings; `overrides` win over the environment.

    Raises:
        SettingsError: a value is out of bounds, or a `STAGEWIRE_` variable is unknown.
    """
    names = {name_of(field): field for field in Settings.__struct_fields__}
    unknown = sorted(name for name in environ if name.startswith(PREFIX) and name not in {*names, TOKEN})
    if unknown:
        raise SettingsError(f"there is no setting {unknown[0]}")
    given = {field: environ[name] for name, field in names.items() if name in environ}
    return _check({**{field: _read(field, value) for field, value in given.items()}, **overrides})


def _read(field: str, value: str) -> Any:
    types = {f.name: f.type for f in msgspec.structs.fields(Settings)}
    try:
        return msgspec.convert(value, types[field], strict=False)
    except msgspec.ValidationError as exc:
        shown = "" if field in SECRETS else f" is {value!r}"
        raise SettingsError(f"{name_of(field)}{shown}: {SHAPES.get(field, exc)}") from None


def _check(values: dict[str, Any]) -> Settings:
    settings = Settings(**values)
    _check_agora(settings)
    if settings.jwt_secret and len(settings.jwt_secret.encode()) < MIN_SECRET:
        raise SettingsError(f"STAGEWIRE_JWT_SECRET must have {MIN_SECRET} bytes or more")
    if settings.silence <= settings.heartbeat:
        raise SettingsError("STAGEWIRE_SILENCE must be longer than STAGEWIRE_HEARTBEAT")
    if settings.quality_fair_ms < settings.quality_good_ms:
        raise SettingsError("STAGEWIRE_QUALITY_FAIR_MS must not be less than STAGEWIRE_QUALITY_GOOD_MS")
    if settings.linger <= 2 * settings.database_timeout:
        raise SettingsError("STAGEWIRE_LINGER must be longer than twice STAGEWIRE_DATABASE_TIMEOUT")
    if settings.replay_limit > settings.ring_events:
        raise SettingsError("STAGEWIRE_REPLAY_LIMIT must not be more than STAGEWIRE_RING_EVENTS")
    for field in ("trusted_proxies", "unlimited_addresses"):
        _check_networks(field, getattr(settings, field))
    if settings.lease_ms < 2 * settings.lease_beat_ms:
        raise SettingsError("STAGEWIRE_LEASE_MS must be at least twice STAGEWIRE_LEASE_BEAT_MS")
    return settings


def _check_agora(settings: Settings) -> None:
    if bool(settings.agora_app_id) != bool(settings.agora_certificate):
        raise SettingsError("STAGEWIRE_AGORA_APP_ID and STAGEWIRE_AGORA_CERTIFICATE are set together or not at all")
    if settings.agora_app_id and settings.agora_app_id.lower() == settings.agora_certificate.lower():
        raise SettingsError("STAGEWIRE_AGORA_APP_ID and STAGEWIRE_AGORA_CERTIFICATE are not the same: one is secret")
    if bool(settings.agora_customer_id) != bool(settings.agora_customer_secret):
        raise SettingsError(
            "STAGEWIRE_AGORA_CUSTOMER_ID and STAGEWIRE_AGORA_CUSTOMER_SECRET are set together or not at all"
        )
    if settings.agora_customer_id and not settings.agora_app_id:
        raise SettingsError("STAGEWIRE_AGORA_CUSTOMER_ID is of no use without STAGEWIRE_AGORA_APP_ID")


def _check_networks(field: str, value: str) -> None:
    try:
        Networks(value)
    except ValueError as exc:
        raise SettingsError(f"{name_of(field)}: {exc}") from None


def require_stores(settings: Settings) -> None:
    """Make sure that what production cannot do without is set.

    Raises:
        SettingsError
    """
    for field in ("database_url", "redis_url"):
        if not getattr(settings, field):
            raise SettingsError(f"{name_of(field)} is not set")
    if not (settings.jwt_secret or settings.jwt_jwks_url):
        raise SettingsError("STAGEWIRE_JWT_SECRET is not set, nor is STAGEWIRE_JWT_JWKS_URL")
