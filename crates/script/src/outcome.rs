//! From what a sync function said to what is to be done.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use rquickjs::{Array, Ctx, Value};
use tidegate_types::{Channel, Principal, PrincipalName};

use crate::fault::{fault_of, thrown};
use crate::log::{Log, LogLevel};
use crate::{Error, Rejection, SyncOutcome};

/// More channels of a document than this are worth a warning. Source: Sync Gateway's warning thresholds.
const CHANNELS_WARNED: usize = 50;
/// Names of channels longer than this are worth a warning.
const CHANNEL_CHARS_WARNED: usize = 250;
const ROLE_PREFIX: &str = "role:";

/// Reads what `sync.js` answers; expiry and log are added by whoever keeps them.
pub(crate) fn outcome(ctx: &Ctx<'_>, told: &Value<'_>, log: &Log) -> Result<SyncOutcome, Error> {
    if told.is_undefined() {
        return Ok(SyncOutcome::default());
    }
    let Some(said) = told.as_array() else {
        return Ok(SyncOutcome { rejection: Some(rejection(ctx, told)?), ..SyncOutcome::default() });
    };
    let mut collected = Collected { log, channels: Vec::new(), access: BTreeMap::new(), roles: BTreeMap::new() };
    collected.read(said).map_err(|fault| fault_of(ctx, &fault))?;
    Ok(collected.finish())
}

fn rejection(ctx: &Ctx<'_>, told: &Value<'_>) -> Result<Rejection, Error> {
    let part = |name| told.as_object().and_then(|told| told.get::<_, String>(name).ok());
    match (part("verdict").as_deref(), part("reason")) {
        (Some("forbidden"), Some(reason)) => Ok(Rejection::Forbidden(reason)),
        (Some(_), Some(reason)) => Ok(Rejection::Unauthorized(reason)),
        _ => Err(thrown(ctx, told)),
    }
}

struct Collected<'a> {
    log: &'a Log,
    channels: Vec<Channel>,
    access: BTreeMap<Principal, Vec<Channel>>,
    roles: BTreeMap<PrincipalName, Vec<PrincipalName>>,
}

impl Collected<'_> {
    /// Channels are strings; a grant is a number, a grantee and a name.
    fn read(&mut self, said: &Array<'_>) -> rquickjs::Result<()> {
        let mut each = said.iter::<Value<'_>>();
        while let Some(value) = each.next().transpose()? {
            if let Some(kind) = value.as_int() {
                let grantee = each.next().transpose()?.and_then(|grantee| self.text(&grantee));
                let name = each.next().transpose()?.and_then(|name| self.text(&name));
                if let (Some(grantee), Some(name)) = (grantee, name) {
                    self.grant(kind, &grantee, &name);
                }
            } else if let Some(channel) = self.text(&value).and_then(|name| self.channel("channel", &name)) {
                self.channels.push(channel);
            }
        }
        Ok(())
    }

    /// What isn't Unicode is no name.
    fn text(&self, value: &Value<'_>) -> Option<String> {
        let text = value.as_string().and_then(|text| text.to_string().ok());
        if text.is_none() {
            self.warn("a name that is not Unicode is ignored".to_owned());
        }
        text
    }

    fn grant(&mut self, kind: i32, grantee: &str, name: &str) {
        if kind == 0 {
            if let (Some(to), Some(channel)) = (self.name("access", grantee), self.channel("access", name)) {
                self.access.entry(to).or_default().push(channel);
            }
            return;
        }
        let Some(role) = name.strip_prefix(ROLE_PREFIX) else {
            return self.warn(format!("role() ignores a role without the prefix `role:`: {name}"));
        };
        if let (Some(user), Some(role)) = (self.name("role", grantee), self.name("role", role)) {
            self.roles.entry(user).or_default().push(role);
        }
    }

    fn channel(&self, word: &str, name: &str) -> Option<Channel> {
        let channel = self.name(word, name)?;
        if name.len() > CHANNEL_CHARS_WARNED && name.chars().count() > CHANNEL_CHARS_WARNED {
            self.warn(format!("a channel's name has more than {CHANNEL_CHARS_WARNED} characters: {name}"));
        }
        Some(channel)
    }

    /// What isn't legal is no name.
    fn name<N: FromStr<Err: Display>>(&self, word: &str, name: &str) -> Option<N> {
        let parsed = name.parse();
        parsed.map_err(|illegal| self.warn(format!("{word}() ignores {name:?}: {illegal}"))).ok()
    }

    fn warn(&self, text: String) {
        self.log.push(LogLevel::Warning, text);
    }

    fn finish(mut self) -> SyncOutcome {
        sort(&mut self.channels);
        if self.channels.len() > CHANNELS_WARNED {
            self.warn(format!("the document is in {} channels", self.channels.len()));
        }
        self.access.values_mut().for_each(sort);
        self.roles.values_mut().for_each(sort);
        SyncOutcome {
            channels: self.channels,
            access: self.access.into_iter().collect(),
            roles: self.roles.into_iter().collect(),
            ..SyncOutcome::default()
        }
    }
}

fn sort<N: Ord>(names: &mut Vec<N>) {
    names.sort_unstable();
    names.dedup();
}
