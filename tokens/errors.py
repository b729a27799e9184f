"""What can be wrong with an Agora token, with asking for one, with a notice, or a kick. Messages carry no secret."""


class GrantError(ValueError):
    """The app, the grant or the salt is outside what may be issued; the message names the rule it broke."""


class TokenError(Exception):
    """A token that must not be trusted. Only the subclasses are raised."""


class TokenMalformed(TokenError):
    """The text is not a token of the expected version."""

    def __init__(self) -> None:
        super().__init__("the token cannot be read")


class TokenForged(TokenError):
    """The token is another app's, or was not signed with this app's certificate as it stands."""

    def __init__(self) -> None:
        super().__init__("the token was not issued by this app")


class TokenExpired(TokenError):
    """The token's time is over."""

    def __init__(self) -> None:
        super().__init__("the token has expired")


class TokenNotYet(TokenError):
    """The token's time has not begun."""

    def __init__(self) -> None:
        super().__init__("the token is not valid yet")


class NoticeError(Exception):
    """A notice that must not be taken. Only the subclasses are raised."""


class NoticeForged(NoticeError):
    """The notice was not signed with this secret as it stands."""

    def __init__(self) -> None:
        super().__init__("the notice was not signed with the secret")


class NoticeMalformed(NoticeError):
    """The notice is not what Agora's documentation says; the message says where."""


class KickRefused(Exception):
    """Agora has not done what was asked of its kicking rules; `again` says whether it may later."""

    def __init__(self, why: str, *, again: bool) -> None:
        super().__init__(why)
        self.again = again
