use super::*;

/// `inside` are the ends of a range, `outside` its public neighbours; a neighbour that belongs to
/// another special range stands in that range's own row.
#[track_caller]
fn check(range: &str, inside: &[&str], outside: &[&str]) {
    let verdict = |text: &str| is_public(text.parse().expect("an address"));
    for address in inside {
        assert!(!verdict(address), "{range}: {address} must be refused");
    }
    for address in outside {
        assert!(verdict(address), "{range}: {address} must be allowed");
    }
}

#[test]
fn special_ipv4_ranges_are_refused_and_their_neighbours_are_not() {
    check("this network", &["0.0.0.0", "0.255.255.255"], &["1.0.0.0"]);
    check(
        "private 10/8",
        &["10.0.0.0", "10.255.255.255"],
        &["9.255.255.255", "11.0.0.0"],
    );
    check(
        "private 172.16/12",
        &["172.16.0.0", "172.31.255.255"],
        &["172.15.255.255", "172.32.0.0"],
    );
    check(
        "private 192.168/16",
        &["192.168.0.0", "192.168.255.255"],
        &["192.167.255.255", "192.169.0.0"],
    );
    check(
        "shared",
        &["100.64.0.0", "100.100.100.200", "100.127.255.255"],
        &["100.63.255.255", "100.128.0.0"],
    );
    check(
        "loopback",
        &["127.0.0.0", "127.0.0.1", "127.255.255.255"],
        &["126.255.255.255", "128.0.0.0"],
    );
    check(
        "link-local",
        &["169.254.0.0", "169.254.169.254", "169.254.255.255"],
        &["169.253.255.255", "169.255.0.0"],
    );
    check(
        "protocol assignments",
        &["192.0.0.0", "192.0.0.255"],
        &["191.255.255.255", "192.0.1.0"],
    );
    check(
        "documentation 192.0.2/24",
        &["192.0.2.0", "192.0.2.255"],
        &["192.0.1.255", "192.0.3.0"],
    );
    check(
        "documentation 198.51.100/24",
        &["198.51.100.0", "198.51.100.255"],
        &["198.51.99.255", "198.51.101.0"],
    );
    check(
        "documentation 203.0.113/24",
        &["203.0.113.0", "203.0.113.255"],
        &["203.0.112.255", "203.0.114.0"],
    );
    check(
        "6to4 relays",
        &["192.88.99.0", "192.88.99.255"],
        &["192.88.98.255", "192.88.100.0"],
    );
    check(
        "benchmarking",
        &["198.18.0.0", "198.19.255.255"],
        &["198.17.255.255", "198.20.0.0"],
    );
    check(
        "multicast",
        &["224.0.0.0", "239.255.255.255"],
        &["223.255.255.255"],
    );
    check("reserved", &["240.0.0.0", "255.255.255.255"], &[]);
}

#[test]
fn only_global_unicast_ipv6_is_allowed() {
    check("unspecified and loopback", &["::", "::1"], &[]);
    check(
        "global unicast",
        &["1fff:ffff::", "4000::", "100::1", "5f00::1"],
        &["2000::", "2606:4700::1111", "3ffe:ffff::"],
    );
    check(
        "unique local",
        &["fc00::", "fd00:ec2::254", "fdff:ffff::"],
        &[],
    );
    check(
        "link-local",
        &["fe80::", "fe80::1", "febf:ffff::", "fec0::"],
        &[],
    );
    check("multicast", &["ff00::", "ff02::1", "ffff:ffff::"], &[]);
    check(
        "protocol assignments",
        &["2001:2::", "2001:10::", "2001:1ff:ffff::"],
        &["2000:ffff:ffff::", "2001:200::"],
    );
    check(
        "documentation 2001:db8::/32",
        &["2001:db8::", "2001:db8:ffff:ffff::"],
        &["2001:db7:ffff::", "2001:db9::"],
    );
    check(
        "documentation 3fff::/20",
        &["3fff::", "3fff:fff:ffff::"],
        &["3ffe:ffff:ffff::", "3fff:1000::"],
    );
}

#[test]
fn ipv6_that_carries_ipv4_is_judged_by_what_it_carries() {
    check(
        "v4-mapped",
        &[
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
        ],
        &["::ffff:8.8.8.8"],
    );
    check(
        "v4-compatible",
        &["::127.0.0.1", "::192.168.1.1"],
        &["::8.8.8.8"],
    );
    check(
        "NAT64",
        &["64:ff9b::127.0.0.1", "64:ff9b::a00:1"],
        &["64:ff9b::8.8.8.8"],
    );
    check(
        "NAT64, local",
        &[
            "64:ff9b:1::127.0.0.1",
            // 10.0.0.1 by the /48 reading, 8.8.8.8 by the /96 reading.
            "64:ff9b:1:a00:0:100:808:808",
            "64:ff9b:1:ffff:ffff:ffff:808:808",
        ],
        &["64:ff9b:1::8.8.8.8"],
    );
    check(
        "6to4",
        &["2002:7f00:1::", "2002:a00:1::1", "2002:a9fe:a9fe::"],
        &["2002:808:808::", "2003::"],
    );
    check(
        "Teredo",
        &[
            // Server 10.0.0.1, client 8.8.8.8.
            "2001:0:a00:1:0:0:f7f7:f7f7",
            // Server 8.8.8.8, client 127.0.0.1.
            "2001:0:808:808:0:0:80ff:fffe",
        ],
        &["2001:0:808:808:0:0:f7f7:f7f7"],
    );
    check(
        "just beside each of them",
        &[
            "::fffe:8.8.8.8",
            "::1:0:8.8.8.8",
            "64:ff9b:0:0:0:1:808:808",
            "64:ff9b:2::8.8.8.8",
            "2001:1::f7f7:f7f7",
        ],
        &["2001:ffff::", "2003:7f00:1::"],
    );
}
