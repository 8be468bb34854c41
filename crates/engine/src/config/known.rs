//! Which keys of CouchDB's configuration have an effect here, and what they may be set to.
//!
//! A key of CouchDB's that does nothing here is refused: an operator who sets one must not believe that it works.
//! Sections that CouchDB hasn't got are anybody's to keep things in, as in CouchDB.

use super::sections::{BadValue, Expected, bad};

use Expected::{Flag, Integer, OneOf, Text};

/// Why a key can't be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The key takes effect here, and this is no value for it.
    #[error(transparent)]
    BadValue(#[from] BadValue),
    /// The value makes no sense with others.
    #[error(transparent)]
    Misconfigured(#[from] tidegate_access::Error),
    /// CouchDB has the key; it would do nothing here.
    #[error("{section}/{key} has no effect in Tidegate, so it can't be set")]
    NoEffect {
        /// The key's section.
        section: String,
        /// The key.
        key: String,
    },
    /// The section holds what would let a caller run programs. Source: `couch_util:check_config_blacklist`.
    #[error("Config section blacklisted for modification over HTTP API.")]
    Forbidden,
    /// The operator's list of keys that may be changed doesn't hold this one.
    #[error("The config key isn't in chttpd/config_whitelist")]
    NotListed,
    /// The name of the section or of the key, or the value, holds characters that a line of a file can't.
    #[error("Config section and option names and values must not hold line breaks, `[` or `]`")]
    Illegal,
    /// An administrator without a name, or whom everybody could be.
    #[error("An administrator needs a name and a password.")]
    NamelessAdmin,
    /// Nobody could administer the server any more.
    #[error("This is the last administrator: name another before deleting this one.")]
    LastAdmin,
}

const AUTH: &[&str] = &["chttpd_auth", "couch_httpd_auth"];

/// The keys that have an effect, by section.
const KNOWN: &[(&[&str], &str, Expected)] = &[
    (&["chttpd"], "admin_only_all_dbs", Flag),
    (&["chttpd"], "authentication_handlers", Text("a list of handlers")),
    (&["chttpd"], "changes_timeout", Integer),
    (&["chttpd"], "config_whitelist", Text("a list of sections and keys")),
    (&["chttpd"], "decode_plus_to_space", Flag),
    (&["chttpd", "httpd"], "enable_cors", Flag),
    (&["chttpd"], "max_db_number_for_dbs_info_req", Integer),
    (&["chttpd"], "max_http_request_size", Integer),
    (&["chttpd"], "max_uri_length", Integer),
    (&["chttpd"], "peer_header", Text("a header")),
    (&["chttpd", "httpd"], "x_forwarded_host", Text("a header")),
    (&["attachments"], "compressible_types", Text("a list of media types")),
    (&["attachments"], "compression_level", OneOf(&["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"])),
    (&["chttpd_auth_lockout"], "mode", OneOf(&["off", "warn", "enforce"])),
    (&["chttpd_auth_lockout"], "threshold", Integer),
    (&["chttpd", "chttpd_auth", "couch_httpd_auth"], "require_valid_user", Flag),
    (&["chttpd"], "require_valid_user_except_for_up", Flag),
    (&["chttpd", "httpd"], "WWW-Authenticate", Text("a challenge")),
    (&["remote_user"], "header", Text("a header")),
    (&["remote_user"], "networks", Text("a list of networks")),
    (&["remote_user"], "roles_header", Text("a header")),
    (AUTH, "allow_persistent_cookies", Flag),
    (AUTH, "authentication_db", Text("a database")),
    (AUTH, "cookie_domain", Text("a domain")),
    (AUTH, "hash_algorithms", Text("a list of algorithms")),
    (AUTH, "iterations", Integer),
    (AUTH, "max_iterations", Integer),
    (AUTH, "min_iterations", Integer),
    (AUTH, "password_scheme", OneOf(&["pbkdf2", "simple"])),
    (AUTH, "password_regexp", Text("a list of regular expressions")),
    (AUTH, "pbkdf2_prf", OneOf(&["sha", "sha224", "sha256", "sha384", "sha512"])),
    (AUTH, "proxy_networks", Text("a list of networks")),
    (AUTH, "proxy_use_secret", Flag),
    (AUTH, "public_fields", Text("a list of names")),
    (AUTH, "same_site", OneOf(&["", "none", "lax", "strict"])),
    (AUTH, "secret", Text("a secret")),
    (AUTH, "timeout", Integer),
    (AUTH, "upgrade_hash_on_auth", Flag),
    // The users' documents can't be listed by everybody.
    (AUTH, "users_db_public", OneOf(&["false"])),
    (AUTH, "x_auth_roles", Text("a header")),
    (AUTH, "x_auth_token", Text("a header")),
    (AUTH, "x_auth_username", Text("a header")),
    (&["cors"], "credentials", Flag),
    (&["cors"], "headers", Text("a list of headers")),
    (&["cors"], "max_age", Integer),
    (&["cors"], "methods", Text("a list of methods")),
    (&["cors"], "origins", Text("a list of origins")),
    (&["couchdb"], "default_security", OneOf(&["admin_only", "everyone", "admin_local"])),
    (&["couchdb"], "max_attachment_size", Integer),
    (&["couchdb"], "max_document_size", Integer),
    (&["couchdb"], "max_partition_size", Integer),
    (&["couchdb"], "os_process_timeout", Integer),
    (&["couchdb"], "single_node", Flag),
    (&["couchdb"], "users_db_security_editable", Flag),
    (&["jwt_auth"], "allowed_algorithms", Text("a list of algorithms")),
    (&["jwt_auth"], "required_claims", Text("a list of claims")),
    (&["jwt_auth"], "roles_claim_name", Text("a claim")),
    (&["jwt_auth"], "roles_claim_path", Text("a path")),
    (&["purge"], "max_document_id_number", Integer),
    (&["purge"], "max_revisions_number", Integer),
    (&["replicator"], "checkpoint_interval", Integer),
    (&["replicator"], "connection_timeout", Integer),
    (&["replicator"], "health_threshold", Integer),
    (&["replicator"], "http_connections", Integer),
    (&["replicator"], "interval", Integer),
    (&["replicator"], "max_churn", Integer),
    (&["replicator"], "max_history", Integer),
    (&["replicator"], "max_jobs", Integer),
    (&["replicator"], "retries_per_request", Integer),
    (&["query_server_config"], "partition_query_limit", Integer),
    (&["query_server_config"], "query_limit", Integer),
    (&["uuids"], "algorithm", OneOf(&["random", "sequential", "utc_random", "utc_id", "uuid_v4", "uuid_v7"])),
    (&["replicator"], "ssl_trusted_certificates_file", Text("a file")),
    (&["replicator"], "startup_jitter", Integer),
    (&["replicator"], "use_bulk_get", Flag),
    (&["replicator"], "use_checkpoints", Flag),
    (&["replicator"], "worker_batch_size", Integer),
    (&["replicator"], "worker_processes", Integer),
    (&["uuids"], "max_count", Integer),
    (&["uuids"], "utc_id_suffix", Text("a suffix")),
];

/// Sections whose keys are names that the operator gives.
const FREE: &[&str] = &["admins", "feature_flags", "jwt_keys", "vendor"];

/// Sections that can't be changed over HTTP.
const FORBIDDEN: &[&str] = &[
    "daemons",
    "external",
    "httpd_db_handlers",
    "httpd_design_handlers",
    "httpd_global_handlers",
    "native_query_servers",
    "os_daemons",
    "query_servers",
];

/// Sections of CouchDB's: their other keys do nothing here.
const COUCHDB: &[&str] = &[
    "attachments",
    "bt_engine_cache",
    "chttpd",
    "chttpd_auth",
    "chttpd_auth_lockout",
    "chttpd_auth_cache",
    "cluster",
    "compaction_daemon",
    "cors",
    "couch_httpd_auth",
    "couch_peruser",
    "couchdb",
    "couchdb_engines",
    "csp",
    "database_compaction",
    "dreyfus",
    "fabric",
    "httpd",
    "indexers",
    "ioq",
    "ioq.bypass",
    "jwt_auth",
    "ken",
    "log",
    "mango",
    "mem3",
    "nouveau",
    "partitioned_query_limits",
    "prometheus",
    "purge",
    "query_limits",
    "query_server_config",
    "rexi",
    "replicator",
    "reshard",
    "scanner",
    "smoosh",
    "ssl",
    "stats",
    "tcp_server",
    "uuids",
    "view_compaction",
    "view_upgrade",
    "couch_auto_purge_plugin",
    "couch_passwords_cache",
    "couch_quickjs_scanner_plugin",
    "couch_scanner",
    "couch_scanner_plugins",
    "custodian",
    "ddoc_cache",
    "disk_monitor",
    "global_changes",
    "hibernate_after",
    "nouveau_index_upgrader",
    "process_priority",
    "quickjs",
    "replicator.shares",
    "smoosh.ratio_dbs",
    "smoosh.ratio_views",
    "smoosh.slack_dbs",
    "smoosh.slack_views",
    "view_updater",
    "x_frame_options",
];

/// Whether keys of this section may be changed.
///
/// # Errors
/// A [`Refusal`].
pub(crate) fn check_section(section: &str) -> Result<(), Refusal> {
    if FORBIDDEN.contains(&section) { Err(Refusal::Forbidden) } else { Ok(()) }
}

/// Whether somebody may administer the server by this name and this password.
///
/// # Errors
/// [`Refusal::NamelessAdmin`].
pub(crate) fn check_admin(name: &str, password: &str) -> Result<(), Refusal> {
    if name.is_empty() || password.is_empty() { Err(Refusal::NamelessAdmin) } else { Ok(()) }
}

/// Whether this key may be set to this value.
///
/// # Errors
/// A [`Refusal`].
pub(crate) fn check(section: &str, key: &str, value: &str) -> Result<(), Refusal> {
    let breaks = |text: &str| text.contains(['\n', '\r']);
    let brackets = |text: &str| text.contains(['[', ']']);
    if section.is_empty() || key.is_empty() || [section, key].iter().any(|name| breaks(name) || brackets(name)) {
        return Err(Refusal::Illegal);
    }
    if breaks(value) {
        return Err(Refusal::Illegal);
    }
    let known = KNOWN.iter().find(|(sections, name, _)| sections.contains(&section) && *name == key);
    match known {
        Some((_, _, expected)) => Ok(check_value((section, key), value, *expected)?),
        None if COUCHDB.contains(&section) && !FREE.contains(&section) => {
            Err(Refusal::NoEffect { section: section.to_owned(), key: key.to_owned() })
        }
        None => Ok(()),
    }
}

fn check_value((section, key): (&str, &str), value: &str, expected: Expected) -> Result<(), BadValue> {
    let allowed = match expected {
        Flag => value == "true" || value == "false",
        // CouchDB's word for a limit that isn't one.
        Integer => value.parse::<u64>().is_ok() || value == "infinity",
        OneOf(choices) => choices.contains(&value),
        Text(_) => true,
    };
    if allowed { Ok(()) } else { Err(bad(section, key, value, expected)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_work_or_are_refused() {
        let reason = |section, key, value| check(section, key, value).err().map(|refusal| refusal.to_string());
        assert_eq!(reason("chttpd", "require_valid_user", "true"), None);
        assert_eq!(reason("admins", "ada", "secret"), None);
        assert_eq!(reason("my_application", "anything", "at all"), None);
        assert_eq!(
            reason("chttpd", "port", "80").unwrap(),
            "chttpd/port has no effect in Tidegate, so it can't be set"
        );
        for (section, key) in
            [("quickjs", "memory_limit_bytes"), ("disk_monitor", "enable"), ("global_changes", "update_db")]
        {
            let expected = format!("{section}/{key} has no effect in Tidegate, so it can't be set");
            assert_eq!(reason(section, key, "1").unwrap(), expected);
        }
        assert_eq!(
            reason("chttpd_auth", "timeout", "soon").unwrap(),
            "chttpd_auth/timeout: \"soon\" is not a whole number"
        );
        assert_eq!(
            reason("chttpd_auth", "same_site", "maybe").unwrap(),
            "chttpd_auth/same_site: \"maybe\" is not one of , none, lax, strict"
        );
    }

    #[test]
    fn names_and_values_stay_on_their_line() {
        for (section, key, value) in
            [("a\n", "b", "c"), ("a", "b]", "c"), ("a", "b", "c\rd"), ("", "b", "c"), ("a", "", "c")]
        {
            assert_eq!(check(section, key, value), Err(Refusal::Illegal), "{section:?} {key:?} {value:?}");
        }
    }

    #[test]
    fn keys_that_have_an_effect_are_documented() {
        let page = include_str!("../../../../docs/configuration.md");
        let named = |cell: &str, name: &str| cell.contains(&format!("`{name}`"));
        for (sections, key, _) in KNOWN {
            let mut rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
            let is_told = rows.any(|(of, keys)| sections.iter().all(|section| named(of, section)) && named(keys, key));
            assert!(is_told, "{}/{key} isn't in docs/configuration.md", sections[0]);
        }
    }
}
