//! Whose an address is, as far as shares and bounds by address go.

use std::net::{IpAddr, Ipv6Addr};

/// The part of an address that one owner holds: all of an IPv4 address, 64 bits of an IPv6 one.
pub fn owner(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        // The machine itself is no network of others.
        IpAddr::V6(Ipv6Addr::LOCALHOST) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_in_one_ipv6_network_have_one_owner() {
        let [a, b, c, here] = ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "::1"]
            .map(|text| owner(text.parse().expect("address")));
        assert_eq!(a, b);
        assert_ne!(a, c);
        assert!(here.is_loopback());
        let mapped = owner("::ffff:10.0.0.1".parse().expect("address"));
        assert_eq!(mapped, IpAddr::from([10, 0, 0, 1]));
    }
}
