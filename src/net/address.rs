//! Which machines a user's URL may reach: public ones only.
//!
//! Pure: an address goes in, a verdict comes out. One predicate for each special range, with the
//! RFC that sets it apart. An IPv6 address that carries an IPv4 address inside is judged by what
//! it carries, because that is where its packets end. What is left over must lie in `2000::/3`,
//! the only IPv6 space handed out for the public.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// Whether an address belongs to the public internet.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !(is_this_network(address)
        || is_private(address)
        || is_shared(address)
        || is_loopback(address)
        || is_link_local(address)
        || is_protocol_assignment(address)
        || is_documentation(address)
        || is_6to4_relay(address)
        || is_benchmarking(address)
        || is_multicast(address)
        || is_reserved(address))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    match carried(address) {
        Carried::Nothing => {
            is_global_unicast_v6(address)
                && !(is_protocol_assignment_v6(address) || is_documentation_v6(address))
        }
        Carried::One(inner) => is_public_v4(inner),
        Carried::Two(inner, other) => is_public_v4(inner) && is_public_v4(other),
        Carried::Unreadable => false,
    }
}

const fn v4(address: [u8; 4], length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::from_octets(address), length)
}

/// 0.0.0.0/8, "this network": RFC 791, section 3.2.
fn is_this_network(address: Ipv4Addr) -> bool {
    const { v4([0, 0, 0, 0], 8) }.contains(&address)
}

/// 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16: RFC 1918.
fn is_private(address: Ipv4Addr) -> bool {
    address.is_private()
}

/// 100.64.0.0/10, shared by carriers' customers: RFC 6598.
fn is_shared(address: Ipv4Addr) -> bool {
    const { v4([100, 64, 0, 0], 10) }.contains(&address)
}

/// 127.0.0.0/8: RFC 1122, section 3.2.1.3.
fn is_loopback(address: Ipv4Addr) -> bool {
    address.is_loopback()
}

/// 169.254.0.0/16, where clouds keep their metadata service: RFC 3927.
fn is_link_local(address: Ipv4Addr) -> bool {
    address.is_link_local()
}

/// 192.0.0.0/24: RFC 6890, section 2.1.
fn is_protocol_assignment(address: Ipv4Addr) -> bool {
    const { v4([192, 0, 0, 0], 24) }.contains(&address)
}

/// 192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24: RFC 5737.
fn is_documentation(address: Ipv4Addr) -> bool {
    address.is_documentation()
}

/// 192.88.99.0/24, once the relays of 6to4: RFC 7526.
fn is_6to4_relay(address: Ipv4Addr) -> bool {
    const { v4([192, 88, 99, 0], 24) }.contains(&address)
}

/// 198.18.0.0/15: RFC 2544.
fn is_benchmarking(address: Ipv4Addr) -> bool {
    const { v4([198, 18, 0, 0], 15) }.contains(&address)
}

/// 224.0.0.0/4: RFC 5771.
fn is_multicast(address: Ipv4Addr) -> bool {
    address.is_multicast()
}

/// 240.0.0.0/4, broadcast included: RFC 1112, section 4.
fn is_reserved(address: Ipv4Addr) -> bool {
    const { v4([240, 0, 0, 0], 4) }.contains(&address)
}

const fn v6(segments: [u16; 8], length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::from_segments(segments), length)
}

/// `2000::/3`: RFC 4291, section 2.4 with IANA's registry. Leaves out, among others, `::` and `::1`
/// (RFC 4291), `fc00::/7` (RFC 4193), `fe80::/10` (RFC 4291), `fec0::/10` (RFC 3879),
/// `ff00::/8` (RFC 4291), `100::/64` (RFC 6666) and `5f00::/16` (RFC 9602).
fn is_global_unicast_v6(address: Ipv6Addr) -> bool {
    const { v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3) }.contains(&address)
}

/// `2001::/23`, among them benchmarking (RFC 5180) and ORCHID (RFC 7343): RFC 2928.
fn is_protocol_assignment_v6(address: Ipv6Addr) -> bool {
    const { v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23) }.contains(&address)
}

/// `2001:db8::/32` (RFC 3849) and `3fff::/20` (RFC 9637).
fn is_documentation_v6(address: Ipv6Addr) -> bool {
    const { v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32) }.contains(&address)
        || const { v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20) }.contains(&address)
}

/// The IPv4 addresses inside an IPv6 address.
#[derive(Debug, PartialEq, Eq)]
enum Carried {
    Nothing,
    One(Ipv4Addr),
    /// Teredo: its server and its client.
    Two(Ipv4Addr, Ipv4Addr),
    /// There is one, but only the network's operator knows where.
    Unreadable,
}

fn carried(address: Ipv6Addr) -> Carried {
    let [_, s1, s2, s3, .., s6, s7] = address.segments();
    if is_v4_mapped(address) || is_v4_compatible(address) || is_nat64(address) {
        Carried::One(joined(s6, s7))
    } else if is_local_nat64(address) {
        // Read like the well-known prefix when it is used like it; elsewhere in the /48 the place
        // of the IPv4 address depends on the prefix length that the operator chose (RFC 6052).
        if is_plain_local_nat64(address) {
            Carried::One(joined(s6, s7))
        } else {
            Carried::Unreadable
        }
    } else if is_6to4(address) {
        Carried::One(joined(s1, s2))
    } else if is_teredo(address) {
        // The client's address is written inverted.
        Carried::Two(joined(s2, s3), joined(!s6, !s7))
    } else {
        Carried::Nothing
    }
}

fn joined(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}

/// `::ffff:0:0/96`: RFC 4291, section 2.5.5.2.
fn is_v4_mapped(address: Ipv6Addr) -> bool {
    const { v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96) }.contains(&address)
}

/// `::/96`, `::` and `::1` among them: RFC 4291, section 2.5.5.1.
fn is_v4_compatible(address: Ipv6Addr) -> bool {
    const { v6([0, 0, 0, 0, 0, 0, 0, 0], 96) }.contains(&address)
}

/// `64:ff9b::/96`: RFC 6052. Hosts without IPv4 reach the whole IPv4 internet through it.
fn is_nat64(address: Ipv6Addr) -> bool {
    const { v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96) }.contains(&address)
}

/// `64:ff9b:1::/48`: RFC 8215.
fn is_local_nat64(address: Ipv6Addr) -> bool {
    const { v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48) }.contains(&address)
}

/// `64:ff9b:1::/96`, the part of the /48 that can only be read in one way.
fn is_plain_local_nat64(address: Ipv6Addr) -> bool {
    const { v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 96) }.contains(&address)
}

/// `2002::/16`: RFC 3056.
fn is_6to4(address: Ipv6Addr) -> bool {
    const { v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16) }.contains(&address)
}

/// `2001::/32`: RFC 4380.
fn is_teredo(address: Ipv6Addr) -> bool {
    const { v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32) }.contains(&address)
}

#[cfg(test)]
mod tests;
