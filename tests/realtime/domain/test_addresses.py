import pytest

from realtime.domain.addresses import Networks, believed, subject_of

PROXIES = Networks("10.0.0.0/8, 192.0.2.7 ,2001:db8:ffff::/48")


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("10.1.2.3", True),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("2001:db8:ffff::1", True),
        ("2001:db8::1", False),
        ("::ffff:10.1.2.3", True),
        ("", False),
        ("nonsense", False),
    ],
)
def test_an_address_lies_in_the_networks_or_does_not(address: str, inside: bool) -> None:
    assert PROXIES.has(address) is inside


@pytest.mark.parametrize("setting", ["10.0.0.1/8", "example.com", "10.0.0.0/33", "1.2.3.4;5.6.7.8"])
def test_what_is_no_network_is_refused(setting: str) -> None:
    with pytest.raises(ValueError, match=r"\d|example"):
        Networks(setting)


def test_no_networks_have_nobody() -> None:
    assert not Networks("").has("127.0.0.1")


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        # Without a proxy nobody is believed.
        ("203.0.113.1", [], "203.0.113.1"),
        ("203.0.113.1", ["198.51.100.1"], "203.0.113.1"),
        # What the trusted proxy has added is the last.
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1", "198.51.100.1"], "198.51.100.1"),
        # A chain of trusted ones is followed to its beginning.
        ("10.0.0.1", ["1.1.1.1, 198.51.100.1, 192.0.2.7, 10.9.9.9"], "198.51.100.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        # Who claims to be a trusted proxy, and came from elsewhere, is not asked.
        ("10.0.0.1", ["1.1.1.1, 10.0.0.2, 198.51.100.1"], "198.51.100.1"),
        # As some write it.
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8::5]:4711"], "2001:db8::5"),
        ("10.0.0.1", ["2001:DB8::5"], "2001:db8::5"),
        ("::ffff:10.0.0.1", [" 198.51.100.1 "], "198.51.100.1"),
        ("10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["fe80::1%\x1b[31m"], "fe80::1"),
        # What is no address ends the way.
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, _hidden, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("", ["198.51.100.1"], ""),
    ],
)
def test_only_trusted_proxies_are_believed(peer: str, forwarded: list[str], address: str) -> None:
    assert believed(peer, forwarded, PROXIES) == address


@pytest.mark.parametrize(
    ("address", "subject"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("", ""),
    ],
)
def test_an_ipv6_address_counts_by_its_first_half(address: str, subject: str) -> None:
    assert subject_of(address) == subject
