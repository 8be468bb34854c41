//! The ways to be recognised without a password, set up as `docs/security.md` tells.

use crate::site::{Site, Who};

fn name(site: &Site, headers: &[(&str, &str)]) -> (u16, String) {
    let answer = site.ask_with(Who::Nobody, "GET /_session", headers, "");
    (answer.status, answer.text())
}

const JWT: &str = r#"
[config.chttpd]
authentication_handlers = "{chttpd_auth, jwt_authentication_handler}"
[config.jwt_auth]
required_claims = "exp,{iss, \"https://id.example.com\"}"
roles_claim_path = "_couchdb\\.roles"
[config.jwt_keys]
"hmac:_default" = "c2VjcmV0IG9mIHRoZSBpc3N1ZXI="
"#;

/// Signed by the key above, of `ada`, for long.
const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhZGEiLCJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUuY29tIiwiZXhwIjo0MTAyNDQ0ODAwLCJfY291Y2hkYi5yb2xlcyI6WyJyZWFkZXIiXX0.WphjLTMxjNFJATtFeLxbX4hhJzR1tYzCxsKMnAlwL6k";
/// The same, with `_admin` among the roles.
const ADMIN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhZGEiLCJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUuY29tIiwiZXhwIjo0MTAyNDQ0ODAwLCJfY291Y2hkYi5yb2xlcyI6WyJfYWRtaW4iXX0.jJ8KFqEoRgwEupFBcHj0r1LgzjuOKOj7fOXrcsqxd7k";
/// Of another issuer, over, without an end, of another key, without a signature.
const BAD: [&str; 5] = [
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhZGEiLCJpc3MiOiJodHRwczovL2V2aWwuZXhhbXBsZSIsImV4cCI6NDEwMjQ0NDgwMCwiX2NvdWNoZGIucm9sZXMiOlsiX2FkbWluIl19.GRyMbe1_ypGnj3taXRTjuR0Z33O5m-toDqmYKaqUEvE",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhZGEiLCJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUuY29tIiwiZXhwIjoxLCJfY291Y2hkYi5yb2xlcyI6WyJfYWRtaW4iXX0.RJm37swgv1lhnCyNLAcNX3CBJOLE0c3OL5k5kEvXthg",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhZGEiLCJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUuY29tIiwiX2NvdWNoZGIucm9sZXMiOlsiX2FkbWluIl19.pjjZZkiQ8ePchP_VsngB4uxENYYCbOA0D32Jny2GaFg",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhZGEiLCJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUuY29tIiwiZXhwIjo0MTAyNDQ0ODAwLCJfY291Y2hkYi5yb2xlcyI6WyJfYWRtaW4iXX0.WWvIp-n18FuZPj-Jzzz-XwQ0WfrmlgNFN_bSPl1wwiQ",
    "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhZGEiLCJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUuY29tIiwiZXhwIjo0MTAyNDQ0ODAwLCJfY291Y2hkYi5yb2xlcyI6WyJfYWRtaW4iXX0.",
];

#[test]
fn a_token_tells_who_it_was_signed_for() {
    let site = Site::start(JWT);
    let with = |token: &str| name(&site, &[("authorization", &format!("Bearer {token}"))]);
    let (status, text) = with(TOKEN);
    assert!(status == 200 && text.contains(r#""name":"ada""#) && text.contains(r#""authenticated":"jwt""#), "{text}");
    let (status, text) = with(ADMIN);
    assert!(status == 200 && text.contains("_admin"), "{text}");
    for bad in BAD {
        let (status, text) = with(bad);
        assert!((400..500).contains(&status), "{bad}: {status} {text}");
    }
    let cut = TOKEN.rsplit_once('.').unwrap().0;
    assert!((400..500).contains(&with(cut).0));
}

/// Tokens of another implementation, which the crate that reads them is tested with.
#[path = "../../../access/src/jwt/fixtures.rs"]
#[expect(dead_code, reason = "keys that are refused are tried there")]
mod signed;

#[test]
fn a_token_may_be_signed_by_each_kind_of_key() {
    let keys =
        [("hmac:h", signed::SECRET), ("rsa:r", signed::RSA), ("ec:p256", signed::P256), ("ec:p384", signed::P384)];
    let keys: String = keys.map(|(name, key)| format!("{name:?} = {key:?}\n")).concat();
    let handlers = "[config.chttpd]\nauthentication_handlers = \"{chttpd_auth, jwt_authentication_handler}\"\n";
    let site = Site::start(&format!("{handlers}[config.jwt_keys]\n{keys}"));
    for (algorithm, token) in signed::TOKENS {
        let with = |token: &str| name(&site, &[("authorization", &format!("Bearer {token}"))]);
        let (status, text) = with(token);
        assert!(status == 200 && text.contains(r#""name":"ada""#), "{algorithm}: {text}");
        let (status, text) = with(&token[..token.len() - 4]);
        assert_eq!(status, 400, "{algorithm}: {text}");
    }
}

#[test]
fn a_header_is_believed_from_the_networks_named_alone() {
    let config = |network: &str| format!("[config.remote_user]\nheader = \"Remote-User\"\nnetworks = \"{network}\"\n");
    for (network, expected) in [("127.0.0.1/32", r#""name":"ada""#), ("10.0.0.0/8", r#""name":null"#)] {
        let site = Site::start(&config(network));
        let (status, text) = name(&site, &[("remote-user", "ada")]);
        assert!(status == 200 && text.contains(expected), "{network}: {text}");
    }
}

const PROXY: &str = "[config.chttpd]\nauthentication_handlers = \"{chttpd_auth, proxy_authentication_handler}\"\n";

#[test]
fn a_proxy_that_needs_no_secret_is_on_this_machine_or_where_it_is_said_to_be() {
    let rule = "[config.chttpd_auth]\nproxy_use_secret = \"false\"\n";
    let elsewhere = "proxy_networks = \"10.0.0.0/8\"\n";
    for (config, expected) in [
        (format!("{PROXY}{rule}"), r#""name":"ada""#),
        (format!("{PROXY}{rule}{elsewhere}"), r#""name":null"#),
        (format!("{PROXY}[config.chttpd_auth]\n{elsewhere}"), r#""name":null"#),
    ] {
        let (status, text) = name(&Site::start(&config), &[("x-auth-couchdb-username", "ada")]);
        assert!(status == 200 && text.contains(expected), "{config}: {text}");
    }
}

#[test]
fn a_proxy_without_a_token_is_not_believed() {
    let site = Site::start(PROXY);
    let headers = [("x-auth-couchdb-username", "root"), ("x-auth-couchdb-roles", "_admin")];
    let (status, text) = name(&site, &headers);
    assert!(status != 200 || text.contains(r#""name":null"#), "{status} {text}");
    let wrong = [headers[0], headers[1], ("x-auth-couchdb-token", "00ff")];
    let (status, text) = name(&site, &wrong);
    assert!(status != 200 || text.contains(r#""name":null"#), "{status} {text}");
}
