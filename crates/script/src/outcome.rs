//! From what a sync function said to what is to be done.

use std::collections::BTreeMap;

use rquickjs::{Array, Ctx, Value};

use crate::fault::{fault_of, thrown};
use crate::log::{Log, LogLevel};
use crate::{Error, Grantee, Rejection, SyncOutcome};

/// More channels of a document than this are worth a warning. Source: Sync Gateway's warning thresholds.
const CHANNELS_WARNED: usize = 50;
/// Names of channels longer than this are worth a warning.
const CHANNEL_CHARS_WARNED: usize = 250;
/// What no user's and no role's name has in it.
const NOT_IN_NAMES: [char; 4] = ['/', ':', ',', '`'];
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
    channels: Vec<String>,
    access: BTreeMap<Grantee, Vec<String>>,
    roles: BTreeMap<String, Vec<String>>,
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
                    self.grant(kind, &grantee, name);
                }
            } else if let Some(channel) = self.text(&value).filter(|channel| self.is_channel("channel", channel)) {
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

    fn grant(&mut self, kind: i32, grantee: &str, name: String) {
        let role = grantee.strip_prefix(ROLE_PREFIX);
        if kind == 0 {
            if self.is_name("access", role.unwrap_or(grantee)) && self.is_channel("access", &name) {
                let to = match role {
                    Some(role) => Grantee::Role(role.to_owned()),
                    None => Grantee::User(grantee.to_owned()),
                };
                self.access.entry(to).or_default().push(name);
            }
            return;
        }
        let Some(name) = name.strip_prefix(ROLE_PREFIX) else {
            return self.warn(format!("role() ignores a role without the prefix `role:`: {name}"));
        };
        if self.is_name("role", grantee) && self.is_name("role", name) {
            self.roles.entry(grantee.to_owned()).or_default().push(name.to_owned());
        }
    }

    fn is_channel(&self, word: &str, name: &str) -> bool {
        if name.is_empty() || name.contains(',') {
            self.warn(format!("{word}() ignores what is no name of a channel: {name:?}"));
            return false;
        }
        if name.len() > CHANNEL_CHARS_WARNED && name.chars().count() > CHANNEL_CHARS_WARNED {
            self.warn(format!("a channel's name has more than {CHANNEL_CHARS_WARNED} characters: {name}"));
        }
        true
    }

    fn is_name(&self, word: &str, name: &str) -> bool {
        let is_name = !name.is_empty() && !name.contains(NOT_IN_NAMES);
        if !is_name {
            self.warn(format!("{word}() ignores what is no name of a user or a role: {name:?}"));
        }
        is_name
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

fn sort(names: &mut Vec<String>) {
    names.sort_unstable();
    names.dedup();
}
