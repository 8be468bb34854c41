//! The keys of a database's configuration.

/// The keys of Sync Gateway's, and ours. What isn't put into effect here is kept, and given back.
pub(crate) const KEYS: &[&str] = &[
    "allow_conflicts",
    "allow_empty_password",
    "bucket",
    "bucket_op_timeout_ms",
    "cacertpath",
    "cache",
    "certpath",
    "changes_request_plus",
    "client_partition_window_secs",
    "compact_interval_days",
    "cors",
    "delta_sync",
    "deprecated",
    "disable_password_auth",
    "disable_public_all_docs",
    "enable_shared_bucket_access",
    "enable_xattrs",
    "event_handlers",
    "feed_type",
    "guest",
    "hide_existence",
    "import_backup_old_rev",
    "import_docs",
    "import_filter",
    "import_partitions",
    "index",
    "javascript_timeout_secs",
    "keypath",
    "kv_tls_port",
    "local_doc_expiry_secs",
    "local_jwt",
    "logging",
    "max_concurrent_query_ops",
    "name",
    "num_index_replicas",
    "offline",
    "oidc",
    "old_rev_expiry_seconds",
    "password",
    "pool",
    "query_pagination_limit",
    "remote_user",
    "replications",
    "rev_cache_size",
    "revs_limit",
    "roles",
    "scopes",
    "send_www_authenticate_header",
    "serve_insecure_attachment_types",
    "server",
    "session_cookie_http_only",
    "session_cookie_name",
    "session_cookie_same_site",
    "session_cookie_secure",
    "sgreplicate_enabled",
    "sgreplicate_websocket_heartbeat_secs",
    "slow_query_warning_threshold",
    "store_legacy_revtree_data",
    "suspendable",
    "sync",
    "tombstone_lifetime_days",
    "unsupported",
    "updated_at",
    "use_views",
    "user_xattr_key",
    "username",
    "users",
    "view_query_timeout_secs",
];

/// Keys that say how users log in.
pub(crate) const LOGIN_KEYS: &[&str] = &[
    "allow_empty_password",
    "disable_password_auth",
    "local_jwt",
    "oidc",
    "remote_user",
    "session_cookie_http_only",
    "session_cookie_name",
    "session_cookie_same_site",
    "session_cookie_secure",
];

/// Keys that are on or off, and that mean something here.
pub(crate) const FLAGS: &[&str] =
    &["allow_conflicts", "disable_public_all_docs", "hide_existence", "offline", "send_www_authenticate_header"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_and_those_of_logins_are_among_them() {
        assert!(KEYS.is_sorted());
        assert!(LOGIN_KEYS.iter().all(|key| KEYS.contains(key)));
    }
}
