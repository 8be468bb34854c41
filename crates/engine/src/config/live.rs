//! The configuration, checked and ready to be used.

use super::{
    auth::Auth,
    compression::Compression,
    known::Refusal,
    replicator::ReplicatorRules,
    sections::{BadValue, Expected, Flag, Sections, bad},
    uuids::UuidAlgorithm,
};
use crate::Limits;
use std::{net::IpAddr, time::Duration};

/// What the configuration says. Made anew whenever it changes.
#[derive(Clone, Debug)]
pub struct Live {
    pub(crate) auth: Auth,
    /// Who must say who they are.
    pub valid_user: ValidUser,
    /// Whether only administrators may list databases.
    pub admin_only_all_dbs: Flag,
    /// Whether `+` in a document's id is a space.
    pub decode_plus_to_space: Flag,
    /// How much one document may hold.
    pub limits: Limits,
    /// Bytes of a request's body.
    pub request_bytes_max: u64,
    /// The longest a feed waits without a heartbeat.
    pub changes_timeout: Duration,
    /// `WWW-Authenticate` of a 401, if there is to be one.
    pub challenge: Option<String>,
    /// Which web pages may call, if any.
    pub cors: Option<CorsRules>,
    /// Who may use a database that has no `_security` of its own.
    pub default_security: DefaultSecurity,
    /// Whether `_security` of the users' database may be set.
    pub users_db_security_editable: Flag,
    /// The longest a user's function may run.
    pub script_timeout: Duration,
    /// The header in which a proxy tells the host that the client asked for, in lower case.
    pub forwarded_host: String,
    /// Which attachments are stored compressed, and how.
    pub compression: Compression,
    /// How ids are made.
    pub uuids: UuidAlgorithm,
    /// Ids in one `_uuids`.
    pub uuids_max: u64,
    /// Databases in one `_dbs_info`.
    pub dbs_info_max: u64,
    /// Rows of one list.
    pub query_limit: u64,
    /// Rows of one list of a partition.
    pub partition_query_limit: u64,
    /// Bytes of a partition; 0 for any number.
    pub partition_bytes_max: u64,
    /// Bytes of a request's path and query.
    pub uri_length_max: u64,
    /// Documents, and revisions, in one `_purge`.
    pub purge_documents_max: u64,
    /// See `purge_documents_max`.
    pub purge_revs_max: u64,
    /// How replications run.
    pub replicator: ReplicatorRules,
}

/// Who must say who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValidUser {
    /// Only who does what needs it.
    WhereNeeded,
    /// Everybody, but at `_up`.
    ExceptUp,
    /// Everybody.
    Everywhere,
}

/// Who may use a database that has no `_security` of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultSecurity {
    /// Server administrators.
    AdminOnly,
    /// Everybody.
    Everyone,
}

/// Which web pages may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorsRules {
    /// `*` for all, `loopback` for pages served from this machine, or such as `https://app.example.com`.
    pub origins: Vec<String>,
    /// Whether as somebody.
    pub credentials: Flag,
    /// Methods, where others than the usual are allowed.
    pub methods: Option<Vec<String>>,
    /// Headers, where others than the usual are allowed.
    pub headers: Option<Vec<String>>,
    /// How long a browser may remember the answer.
    pub max_age: Duration,
}

impl Live {
    /// The header in which this peer tells its client's address, in lower case, if it is a proxy.
    pub fn peer_header(&self, peer: IpAddr) -> Option<&str> {
        let (name, proxies) = self.auth.peer_header.as_ref()?;
        proxies.contains(peer).then_some(name)
    }

    /// What these sections say.
    ///
    /// # Errors
    /// A value that its key doesn't allow.
    pub(crate) fn of(sections: &Sections) -> Result<Self, Refusal> {
        let flag = |section, key, default| sections.flag(section, key, default);
        let integer = |section, key, default| sections.integer(section, key, default);
        Ok(Self {
            auth: Auth::of(sections)?,
            valid_user: valid_user(sections)?,
            admin_only_all_dbs: flag("chttpd", "admin_only_all_dbs", Flag::On)?,
            decode_plus_to_space: flag("chttpd", "decode_plus_to_space", Flag::On)?,
            limits: limits(sections)?,
            request_bytes_max: integer("chttpd", "max_http_request_size", 4 << 30)?,
            changes_timeout: Duration::from_millis(integer("chttpd", "changes_timeout", 60_000)?),
            challenge: either(sections, &["chttpd", "httpd"], "WWW-Authenticate").map(str::to_owned),
            cors: cors(sections)?,
            default_security: match sections.get("couchdb", "default_security") {
                None | Some("admin_only") => DefaultSecurity::AdminOnly,
                Some("everyone" | "admin_local") => DefaultSecurity::Everyone,
                Some(other) => {
                    let expected = Expected::OneOf(&["admin_only", "everyone", "admin_local"]);
                    return Err(bad("couchdb", "default_security", other, expected).into());
                }
            },
            users_db_security_editable: flag("couchdb", "users_db_security_editable", Flag::Off)?,
            script_timeout: Duration::from_millis(integer("couchdb", "os_process_timeout", 5_000)?.clamp(10, 60_000)),
            forwarded_host: {
                let name = either(sections, &["chttpd", "httpd"], "x_forwarded_host");
                name.unwrap_or("x-forwarded-host").to_ascii_lowercase()
            },
            compression: Compression::of(sections)?,
            uuids: UuidAlgorithm::of(sections)?,
            uuids_max: integer("uuids", "max_count", 1_000)?,
            dbs_info_max: integer("chttpd", "max_db_number_for_dbs_info_req", 100)?,
            query_limit: integer("query_server_config", "query_limit", u64::MAX)?,
            partition_query_limit: integer("query_server_config", "partition_query_limit", u64::MAX)?,
            partition_bytes_max: integer("couchdb", "max_partition_size", 10 << 30)?,
            uri_length_max: integer("chttpd", "max_uri_length", u64::MAX)?,
            purge_documents_max: integer("purge", "max_document_id_number", 100)?,
            purge_revs_max: integer("purge", "max_revisions_number", 100_000)?,
            replicator: ReplicatorRules::of(sections)?,
        })
    }
}

/// The value of a key in the first of these sections that has it.
fn either<'s>(sections: &'s Sections, of: &[&str], key: &str) -> Option<&'s str> {
    of.iter().find_map(|section| sections.get(section, key))
}

/// The exception counts wherever it is made. Source: `chttpd_auth:party_mode_handler`.
fn valid_user(sections: &Sections) -> Result<ValidUser, BadValue> {
    if sections.flag("chttpd", "require_valid_user_except_for_up", Flag::Off)?.is_on() {
        return Ok(ValidUser::ExceptUp);
    }
    for section in ["chttpd", "chttpd_auth", "couch_httpd_auth"] {
        if sections.flag(section, "require_valid_user", Flag::Off)?.is_on() {
            return Ok(ValidUser::Everywhere);
        }
    }
    Ok(ValidUser::WhereNeeded)
}

fn limits(sections: &Sections) -> Result<Limits, BadValue> {
    let usual = Limits::default();
    let size = |key, default| sections.integer("couchdb", key, default);
    let document = size("max_document_size", usual.document_bytes_max as u64)?;
    Ok(Limits {
        document_bytes_max: usize::try_from(document).unwrap_or(usize::MAX),
        attachment_bytes_max: size("max_attachment_size", usual.attachment_bytes_max)?,
        ..usual
    })
}

fn cors(sections: &Sections) -> Result<Option<CorsRules>, BadValue> {
    let enabled = ["chttpd", "httpd"].map(|section| sections.flag(section, "enable_cors", Flag::Off));
    let [chttpd, httpd] = enabled;
    if !chttpd?.is_on() && !httpd?.is_on() {
        return Ok(None);
    }
    Ok(Some(CorsRules {
        origins: sections.list("cors", "origins").unwrap_or_default(),
        credentials: sections.flag("cors", "credentials", Flag::Off)?,
        methods: sections.list("cors", "methods"),
        headers: sections.list("cors", "headers"),
        max_age: Duration::from_secs(sections.integer("cors", "max_age", 600)?),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(entries: &[(&str, &str, &str)]) -> Result<Live, Refusal> {
        let mut sections = Sections::default();
        sections.set("chttpd_auth", "secret", "sixteen bytes and more");
        for (section, key, value) in entries {
            sections.set(section, key, value);
        }
        Live::of(&sections)
    }

    #[test]
    fn nothing_said_is_couchdbs_default() {
        let live = live(&[]).unwrap();
        assert_eq!(live.valid_user, ValidUser::WhereNeeded);
        assert_eq!(live.limits.document_bytes_max, 8_000_000);
        assert_eq!(live.cors, None);
        assert_eq!(live.default_security, DefaultSecurity::AdminOnly);
    }

    #[test]
    fn what_is_said_counts() {
        let live = live(&[
            ("chttpd", "require_valid_user_except_for_up", "true"),
            ("couchdb", "max_document_size", "infinity"),
            ("httpd", "enable_cors", "true"),
            ("cors", "origins", "app://obsidian.md, capacitor://localhost"),
            ("cors", "credentials", "true"),
        ]);
        let live = live.unwrap();
        assert_eq!(live.valid_user, ValidUser::ExceptUp);
        assert_eq!(live.limits.document_bytes_max, usize::MAX);
        let cors = live.cors.unwrap();
        assert_eq!((cors.origins.len(), cors.credentials), (2, Flag::On));
    }

    #[test]
    fn proxies_alone_tell_of_clients() {
        let header = ("chttpd", "peer_header", "X-Real-IP");
        let told = |entries: &[(&str, &str, &str)], peer: &str| {
            live(entries).unwrap().peer_header(peer.parse().unwrap()).map(str::to_owned)
        };
        assert_eq!(told(&[], "127.0.0.1"), None);
        assert_eq!(told(&[header], "127.0.0.1").as_deref(), Some("x-real-ip"));
        assert_eq!(told(&[header], "10.0.0.1"), None);
        let networks = ("chttpd_auth", "proxy_networks", "10.0.0.0/8");
        assert_eq!(told(&[header, networks], "10.0.0.1").as_deref(), Some("x-real-ip"));
        assert_eq!(told(&[header, networks], "127.0.0.1"), None);
    }

    #[test]
    fn up_is_excepted_where_either_says_so() {
        let [except, everywhere] = ["require_valid_user_except_for_up", "require_valid_user"];
        let valid_user = |entries: &[(&str, &str, &str)]| live(entries).unwrap().valid_user;
        assert_eq!(valid_user(&[("chttpd", everywhere, "true")]), ValidUser::Everywhere);
        for section in ["chttpd", "chttpd_auth"] {
            let both = [(section, everywhere, "true"), ("chttpd", except, "true")];
            assert_eq!(valid_user(&both), ValidUser::ExceptUp, "{section}");
        }
    }

    #[test]
    fn a_bad_value_is_named() {
        let error = live(&[("chttpd", "changes_timeout", "long")]).unwrap_err();
        assert_eq!(error.to_string(), "chttpd/changes_timeout: \"long\" is not a whole number");
    }
}
