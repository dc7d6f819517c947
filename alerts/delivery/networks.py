"""Which addresses are inside the network, and so are not for channels. Pure."""

import ipaddress

#: IPv6 prefixes whose last 32 bits are an IPv4 address that the packet may go to: NAT64, and the IPv4-compatible one.
_CARRY_IPV4 = [ipaddress.IPv6Network(net) for net in ("64:ff9b::/96", "::/96")]
#: Not for everybody, though Python calls them global: NAT64 of one's own network, site-local, IETF's own, old anycast.
_OTHERS = [
    ipaddress.ip_network(net) for net in ("64:ff9b:1::/48", "fec0::/10", "192.0.0.0/24", "192.88.99.0/24", "100::/64")
]


def is_inside(address: str) -> bool:
    """Whether this numeric address is loopback, private, link-local, multicast, or otherwise not for everybody.

    An IPv6 address that carries an IPv4 address (mapped, NAT64) is judged by that; 6to4 and Teredo count as inside. So
    does what is no numeric address: nobody has checked where it leads.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return True
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_inside(str(ip.ipv4_mapped))
        if ip.sixtofour is not None or ip.teredo is not None:
            # Tunnels of another age, which Python's versions judge differently; no channel is behind one.
            return True
        if any(ip in net for net in _CARRY_IPV4):
            return is_inside(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    if any(ip in net for net in _OTHERS if net.version == ip.version):
        return True
    return not ip.is_global or ip.is_multicast or ip.is_unspecified
