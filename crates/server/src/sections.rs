//! The operator's file as CouchDB's sections and keys: what the file says is where HTTP's configuration begins.

use crate::config::{Address, Admins, Config};
use tidegate_engine::Sections;

/// The sections that say what this configuration does.
pub(crate) fn of(config: &Config) -> Sections {
    let mut sections = Sections::default();
    let mut set = |section: &str, key: &str, value: &str| drop(sections.set(section, key, value));
    if let Address::At(address) = config.couch {
        set("chttpd", "bind_address", &address.ip().to_string());
        set("chttpd", "port", &address.port().to_string());
    }
    let limits = &config.limits;
    set("chttpd", "max_http_request_size", &limits.max_http_request_size.to_string());
    set("chttpd", "changes_timeout", &limits.changes_timeout_ms.to_string());
    set("couchdb", "database_dir", &config.data.display().to_string());
    set("couchdb", "max_document_size", &limits.max_document_size.to_string());
    set("couchdb", "max_attachment_size", &limits.max_attachment_size.to_string());
    set("couchdb", "single_node", "true");
    if let Some(realm) = &config.realm {
        set("chttpd", "WWW-Authenticate", &format!("Basic realm=\"{realm}\""));
    }
    if !config.cors.origins.is_empty() {
        set("chttpd", "enable_cors", "true");
        set("cors", "origins", &config.cors.origins.join(", "));
        set("cors", "credentials", if config.cors.credentials { "true" } else { "false" });
    }
    if let Admins::Named(admins) = &config.admins {
        for (name, password) in admins {
            set("admins", name, password);
        }
    }
    for (section, keys) in &config.sections {
        for (key, value) in keys {
            set(section, key, value);
        }
    }
    sections
}
