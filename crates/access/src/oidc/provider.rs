//! Whose tokens a database takes, and what becomes of them: `oidc.providers` and `local_jwt` of its configuration.

use super::{Error, Jwks, Signing};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Somebody who vouches for users with signed tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voucher {
    /// What the configuration calls it.
    pub name: String,
    /// `issuer`.
    pub issuer: String,
    /// `client_id`: whom its tokens must be for; `None` where that doesn't matter.
    pub client: Option<String>,
    /// `algorithms`; all that are known where nothing is said.
    algorithms: Option<Vec<Signing>>,
    /// `register`.
    pub registration: Registration,
    /// `username_claim`; `sub` where nothing is said.
    pub username_claim: Option<String>,
    /// `roles_claim`.
    pub roles_claim: Option<String>,
    /// `channels_claim`.
    pub channels_claim: Option<String>,
    /// What stands before users' names.
    prefix: Option<String>,
    /// Whether a login makes a session: not with `disable_session`.
    pub sessions: Sessions,
    /// Where its keys are from.
    pub keys: KeySource,
}

/// What is done with somebody whom the database doesn't know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// It becomes a user.
    Automatic,
    /// It isn't let in.
    Closed,
}

/// Whether a login makes a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sessions {
    /// It does.
    Made,
    /// The client goes on with the token.
    Disabled,
}

/// Where keys are from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// From the configuration.
    Static(Jwks),
    /// From this address.
    Url(String),
    /// From where the provider says, in the document at this address.
    Discovered {
        /// The address.
        url: String,
        /// Whether the document must name the issuer: not with `disable_cfg_validation`.
        strict: Strictness,
    },
}

/// Whether a provider's document is held to the standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// It is.
    Standard,
    /// It is taken as it is.
    Lenient,
}

/// An identity provider that browsers can be sent to.
#[derive(Clone, PartialEq, Eq)]
pub struct Provider {
    /// How its tokens are taken.
    pub voucher: Voucher,
    /// `client_id`.
    pub client: String,
    /// `validation_key`: the client's secret, if it has one.
    pub(super) secret: Option<String>,
    /// `callback_url`; made of the request where nothing is said.
    pub callback_url: Option<String>,
    /// `scope`.
    pub(super) scopes: Vec<String>,
    /// `include_access`: whether the client gets the provider's other tokens, too.
    pub access_tokens: AccessTokens,
    /// `disable_callback_state`.
    pub state: StateCheck,
}

/// Whether the client gets the provider's access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessTokens {
    /// It does.
    Included,
    /// It doesn't.
    Kept,
}

/// Whether the browser that comes back must be the one that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateCheck {
    /// It must.
    Required,
    /// It needn't: for clients that don't keep cookies between the two.
    Disabled,
}

/// All whose tokens a database takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vouchers {
    providers: BTreeMap<String, Provider>,
    default: Option<String>,
    local: Vec<Voucher>,
}

#[derive(Deserialize)]
struct WrittenOidc {
    #[serde(default)]
    providers: BTreeMap<String, WrittenProvider>,
    default_provider: Option<String>,
}

#[derive(Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "as the configuration has them")]
struct WrittenProvider {
    #[serde(flatten)]
    claims: WrittenClaims,
    validation_key: Option<String>,
    callback_url: Option<String>,
    scope: Option<Vec<String>>,
    #[serde(default)]
    include_access: bool,
    discovery_url: Option<String>,
    #[serde(default)]
    disable_cfg_validation: bool,
    #[serde(default)]
    disable_callback_state: bool,
}

#[derive(Deserialize)]
struct WrittenLocal {
    #[serde(flatten)]
    claims: WrittenClaims,
    algorithms: Option<Vec<String>>,
    #[serde(default)]
    keys: Vec<serde_json::Value>,
    jwks_uri: Option<String>,
}

#[derive(Deserialize)]
struct WrittenClaims {
    #[serde(default)]
    issuer: String,
    client_id: Option<String>,
    #[serde(default)]
    register: bool,
    user_prefix: Option<String>,
    username_claim: Option<String>,
    roles_claim: Option<String>,
    channels_claim: Option<String>,
    #[serde(default)]
    disable_session: bool,
}

const WELL_KNOWN: &str = "/.well-known/openid-configuration";

impl Vouchers {
    /// What `oidc` and `local_jwt` of a database's configuration say, where they are there.
    ///
    /// # Errors
    /// [`Error::Misconfigured`].
    pub fn parse(oidc: Option<&serde_json::Value>, local: Option<&serde_json::Value>) -> Result<Self, Error> {
        let mut vouchers = Self::default();
        if let Some(oidc) = oidc.filter(|value| !value.is_null()) {
            let WrittenOidc { providers, default_provider } = read("oidc", oidc)?;
            for (name, provider) in providers {
                vouchers.providers.insert(name.clone(), provider.checked(name)?);
            }
            if let Some(name) = default_provider.as_ref().filter(|name| !vouchers.providers.contains_key(*name)) {
                return Err(Error::misconfigured(format!("oidc.default_provider: there is no provider {name:?}")));
            }
            // The only one needn't be named.
            let only = vouchers.providers.keys().next().filter(|_| vouchers.providers.len() == 1).cloned();
            vouchers.default = default_provider.or(only);
        }
        if let Some(local) = local.filter(|value| !value.is_null()) {
            let locals: BTreeMap<String, WrittenLocal> = read("local_jwt", local)?;
            vouchers.local = locals.into_iter().map(|(name, local)| local.checked(name)).collect::<Result<_, _>>()?;
        }
        Ok(vouchers)
    }

    /// Whether nobody vouches for anybody.
    pub fn is_empty(&self) -> bool {
        self.providers.is_empty() && self.local.is_empty()
    }

    /// The provider of this name; the default one where no name is given.
    pub fn provider(&self, name: Option<&str>) -> Option<&Provider> {
        let name = name.filter(|name| !name.is_empty()).or(self.default.as_deref())?;
        self.providers.get(name)
    }

    /// Whether this provider is the one that is meant where none is named.
    pub fn is_default(&self, provider: &Provider) -> bool {
        self.default.as_deref() == Some(&provider.voucher.name)
    }

    /// Who may have issued a token, by what it claims.
    pub fn issuer_of(&self, token: &super::Unverified) -> Option<&Voucher> {
        let all = self.local.iter().chain(self.providers.values().map(|provider| &provider.voucher));
        let is_meant = |voucher: &&Voucher| {
            voucher.is_issuer(token.issuer()) && voucher.client.as_deref().is_none_or(|client| token.is_for(client))
        };
        all.into_iter().find(is_meant)
    }
}

impl Voucher {
    fn new(name: String, claims: WrittenClaims, keys: KeySource) -> Result<Self, Error> {
        if claims.issuer.is_empty() {
            return Err(Error::misconfigured(format!("{name}: issuer is missing")));
        }
        let given = claims.user_prefix.filter(|prefix| !prefix.is_empty());
        let made =
            || claims.username_claim.is_none().then(|| prefix_of(&claims.issuer).unwrap_or_else(|| name.clone()));
        Ok(Self {
            prefix: given.or_else(made),
            name,
            issuer: claims.issuer,
            client: claims.client_id.filter(|client| !client.is_empty()),
            algorithms: None,
            registration: if claims.register { Registration::Automatic } else { Registration::Closed },
            username_claim: claims.username_claim,
            roles_claim: claims.roles_claim,
            channels_claim: claims.channels_claim,
            sessions: if claims.disable_session { Sessions::Disabled } else { Sessions::Made },
            keys,
        })
    }

    pub(super) fn takes(&self, signing: Signing) -> bool {
        self.algorithms.as_ref().is_none_or(|algorithms| algorithms.contains(&signing))
    }

    /// Google's tokens name their issuer with the scheme or without it.
    pub(super) fn is_issuer(&self, claimed: &str) -> bool {
        const GOOGLE: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];
        claimed == self.issuer || (GOOGLE.contains(&claimed) && GOOGLE.contains(&self.issuer.as_str()))
    }

    /// What a user is called whom a claim calls so.
    pub(super) fn user_name(&self, value: &str) -> String {
        match &self.prefix {
            Some(prefix) => format!("{prefix}_{}", escape(value)),
            None => value.to_owned(),
        }
    }
}

impl WrittenProvider {
    fn checked(self, name: String) -> Result<Provider, Error> {
        let missing =
            |name: &str, what: &str| Error::misconfigured(format!("oidc.providers.{name}: {what} is missing"));
        let client = self.claims.client_id.clone().filter(|client| !client.is_empty());
        let client = client.ok_or_else(|| missing(&name, "client_id"))?;
        let standard = || format!("{}{WELL_KNOWN}", self.claims.issuer.trim_end_matches('/'));
        let url = self.discovery_url.clone().filter(|url| !url.is_empty());
        // Who names another address has a provider that doesn't keep to the standard.
        let is_lenient = self.disable_cfg_validation || url.is_some();
        let strict = if is_lenient { Strictness::Lenient } else { Strictness::Standard };
        let keys = KeySource::Discovered { url: url.unwrap_or_else(standard), strict };
        let scopes = self.scope.filter(|scopes| !scopes.is_empty());
        Ok(Provider {
            voucher: Voucher::new(name, self.claims, keys)?,
            client,
            secret: self.validation_key.filter(|key| !key.is_empty()),
            callback_url: self.callback_url.filter(|url| !url.is_empty()),
            scopes: scopes.unwrap_or_else(|| vec!["openid".to_owned(), "email".to_owned()]),
            access_tokens: if self.include_access { AccessTokens::Included } else { AccessTokens::Kept },
            state: if self.disable_callback_state { StateCheck::Disabled } else { StateCheck::Required },
        })
    }
}

impl WrittenLocal {
    fn checked(self, name: String) -> Result<Voucher, Error> {
        let wrong = |what: &str| Error::misconfigured(format!("local_jwt.{name}: {what}"));
        let keys = match (self.jwks_uri, self.keys) {
            (None, keys) => KeySource::Static(
                Some(Jwks::of(keys))
                    .filter(|keys| !keys.is_empty())
                    .ok_or_else(|| wrong("there is no key that is known: RSA, EC on P-256 or P-384, Ed25519"))?,
            ),
            (Some(url), keys) if keys.is_empty() => KeySource::Url(url),
            (Some(_), _) => return Err(wrong("it has both keys and jwks_uri")),
        };
        if self.claims.client_id.is_none() {
            return Err(wrong("client_id is missing; an empty one takes tokens for anybody"));
        }
        let unknown = |name: &String| wrong(&format!("`{name}` is no algorithm that is known"));
        let algorithms = self.algorithms.map(|names| {
            names.iter().map(|name| Signing::parse(name).ok_or_else(|| unknown(name))).collect::<Result<_, _>>()
        });
        let algorithms = algorithms.transpose()?;
        Ok(Voucher { algorithms, ..Voucher::new(name, self.claims, keys)? })
    }
}

fn read<T: for<'v> Deserialize<'v>>(key: &str, value: &serde_json::Value) -> Result<T, Error> {
    T::deserialize(value).map_err(|error| Error::misconfigured(format!("{key}: {error}")))
}

/// Host and path of an address.
fn prefix_of(issuer: &str) -> Option<String> {
    let (_, rest) = issuer.split_once("://")?;
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    Some(escape(rest)).filter(|prefix| !prefix.is_empty())
}

/// As text stands in a query, in Go: no name has a character that names of users can't have.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => escaped.push(char::from(byte)),
            b' ' => escaped.push('+'),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

/// Without the client's secret.
impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider").field("voucher", &self.voucher).field("client", &self.client).finish_non_exhaustive()
    }
}
