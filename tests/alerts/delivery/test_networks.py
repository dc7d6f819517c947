"""Which addresses are inside the network, however they are spelled."""

import pytest

from alerts.delivery.networks import is_internal


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "192.0.0.8", "192.88.99.1", "198.18.0.1", "224.0.0.1", "233.252.0.1", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b:1::1",
        "2002:7f00:1::", "2002:808:808::1",
        "2002:a9fe:a9fe::1", "2001:0:7f00:1::", "fd00:ec2::254", "fc00::1", "fe80::1", "fe80::1%eth0",
        "fec0::1", "ff02::1", "100::1", "2001:db8::1",
        "2130706433", "0177.0.0.1", "0x7f.1", "localhost", "",
    ],
)  # fmt: skip
def test_it_is_inside(address: str) -> None:
    assert is_internal(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_it_is_for_everybody(address: str) -> None:
    assert not is_internal(address)
