//! What the configuration says of logging in.

use super::{
    ADMINS, Expected, Refusal, Sections, known,
    sections::{Flag, bad},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tidegate_access::{
    AdminPassword, CookieDomain, Cookies, Hashing, Keyring, Lifetime, Lockout, MacAlgorithm, Networks, Prf, ProxyRule,
    RemoteUser, Salt, SameSite, Sessions, StoredPassword, ThrottleOptions, TokenKeys, TokenRules, Tokens,
    user::{PublicFields, Requirements},
};
use tidegate_types::DbName;

/// What the configuration says of logging in.
#[derive(Clone, Debug)]
pub(crate) struct Auth {
    pub(crate) admins: BTreeMap<String, Arc<Admin>>,
    pub(crate) hashing: Hashing,
    pub(crate) sessions: Sessions,
    pub(crate) cookies: Cookies,
    pub(crate) proxy: Option<ProxyRule>,
    pub(crate) proxy_headers: ProxyHeaderNames,
    /// The header in which proxies tell their clients' addresses, in lower case, and who is taken for one.
    pub(crate) peer_header: Option<(String, Networks)>,
    pub(crate) remote: Option<RemoteUser>,
    pub(crate) tokens: Option<Tokens>,
    /// The database whose documents are users.
    pub(crate) users_db: DbName,
    /// What happens once too many logins have failed, and how many are too many.
    pub(crate) lockout: (Lockout, u32),
    /// What new passwords must be like.
    pub(crate) requirements: Requirements,
    /// Members of users' documents that everybody may see who may read `_users`.
    pub(crate) public_fields: PublicFields,
}

/// The headers a proxy tells users in.
#[derive(Clone, Debug)]
pub(crate) struct ProxyHeaderNames {
    pub(crate) name: String,
    pub(crate) roles: String,
    pub(crate) token: String,
}

/// An administrator's password, as the configuration has it.
#[derive(Debug)]
pub(crate) struct Admin {
    password: AdminPassword,
    hashed: OnceLock<StoredPassword>,
    salt: Salt,
}

impl Admin {
    /// The password as it is compared with. Slow the first time, where the operator's file holds the password itself.
    pub(crate) fn stored(&self, hashing: &Hashing) -> &StoredPassword {
        match &self.password {
            AdminPassword::Stored(stored) => stored,
            AdminPassword::Clear(password) => self.hashed.get_or_init(|| hashing.store(password, self.salt.clone())),
        }
    }

    /// Whether the operator's file holds the password itself.
    pub(crate) fn is_clear(&self) -> bool {
        matches!(self.password, AdminPassword::Clear(_))
    }

    /// Whether [`Admin::stored`] is slow.
    pub(crate) fn is_slow(&self) -> bool {
        self.is_clear() && self.hashed.get().is_none()
    }
}

const SECTIONS: [&str; 2] = ["chttpd_auth", "couch_httpd_auth"];

fn get<'s>(sections: &'s Sections, key: &str) -> Option<&'s str> {
    SECTIONS.iter().find_map(|section| sections.get(section, key))
}

fn flag(sections: &Sections, key: &str, default: Flag) -> Result<Flag, Refusal> {
    let named = SECTIONS.iter().find(|section| sections.get(section, key).is_some());
    Ok(named.map_or(Ok(default), |section| sections.flag(section, key, default))?)
}

fn integer(sections: &Sections, key: &str, default: u64) -> Result<u64, Refusal> {
    let named = SECTIONS.iter().find(|section| sections.get(section, key).is_some());
    Ok(named.map_or(Ok(default), |section| sections.integer(section, key, default))?)
}

impl Auth {
    pub(crate) fn of(sections: &Sections) -> Result<Self, Refusal> {
        let secret = Self::secret(sections).unwrap_or_default();
        let algorithms = get(sections, "hash_algorithms").map(MacAlgorithm::parse_list).transpose()?;
        let keyring = Keyring::new(vec![secret.as_bytes().to_vec()], algorithms.unwrap_or_default())?;
        let sessions = Sessions::new(keyring.clone(), Duration::from_secs(integer(sections, "timeout", 600)?));
        let handlers = sections.get("chttpd", "authentication_handlers").unwrap_or_default();
        Ok(Self {
            admins: admins(sections, secret)?,
            hashing: hashing(sections)?,
            sessions,
            cookies: cookies(sections)?,
            proxy: handlers.contains("proxy").then(|| proxy(sections, keyring)).transpose()?,
            proxy_headers: ProxyHeaderNames::of(sections),
            peer_header: peer_header(sections)?,
            remote: remote(sections)?,
            tokens: handlers.contains("jwt").then(|| tokens(sections)).transpose()?,
            users_db: users_db(sections)?,
            lockout: lockout(sections)?,
            requirements: requirements(sections),
            public_fields: PublicFields::parse(get(sections, "public_fields").unwrap_or_default()),
        })
    }

    /// What signs sessions.
    pub(super) fn secret(sections: &Sections) -> Option<&str> {
        get(sections, "secret")
    }

    /// The ways to be recognised, in the order in which they are tried.
    pub(crate) fn handlers(&self) -> Vec<&'static str> {
        let remote = self.remote.as_ref().map(|_| "remote");
        let tokens = self.tokens.as_ref().map(|_| "jwt");
        let proxy = self.proxy.as_ref().map(|_| "proxy");
        remote.into_iter().chain(tokens).chain(proxy).chain(["cookie", "default"]).collect()
    }
}

impl ProxyHeaderNames {
    fn of(sections: &Sections) -> Self {
        let name = |key: &str, default: &str| get(sections, key).unwrap_or(default).to_ascii_lowercase();
        Self {
            name: name("x_auth_username", "x-auth-couchdb-username"),
            roles: name("x_auth_roles", "x-auth-couchdb-roles"),
            token: name("x_auth_token", "x-auth-couchdb-token"),
        }
    }
}

fn admins(sections: &Sections, secret: &str) -> Result<BTreeMap<String, Arc<Admin>>, Refusal> {
    let mut admins = BTreeMap::new();
    for (name, password) in sections.section(ADMINS) {
        known::check_admin(name, password)?;
        let salt = Salt::new(fingerprint(&[secret, name, password]));
        let admin = Admin { password: AdminPassword::parse(password)?, hashed: OnceLock::new(), salt };
        admins.insert(name.to_owned(), Arc::new(admin));
    }
    Ok(admins)
}

/// The same for the same texts at every start, so that administrators' sessions outlive the process.
fn fingerprint(texts: &[&str]) -> [u8; 16] {
    use sha2::Digest as _;
    let mut hash = sha2::Sha256::new();
    for text in texts {
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    }
    let mut salt = [0; 16];
    salt.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
    salt
}

fn users_db(sections: &Sections) -> Result<DbName, Refusal> {
    let name = get(sections, "authentication_db").unwrap_or("_users");
    let illegal = |_illegal| bad("chttpd_auth", "authentication_db", name, Expected::Text("a database"));
    Ok(name.parse().map_err(illegal)?)
}

fn requirements(sections: &Sections) -> Requirements {
    let requirements = Requirements::parse(get(sections, "password_regexp").unwrap_or_default());
    if !requirements.is_readable() {
        tracing::error!("chttpd_auth/password_regexp can't be read: no password can be set");
    }
    requirements
}

fn lockout(sections: &Sections) -> Result<(Lockout, u32), Refusal> {
    const SECTION: &str = "chttpd_auth_lockout";
    let usual = ThrottleOptions::default();
    let lockout = match sections.get(SECTION, "mode") {
        None => usual.lockout,
        Some("off") => Lockout::Off,
        Some("warn") => Lockout::Warn,
        Some("enforce") => Lockout::Enforce,
        Some(other) => return Err(bad(SECTION, "mode", other, Expected::OneOf(&["off", "warn", "enforce"])).into()),
    };
    let threshold = sections.integer(SECTION, "threshold", usual.failures_max.into())?;
    Ok((lockout, u32::try_from(threshold).unwrap_or(u32::MAX)))
}

fn hashing(sections: &Sections) -> Result<Hashing, Refusal> {
    let usual = Hashing::default();
    let count = |key, default: u32| -> Result<u32, Refusal> {
        Ok(u32::try_from(integer(sections, key, default.into())?).unwrap_or(u32::MAX))
    };
    Ok(Hashing {
        prf: get(sections, "pbkdf2_prf").map(Prf::parse).transpose()?.unwrap_or(usual.prf),
        iterations: count("iterations", usual.iterations)?.max(1),
        iterations_min: count("min_iterations", usual.iterations_min)?,
        iterations_max: count("max_iterations", usual.iterations_max)?,
        upgrade_on_login: flag(sections, "upgrade_hash_on_auth", Flag::On)?.is_on(),
    })
}

fn cookies(sections: &Sections) -> Result<Cookies, Refusal> {
    let persistent = flag(sections, "allow_persistent_cookies", Flag::On)?.is_on();
    Ok(Cookies {
        lifetime: if persistent { Lifetime::Persistent } else { Lifetime::Browser },
        same_site: SameSite::parse(get(sections, "same_site").unwrap_or_default())?,
        domain: get(sections, "cookie_domain").filter(|text| !text.is_empty()).map(CookieDomain::parse).transpose()?,
    })
}

fn proxy(sections: &Sections, keyring: Keyring) -> Result<ProxyRule, Refusal> {
    let networks = Networks::parse(get(sections, "proxy_networks").unwrap_or_default())?;
    // Without a secret and without trusted networks, everybody could be anybody. It is needed then, unless somebody says
    // outright that it isn't: the proxy is on this machine.
    let usual = if networks.is_empty() { Flag::On } else { Flag::Off };
    let needs_secret = flag(sections, "proxy_use_secret", usual)?.is_on();
    let networks = if needs_secret || !networks.is_empty() { networks } else { Networks::loopback() };
    Ok(ProxyRule::new(needs_secret.then_some(keyring), networks)?)
}

/// Anybody could be anybody else if CouchDB's rule held, which is to believe everybody.
fn peer_header(sections: &Sections) -> Result<Option<(String, Networks)>, Refusal> {
    let Some(name) = sections.get("chttpd", "peer_header").filter(|name| !name.is_empty()) else { return Ok(None) };
    let networks = Networks::parse(get(sections, "proxy_networks").unwrap_or_default())?;
    Ok(Some((name.to_ascii_lowercase(), if networks.is_empty() { Networks::loopback() } else { networks })))
}

fn remote(sections: &Sections) -> Result<Option<RemoteUser>, Refusal> {
    let Some(header) = sections.get("remote_user", "header") else { return Ok(None) };
    let networks = Networks::parse(sections.get("remote_user", "networks").unwrap_or_default())?;
    Ok(Some(RemoteUser::new(header, sections.get("remote_user", "roles_header"), networks)?))
}

fn tokens(sections: &Sections) -> Result<Tokens, Refusal> {
    let mut rules = TokenRules::parse(sections.get("jwt_auth", "required_claims").unwrap_or("exp"))?;
    if let Some(name) = sections.get("jwt_auth", "roles_claim_name") {
        rules = rules.with_roles_name(name);
    }
    if let Some(path) = sections.get("jwt_auth", "roles_claim_path") {
        rules = rules.with_roles_path(path);
    }
    if let Some(names) = sections.list("jwt_auth", "allowed_algorithms") {
        rules = rules.with_algorithms(names);
    }
    let mut keys = TokenKeys::default();
    for (entry, value) in sections.section("jwt_keys") {
        keys.insert(entry, value)?;
    }
    Ok(Tokens { keys, rules })
}
