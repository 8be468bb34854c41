//! What the server is told: a TOML file, then the environment, then flags, the later before the earlier.
//!
//! An unknown key or a bad value is refused with the line that holds it. A server that strangers can reach is refused
//! without an administrator.

use crate::sync_files::{Reread, SyncFile, SyncRule};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
};

/// All settings, checked.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) data: PathBuf,
    pub(crate) couch: Address,
    pub(crate) tls: Option<KeyPair>,
    pub(crate) metrics: Address,
    pub(crate) gateway: Gateway,
    pub(crate) admins: Admins,
    pub(crate) cors: CorsFile,
    pub(crate) limits: LimitsFile,
    pub(crate) log: LogFile,
    pub(crate) realm: Option<String>,
    /// CouchDB's sections and keys, as they stand below `[config]`.
    pub(crate) sections: Entries,
    pub(crate) sync: SyncRule,
}

/// Sync Gateway's listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gateway {
    pub(crate) listen: Address,
    pub(crate) admin: Address,
    pub(crate) door: AdminDoor,
    pub(crate) profile: Profile,
    pub(crate) tls: Option<KeyPair>,
}

/// Who gets in on the admin listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AdminDoor {
    /// Everybody who reaches it.
    Open,
    /// Administrators, by their passwords.
    Passwords,
}

/// As which version of Sync Gateway the listeners speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    Two,
    Four,
}

/// Values by section and key.
pub(crate) type Entries = BTreeMap<String, BTreeMap<String, String>>;

/// Who administers the server.
#[derive(Debug)]
pub(crate) enum Admins {
    /// Everybody who reaches it.
    Open,
    /// These names, by password.
    Named(BTreeMap<String, String>),
}

/// The files of a certificate, in PEM: the chain that is shown, and the private key of its first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyPair {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

/// Where a listener listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Off,
    At(SocketAddr),
}

/// The addresses on the command line or in the environment.
#[derive(Debug, Default, Args)]
pub(crate) struct Addresses {
    /// CouchDB's protocol: an address, or `off` [default: 127.0.0.1:5984]
    #[arg(long, value_name = "ADDRESS", env = "TIDEGATE_COUCH")]
    couch: Option<Address>,
    /// The certificates for TLS on CouchDB's listener, in PEM, its own first; goes with --tls-key
    #[arg(long, value_name = "FILE", env = "TIDEGATE_TLS_CERT")]
    tls_cert: Option<PathBuf>,
    /// The private key of the certificate, in PEM
    #[arg(long, value_name = "FILE", env = "TIDEGATE_TLS_KEY")]
    tls_key: Option<PathBuf>,
    /// Metrics for Prometheus: an address, or `off` [default: 127.0.0.1:4986]
    #[arg(long, value_name = "ADDRESS", env = "TIDEGATE_METRICS")]
    metrics: Option<Address>,
    /// Sync Gateway's public protocol: an address, or `off` [default: 127.0.0.1:4984]
    #[arg(long, value_name = "ADDRESS", env = "TIDEGATE_GATEWAY")]
    gateway: Option<Address>,
    /// Sync Gateway's admin protocol: an address, or `off` [default: 127.0.0.1:4985]
    #[arg(long, value_name = "ADDRESS", env = "TIDEGATE_ADMIN")]
    admin: Option<Address>,
    /// As which version of Sync Gateway: 2 or 4 [default: 4]
    #[arg(long, value_name = "2|4", env = "TIDEGATE_PROFILE")]
    profile: Option<Profile>,
    /// beanstalkd's protocol: not in this version, so only `off`
    #[arg(long, value_name = "off", env = "TIDEGATE_JOBS")]
    jobs: Option<Address>,
}

/// What a supervisor such as systemd puts into the environment.
#[derive(Debug, Default, Args)]
pub(crate) struct Supervision {
    /// Where to tell that the server is ready
    #[arg(long, hide = true, value_name = "SOCKET", env = "NOTIFY_SOCKET")]
    pub(crate) notify_socket: Option<String>,
    /// How often to tell that it is well, in microseconds
    #[arg(long, hide = true, value_name = "MICROSECONDS", env = "WATCHDOG_USEC")]
    pub(crate) watchdog_usec: Option<u64>,
    /// Which process is meant
    #[arg(long, hide = true, value_name = "PID", env = "WATCHDOG_PID")]
    pub(crate) watchdog_pid: Option<u32>,
}

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    data: Option<PathBuf>,
    couch: CouchFile,
    metrics: MetricsFile,
    gateway: GatewayFile,
    admins: BTreeMap<String, String>,
    cors: CorsFile,
    limits: LimitsFile,
    log: LogFile,
    config: Entries,
    /// By database, a file with its sync function; relative to this file.
    sync: BTreeMap<String, PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CouchFile {
    listen: Option<Address>,
    realm: Option<String>,
    tls: TlsFile,
}

/// `[couch.tls]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TlsFile {
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MetricsFile {
    listen: Option<Address>,
}

/// `[gateway]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct GatewayFile {
    listen: Option<Address>,
    admin: Option<Address>,
    profile: Option<u64>,
    /// Whether the admin listener asks nobody for a password.
    open_admin: bool,
    tls: TlsFile,
}

/// `[cors]`: which web pages may call.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CorsFile {
    /// Such as `https://app.example.com`; `loopback` for pages served from this machine; `*` for all.
    pub(crate) origins: Vec<String>,
    pub(crate) credentials: bool,
}

/// `[limits]`: how much is too much.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsFile {
    pub(crate) max_document_size: usize,
    pub(crate) max_attachment_size: u64,
    pub(crate) max_http_request_size: u64,
    pub(crate) max_databases: usize,
    pub(crate) max_connections: usize,
    pub(crate) max_feeds: usize,
    pub(crate) changes_timeout_ms: u64,
    pub(crate) body_timeout_ms: u64,
    pub(crate) body_rate_min_bytes: u64,
    pub(crate) header_timeout_ms: u64,
    pub(crate) drain_timeout_ms: u64,
    pub(crate) cache_bytes: usize,
}

impl Default for LimitsFile {
    fn default() -> Self {
        Self {
            max_document_size: 8_000_000,
            max_attachment_size: 1 << 30,
            max_http_request_size: 4 << 30,
            max_databases: 100_000,
            max_connections: 50_000,
            max_feeds: 40_000,
            changes_timeout_ms: 60_000,
            body_timeout_ms: 60_000,
            body_rate_min_bytes: 128,
            header_timeout_ms: 30_000,
            drain_timeout_ms: 30_000,
            cache_bytes: 256 << 20,
        }
    }
}

/// `[log]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LogFile {
    /// Such as `info`, or `warn,tidegate_couch=debug`.
    pub(crate) level: String,
    pub(crate) format: LogFormat,
}

impl Default for LogFile {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

impl Config {
    /// For `tidegate dev`: open, so loopback only, and only pages served from this machine may call.
    pub(crate) fn dev(data: PathBuf, addresses: &Addresses, sync: Vec<SyncFile>) -> Result<Self> {
        let log = LogFile { level: "warn,tidegate::sync_files=info".to_owned(), format: LogFormat::Text };
        let cors = CorsFile { origins: vec!["loopback".to_owned()], credentials: true };
        let file = File { data: Some(data), cors, log, ..File::default() };
        let config = Self::merge(file, None, addresses, Admins::Open)?;
        let Gateway { listen, admin, .. } = &config.gateway;
        for (name, address) in
            [("couch", config.couch), ("metrics", config.metrics), ("gateway", *listen), ("admin", *admin)]
        {
            ensure!(
                address.is_loopback(),
                "`dev` lets everybody in, so --{name} must be on loopback; use `tidegate serve` to be reached from elsewhere"
            );
        }
        Ok(Self { sync: SyncRule { files: sync, reread: Reread::AtEdits }, ..config })
    }

    /// For `tidegate serve`: as the file says.
    pub(crate) fn serve(
        path: &Path,
        data: Option<PathBuf>,
        addresses: &Addresses,
        sync: Vec<SyncFile>,
    ) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
        let mut file: File = toml::from_str(&text).with_context(|| format!("{} is not valid", path.display()))?;
        let admins = Admins::Named(std::mem::take(&mut file.admins));
        if let Admins::Named(admins) = &admins {
            ensure!(
                !admins.is_empty() && admins.iter().all(|(name, password)| !name.is_empty() && !password.is_empty()),
                "{}: no administrator is named, so nobody could use the server; add\n\n[admins]\nadmin = \"a good password\"\n",
                path.display()
            );
        }
        let sync = SyncRule::of(sync, &file.sync, path.parent().unwrap_or(Path::new("")))?;
        let config = Self::merge(file, data, addresses, admins)?;
        Ok(Self { sync: SyncRule { files: sync, reread: Reread::AtHangup }, ..config })
    }

    fn merge(file: File, data: Option<PathBuf>, addresses: &Addresses, admins: Admins) -> Result<Self> {
        addresses.check_later()?;
        let Some(data) = data.or(file.data) else { bail!("say where the data lies: `data = \"…\"` or --data DIR") };
        Ok(Self {
            data,
            tls: addresses.tls(file.couch.tls)?,
            couch: addresses.couch.or(file.couch.listen).unwrap_or(Address::loopback(5984)),
            metrics: addresses.metrics.or(file.metrics.listen).unwrap_or(Address::loopback(4986)),
            gateway: addresses.gateway(file.gateway, &admins)?,
            admins,
            cors: file.cors,
            limits: file.limits,
            log: file.log,
            realm: file.couch.realm,
            sections: file.config,
            sync: SyncRule { files: Vec::new(), reread: Reread::AtHangup },
        })
    }
}

impl Addresses {
    /// The certificate that the flags, the environment or the file name.
    fn tls(&self, file: TlsFile) -> Result<Option<KeyPair>> {
        let named = (self.tls_cert.clone().or(file.cert), self.tls_key.clone().or(file.key));
        key_pair(named, ("[couch.tls]", ", or --tls-cert", ", or --tls-key"))
    }

    /// Refuses addresses of listeners that this version hasn't got.
    fn check_later(&self) -> Result<()> {
        ensure!(
            matches!(self.jobs, None | Some(Address::Off)),
            "--jobs: this version has no such listener yet; leave the flag out or say `off`"
        );
        Ok(())
    }

    /// Sync Gateway's listeners, of which the one for administrators lets nobody from elsewhere in without a password.
    fn gateway(&self, file: GatewayFile, admins: &Admins) -> Result<Gateway> {
        let admin = self.admin.or(file.admin).unwrap_or(Address::loopback(4985));
        let door = match admins {
            Admins::Open => AdminDoor::Open,
            Admins::Named(_) if file.open_admin => AdminDoor::Open,
            Admins::Named(_) => AdminDoor::Passwords,
        };
        ensure!(
            door == AdminDoor::Passwords || admin.is_loopback(),
            "the admin listener is open to all who reach it, so it must be on loopback; leave out open_admin in [gateway], \
             and administrators log in by the passwords in [admins]"
        );
        let profile = match (self.profile, file.profile) {
            (Some(profile), _) => profile,
            (None, None) => Profile::Four,
            (None, Some(number)) => number.to_string().parse().map_err(anyhow::Error::msg)?,
        };
        let listen = self.gateway.or(file.listen).unwrap_or(Address::loopback(4984));
        let tls = key_pair((file.tls.cert, file.tls.key), ("[gateway.tls]", "", ""))?;
        Ok(Gateway { listen, admin, door, profile, tls })
    }
}

/// A certificate and its key, or neither; where they stand, and the flags that name them.
fn key_pair(
    named: (Option<PathBuf>, Option<PathBuf>),
    (section, cert_flag, key_flag): (&str, &str, &str),
) -> Result<Option<KeyPair>> {
    match named {
        (Some(cert), Some(key)) => Ok(Some(KeyPair { cert, key })),
        (None, None) => Ok(None),
        (Some(_), None) => bail!("TLS: a certificate is named, but no key; say `key` in {section}{key_flag}"),
        (None, Some(_)) => bail!("TLS: a key is named, but no certificate; say `cert` in {section}{cert_flag}"),
    }
}

impl Address {
    const fn loopback(port: u16) -> Self {
        Self::At(SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), port))
    }

    pub(crate) fn is_loopback(self) -> bool {
        match self {
            Self::Off => true,
            Self::At(address) => address.ip().is_loopback(),
        }
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "2" => Ok(Self::Two),
            "4" => Ok(Self::Four),
            _ => Err(format!("there is no profile {text}: it is 2 or 4")),
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse()
            .map(Self::At)
            .map_err(|_invalid| format!("{text:?} is neither an address such as 127.0.0.1:5984 nor `off`"))
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let error = toml::from_str::<File>(text).unwrap_err().to_string();
        for part in expected {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn mistakes_are_shown_with_their_line() {
        check(
            "data = \"x\"\n[couch]\nlisten = \"nowhere\"\n",
            &["line 3", "listen = \"nowhere\"", "neither an address"],
        );
        check("[couch]\nport = 5984\n", &["line 2", "port", "unknown field"]);
        check("[limits]\nmax_document_size = \"big\"\n", &["line 2", "max_document_size"]);
    }

    #[test]
    fn flags_come_before_the_file() {
        let file: File = toml::from_str("data = \"x\"\n[couch]\nlisten = \"127.0.0.1:1\"\n").unwrap();
        let couch = Some(Address::loopback(2));
        let addresses = Addresses { couch, metrics: Some(Address::Off), ..Addresses::default() };
        let config = Config::merge(file, None, &addresses, Admins::Open).unwrap();
        assert_eq!((config.couch, config.metrics), (Address::loopback(2), Address::Off));
    }

    #[test]
    fn a_certificate_goes_with_a_key() {
        let tls = |text: &str, addresses: &Addresses| {
            let file: File = toml::from_str(&format!("data = \"x\"\n[couch.tls]\n{text}")).unwrap();
            Config::merge(file, None, addresses, Admins::Open).map(|config| config.tls)
        };
        let flags = |cert: Option<&str>| Addresses { tls_cert: cert.map(PathBuf::from), ..Addresses::default() };
        let pair = |cert: &str, key: &str| Some(KeyPair { cert: cert.into(), key: key.into() });
        assert_eq!(tls("", &flags(None)).unwrap(), None);
        assert_eq!(tls("cert = \"a\"\nkey = \"b\"", &flags(None)).unwrap(), pair("a", "b"));
        assert_eq!(tls("cert = \"a\"\nkey = \"b\"", &flags(Some("c"))).unwrap(), pair("c", "b"));
        assert!(tls("key = \"b\"", &flags(None)).unwrap_err().to_string().contains("no certificate"));
        assert!(tls("", &flags(Some("c"))).unwrap_err().to_string().contains("no key"));
        check("[couch.tls]\ncertificate = \"a\"\n", &["line 2", "unknown field", "certificate"]);
    }

    #[test]
    fn the_admin_listener_is_open_on_loopback_only() {
        let gateway = |text: &str, admins: &Admins| {
            let file: File = toml::from_str(&format!("data = \"x\"\n[gateway]\n{text}")).unwrap();
            Addresses::default().gateway(file.gateway, admins).map(|gateway| gateway.door)
        };
        let named = Admins::Named(BTreeMap::from([("admin".to_owned(), "password".to_owned())]));
        assert_eq!(gateway("", &Admins::Open).unwrap(), AdminDoor::Open);
        assert_eq!(gateway("", &named).unwrap(), AdminDoor::Passwords);
        assert_eq!(gateway("open_admin = true", &named).unwrap(), AdminDoor::Open);
        assert_eq!(gateway("admin = \"0.0.0.0:4985\"", &named).unwrap(), AdminDoor::Passwords);
        let refused = gateway("admin = \"0.0.0.0:4985\"\nopen_admin = true", &named).unwrap_err();
        assert!(refused.to_string().contains("loopback"));
        assert!(gateway("profile = 3", &named).unwrap_err().to_string().contains("2 or 4"));
    }

    #[test]
    fn dev_stays_on_loopback() {
        let couch = Some("0.0.0.0:1".parse().unwrap());
        let addresses = Addresses { couch, ..Addresses::default() };
        assert!(Config::dev("x".into(), &addresses, Vec::new()).unwrap_err().to_string().contains("loopback"));
    }
}
