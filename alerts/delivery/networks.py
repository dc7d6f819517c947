"""Recognise internal network addresses, which channels may not use. Pure."""

import ipaddress

#: IPv6 prefixes that embed an IPv4 destination in their last 32 bits: NAT64 and IPv4-compatible.
_EMBED_IPV4 = [ipaddress.IPv6Network(net) for net in ("64:ff9b::/96", "::/96")]
#: Internal, although Python calls them global: local NAT64, site-local, IETF protocol, old anycast, discard.
_ALSO_INTERNAL = [
    ipaddress.ip_network(net) for net in ("64:ff9b:1::/48", "fec0::/10", "192.0.0.0/24", "192.88.99.0/24", "100::/64")
]


def is_internal(address: str) -> bool:
    """Whether this numeric address is loopback, private, link-local, multicast, or otherwise not public.

    An IPv6 address with an embedded IPv4 address (mapped, NAT64) is judged by that. 6to4 and Teredo count as internal,
    and so does text that is no numeric address.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return True
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_internal(str(ip.ipv4_mapped))
        if ip.sixtofour is not None or ip.teredo is not None:
            # Obsolete tunnels, which Python versions judge differently. No receiver is behind one.
            return True
        if any(ip in net for net in _EMBED_IPV4):
            return is_internal(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    if any(ip in net for net in _ALSO_INTERNAL if net.version == ip.version):
        return True
    return not ip.is_global or ip.is_multicast or ip.is_unspecified
