//! What `_replicate` and `_replicator` are asked for, on any JSON: it is a job or refused; what is shown of an endpoint
//! holds no password.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_replication::{parse_job, shown};

fuzz_target!(|bytes: &[u8]| {
    let Ok(body) = serde_json::from_slice::<serde_json::Value>(bytes) else { return };
    drop(parse_job(&body));
    for endpoint in [&body["source"], &body["target"]] {
        if let (Some(shown), Some(url)) = (shown(endpoint), endpoint.as_str().or(endpoint["url"].as_str())) {
            let secret = url.split_once("://").and_then(|(_, rest)| rest.split_once('@')).map(|(secret, _)| secret);
            let secret = secret.and_then(|secret| secret.split_once(':')).map(|(_, password)| password);
            let is_plain = |text: &str| text.len() > 12 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
            // Said once, it can't be a part of something else.
            if let Some(password) = secret.filter(|text| is_plain(text) && url.matches(text).count() == 1) {
                assert!(!shown.contains(password), "{shown}");
            }
        }
    }
});
