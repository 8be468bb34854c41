//! Redirects: followed on the same host, where the credentials are known anyway, and nowhere else.
//!
//! CouchDB follows them anywhere, credentials in hand. Here nobody but who asked for a replication says which hosts it talks
//! to. Source: `couch_replicator_httpc:do_redirect`.

use super::Outgoing;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri, header, uri::Scheme};

/// The request to send instead, if the redirect is one to follow.
pub(super) fn follow(
    mut request: Request<Outgoing>,
    status: StatusCode,
    answer: &HeaderMap,
) -> Option<Request<Outgoing>> {
    let to = target(request.uri(), answer.get(header::LOCATION)?.to_str().ok()?)?;
    match status {
        StatusCode::SEE_OTHER => {
            *request.method_mut() = Method::GET;
            *request.body_mut() = Outgoing::whole(Bytes::new());
            request.headers_mut().remove(header::CONTENT_TYPE);
        }
        StatusCode::MOVED_PERMANENTLY
        | StatusCode::FOUND
        | StatusCode::TEMPORARY_REDIRECT
        | StatusCode::PERMANENT_REDIRECT => {}
        _ => return None,
    }
    if to.scheme() == Some(&Scheme::HTTPS) {
        // From here on the proxy doesn't read requests, and the peer has no business with it.
        request.headers_mut().remove(header::PROXY_AUTHORIZATION);
    }
    *request.uri_mut() = to;
    Some(request)
}

/// Where a redirect leads, if that is the same server, or the same host with TLS.
fn target(from: &Uri, location: &str) -> Option<Uri> {
    let to: Uri = match location.strip_prefix('/') {
        Some(rest) if rest.starts_with('/') => return None,
        Some(_) => format!("{}://{}{location}", from.scheme_str()?, from.authority()?).parse().ok()?,
        None => location.parse().ok()?,
    };
    let is_same_host = from.host()?.eq_ignore_ascii_case(to.host()?);
    let is_same_server = from.scheme() == to.scheme() && port(from) == port(&to);
    let is_upgrade = from.scheme() == Some(&Scheme::HTTP) && to.scheme() == Some(&Scheme::HTTPS);
    (is_same_host && (is_same_server || is_upgrade)).then_some(to)
}

fn port(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_stay_on_the_host() {
        let check = |from: &str, location: &str, expected: Option<&str>| {
            let to = target(&from.parse().unwrap(), location).map(|to| to.to_string());
            assert_eq!(to.as_deref(), expected, "{from} {location}");
        };
        check("http://h:5984/a/_changes?x=1", "/b/_changes?x=1", Some("http://h:5984/b/_changes?x=1"));
        check("http://h/a/", "http://H:80/b/", Some("http://H:80/b/"));
        check("http://h/a/", "https://h/a/", Some("https://h/a/"));
        check("http://h:5984/a/", "https://h:6984/a/", Some("https://h:6984/a/"));
        check("https://h/a/", "http://h/a/", None);
        check("http://h/a/", "http://h:8080/a/", None);
        check("http://h/a/", "http://thief/a/", None);
        check("http://h/a/", "//thief/a/", None);
        check("http://h/a/", "http://h@thief/a/", None);
        check("http://h/a/", "b", None);
    }
}
