//! Networks whose peers are trusted.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use crate::Error;

/// A list of networks. An empty one holds nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Networks {
    /// The networks of a list such as `10.0.0.0/8, ::1`; an address without length is that one alone.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] for what is no network, or has bits set beyond its length: that is rarely meant.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let networks = text.split(',').map(str::trim).filter(|network| !network.is_empty());
        networks.map(str::parse).collect::<Result<_, _>>().map(Self)
    }

    /// This machine.
    pub fn loopback() -> Self {
        let v4 = Network { address: Ipv4Addr::new(127, 0, 0, 0).into(), prefix: 8 };
        let v6 = Network { address: Ipv6Addr::LOCALHOST.into(), prefix: 128 };
        Self(vec![v4, v6])
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them holds `peer`. An IPv4 address may come as IPv6 writes it.
    pub fn contains(&self, peer: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(peer.to_canonical()))
    }
}

impl Network {
    fn contains(self, peer: IpAddr) -> bool {
        match (self.address, peer) {
            (IpAddr::V4(own), IpAddr::V4(peer)) => host_bits(u32::from(own) ^ u32::from(peer), self.prefix, 32),
            (IpAddr::V6(own), IpAddr::V6(peer)) => host_bits(u128::from(own) ^ u128::from(peer), self.prefix, 128),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// Whether only bits are set that tell hosts of one network apart.
fn host_bits(bits: impl Into<u128>, prefix: u32, width: u32) -> bool {
    bits.into().checked_shr(width.saturating_sub(prefix)).is_none_or(|network| network == 0)
}

impl FromStr for Network {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::misconfigured(format!("`{text}` is no network, such as 10.0.0.0/8 or ::1"));
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().ok().ok_or_else(wrong)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => width,
            Some(digits) => digits.parse().ok().filter(|prefix| *prefix <= width).ok_or_else(wrong)?,
        };
        let bits = match address {
            IpAddr::V4(address) => u128::from(u32::from(address)),
            IpAddr::V6(address) => u128::from(address),
        };
        let beyond = 1_u128.checked_shl(width - prefix).map_or(u128::MAX, |size| size - 1);
        if bits & beyond == 0 { Ok(Self { address, prefix }) } else { Err(wrong()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(networks: &str, peer: &str, expected: bool) {
        let networks = Networks::parse(networks).unwrap();
        assert_eq!(networks.contains(peer.parse().unwrap()), expected, "{networks:?} {peer}");
    }

    #[test]
    fn the_first_bits_decide() {
        check("", "127.0.0.1", false);
        check("127.0.0.1", "127.0.0.1", true);
        check("127.0.0.1", "127.0.0.2", false);
        check("10.0.0.0/8, 192.0.2.0/25", "10.255.0.1", true);
        check("10.0.0.0/8, 192.0.2.0/25", "192.0.2.127", true);
        check("10.0.0.0/8, 192.0.2.0/25", "192.0.2.128", false);
        check("10.0.0.0/8", "::ffff:10.1.2.3", true);
        check("0.0.0.0/0", "203.0.113.9", true);
        check("0.0.0.0/0", "::1", false);
        check("::/0", "2001:db8::1", true);
        check("2001:db8::/33", "2001:db8:7fff::1", true);
        check("2001:db8::/33", "2001:db8:8000::1", false);
        check("::1", "::1", true);
        check("::1/128", "::2", false);
    }

    #[test]
    fn this_machine_is_the_loopback() {
        assert_eq!(Networks::loopback(), Networks::parse("127.0.0.0/8, ::1").unwrap());
    }

    #[test]
    fn what_is_no_network_is_told() {
        for text in ["x", "10.0.0.0/33", "10.0.0.1/8", "::/129", "10.0.0.0/", "10.0.0.0/+8x", "::1/64"] {
            let refused = Networks::parse(text).unwrap_err().to_string();
            assert_eq!(refused, format!("`{text}` is no network, such as 10.0.0.0/8 or ::1"));
        }
    }
}
