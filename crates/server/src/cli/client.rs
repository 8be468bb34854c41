//! A server seen through its CouchDB listener: this one's, or CouchDB itself.
//!
//! A refusal becomes an error that says what to do next. Credentials stand in the URL, and are never shown.

use crate::tls;
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::Value;
use std::time::Duration;
use tidegate_types::{DbName, DocId};

/// Everything but what may stand in a path as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'@');
/// The longest silence of a server.
const SILENCE: Duration = Duration::from_secs(120);
/// Bytes of an answer that isn't streamed.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// Which server.
#[derive(Clone, Debug, Args)]
pub(crate) struct Remote {
    /// The server's CouchDB listener, with name and password if it asks for them
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "TIDEGATE_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:5984"
    )]
    url: String,
}

impl Remote {
    pub(crate) fn client(&self) -> Result<Client> {
        Client::new(&self.url, Place::Couch)
    }
}

/// Which server, by its listener for administrators of databases in channels.
#[derive(Clone, Debug, Args)]
pub(crate) struct AdminPort {
    /// The server's admin listener of Sync Gateway's protocol, with name and password if it asks for them
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "TIDEGATE_ADMIN_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:4985"
    )]
    admin_url: String,
}

impl AdminPort {
    pub(crate) fn client(&self) -> Result<Client> {
        Client::new(&self.admin_url, Place::Admin)
    }
}

/// Where the command line says which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// [`Remote`].
    Couch,
    /// [`AdminPort`].
    Admin,
    /// The argument that names the server to import from.
    Source,
}

/// A server, and who asks it. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    /// Without credentials, and without a slash at the end.
    root: String,
    credentials: Option<(String, String)>,
    place: Place,
}

/// An answer other than 2xx.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{place} answers {status}: {reason}{advice}")]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// CouchDB's word for it, such as `not_found`.
    pub(crate) error: String,
    pub(crate) reason: String,
    place: String,
    advice: &'static str,
}

impl Client {
    pub(crate) fn new(url: &str, place: Place) -> Result<Self> {
        let advice = "give a URL such as http://name:password@127.0.0.1:5984";
        let mut url = Url::parse(url).map_err(|error| anyhow!("the server's URL is not valid ({error}); {advice}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            bail!("the server's URL must begin with http:// or https://; {advice}");
        }
        let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let name = decode(url.username());
        let credentials = (!name.is_empty()).then(|| (name, decode(url.password().unwrap_or_default())));
        let unusable = |()| anyhow!("the server's URL can't hold a name; {advice}");
        url.set_username("").map_err(unusable)?;
        url.set_password(None).map_err(unusable)?;
        let root = url.as_str().trim_end_matches('/').to_owned();
        tls::install_provider();
        let http = reqwest::Client::builder()
            .user_agent(concat!("tidegate/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(20))
            .read_timeout(SILENCE);
        Ok(Self { http: http.build().context("the HTTP client can't be started")?, root, credentials, place })
    }

    /// The server as people see it.
    pub(crate) fn shown(&self) -> &str {
        &self.root
    }

    /// A request, ready for a body.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.root));
        match &self.credentials {
            Some((name, password)) => request.basic_auth(name, Some(password)),
            None => request,
        }
    }

    /// Sends a request; an answer other than 2xx is a [`Refusal`].
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let response = request.send().await.map_err(|error| self.unreached(error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let text = read(response).await.unwrap_or_default();
        Err(self.refusal(status, &text).into())
    }

    /// Asks, with or without a JSON body; the answer is JSON.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let request = self.request(method, path).header("accept", "application/json");
        let request = match body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
            None => request,
        };
        let text = read(self.send(request).await?).await?;
        serde_json::from_slice(&text).with_context(|| format!("{} answers something else than JSON", self.root))
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<Value> {
        self.call(Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.call(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<Value> {
        self.call(Method::DELETE, path, None).await
    }

    /// As [`Self::put`], where there is no answer but that it was done.
    pub(crate) async fn put_only(&self, path: &str, body: &Value) -> Result<()> {
        let request = self.request(Method::PUT, path).header("content-type", "application/json");
        self.send(request.body(body.to_string())).await.map(drop)
    }

    /// As [`Self::delete`], where there is no answer but that it was done.
    pub(crate) async fn delete_only(&self, path: &str) -> Result<()> {
        self.send(self.request(Method::DELETE, path)).await.map(drop)
    }

    /// As [`Self::get`]; `None` if there is no such thing.
    pub(crate) async fn find(&self, path: &str) -> Result<Option<Value>> {
        match self.get(path).await {
            Err(error) if status_of(&error) == Some(404) => Ok(None),
            found => found.map(Some),
        }
    }

    fn unreached(&self, error: reqwest::Error) -> anyhow::Error {
        let advice = if error.is_connect() { self.place.if_unreached() } else { "" };
        anyhow::Error::new(error.without_url()).context(format!("the server at {} can't be reached{advice}", self.root))
    }

    pub(crate) fn refusal(&self, status: StatusCode, text: &[u8]) -> Refusal {
        let body: Value = serde_json::from_slice(text).unwrap_or_default();
        let member = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let error = member("error");
        let reason = Some(member("reason")).filter(|reason| !reason.is_empty()).unwrap_or_else(|| error.clone());
        Refusal {
            status: status.as_u16(),
            place: self.root.clone(),
            advice: advice(status, &reason, self.place),
            error,
            reason,
        }
    }
}

impl Place {
    fn if_unreached(self) -> &'static str {
        match self {
            Self::Couch => {
                "; start it with `tidegate dev` or `tidegate serve`, or say where it is with --url or TIDEGATE_URL"
            }
            Self::Admin => {
                "; start it with `tidegate dev` or `tidegate serve`, whose admin listener must be on, or say where it is with \
                 --admin-url or TIDEGATE_ADMIN_URL"
            }
            Self::Source => "; see whether it runs, and whether the URL to import from is the right one",
        }
    }

    fn if_unknown(self) -> &'static str {
        match self {
            Self::Couch => "\n  Give a name and a password: --url http://NAME:PASSWORD@HOST:PORT, or TIDEGATE_URL",
            Self::Admin => {
                "\n  Give a name and a password: --admin-url http://NAME:PASSWORD@HOST:PORT, or TIDEGATE_ADMIN_URL"
            }
            Self::Source => "\n  Give a name and a password in the URL to import from: http://NAME:PASSWORD@HOST:PORT",
        }
    }
}

/// What to do about a refusal.
fn advice(status: StatusCode, reason: &str, place: Place) -> &'static str {
    match (status.as_u16(), reason) {
        (401, _) => place.if_unknown(),
        (403, reason) if reason.contains("temporarily locked") => {
            "\n  After too many wrong passwords the right one is refused, too: try again in five minutes"
        }
        (403, _) => "\n  Ask as an administrator, or as a member of the database",
        (404, "Database does not exist.") => "\n  `tidegate db list` shows the databases there are",
        (404, reason) if reason.starts_with("no such database") => {
            "\n  `tidegate db list` shows the databases there are"
        }
        (404, _) => "\n  `tidegate doc list DB` shows the documents there are",
        (409, _) => "\n  It was changed meanwhile: read it again (`tidegate doc get`) and give its current _rev",
        (412, _) => "\n  Choose another name, or delete what is there first",
        (413, _) => "\n  The server's limits are in its configuration, below [limits]",
        _ => "",
    }
}

/// An answer that isn't streamed has a limit.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the server's answer is larger than {ANSWER_BYTES_MAX} bytes")]
pub(crate) struct TooLarge;

/// The status of a refusal.
pub(crate) fn status_of(error: &anyhow::Error) -> Option<u16> {
    error.downcast_ref::<Refusal>().map(|refusal| refusal.status)
}

/// All of an answer, which is small.
pub(crate) async fn read(mut response: Response) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    while let Some(chunk) = response.chunk().await.context("the server's answer was cut short")? {
        if text.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(TooLarge.into());
        }
        text.extend_from_slice(&chunk);
    }
    Ok(text)
}

/// `/db`. The name is one that a database can have: anything else would be another path.
pub(crate) fn db_path(name: &DbName) -> String {
    format!("/{}", segment(name.as_str()))
}

/// `/db/doc`.
pub(crate) fn doc_path(db: &DbName, id: &DocId) -> Result<String> {
    let id = id.as_str();
    // URLs have another meaning for these.
    if matches!(id, "." | "..") {
        bail!("a document with the id {id:?} can't be reached by its URL; use `export` and `import`");
    }
    let prefix = ["_design/", "_local/"].into_iter().find(|prefix| id.starts_with(prefix)).unwrap_or_default();
    let rest = id.strip_prefix(prefix).unwrap_or(id);
    Ok(format!("{}/{prefix}{}", db_path(db), segment(rest)))
}

pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// A name from the command line, checked.
pub(crate) fn db_name(text: &str) -> Result<DbName, String> {
    text.parse().map_err(|_illegal| {
        "a database's name begins with a lower-case letter and has only a-z, 0-9 and _$()+-/ in it".to_owned()
    })
}

/// An id from the command line, checked.
pub(crate) fn doc_id(text: &str) -> Result<DocId, String> {
    text.parse().map_err(|error: tidegate_types::DocIdError| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_taken_out_of_the_url() {
        let client = Client::new("http://ada:se%40cret@localhost:5984/prefix/", Place::Couch).unwrap();
        assert_eq!(client.shown(), "http://localhost:5984/prefix");
        assert_eq!(client.credentials, Some(("ada".to_owned(), "se@cret".to_owned())));
        for wrong in ["localhost:5984", "ftp://localhost", "x"] {
            assert!(Client::new(wrong, Place::Couch).unwrap_err().to_string().contains("http://"), "{wrong}");
        }
    }

    #[test]
    fn a_password_is_asked_for_where_it_can_be_said() {
        let advice = |place| advice(StatusCode::UNAUTHORIZED, "", place);
        assert!(advice(Place::Couch).ends_with(": --url http://NAME:PASSWORD@HOST:PORT, or TIDEGATE_URL"));
        assert!(advice(Place::Admin).ends_with(": --admin-url http://NAME:PASSWORD@HOST:PORT, or TIDEGATE_ADMIN_URL"));
        assert!(!advice(Place::Source).contains("--"));
    }

    #[test]
    fn a_path_names_what_it_says_and_nothing_else() {
        let db = db_name("a/b").unwrap();
        let path = |id: &str| doc_path(&db, &doc_id(id).unwrap());
        assert_eq!(path("a b/ü").unwrap(), "/a%2Fb/a%20b%2F%C3%BC");
        assert_eq!(path("_design/d").unwrap(), "/a%2Fb/_design/d");
        assert!(path("..").is_err());
        assert!(doc_id("").is_err() && db_name("").is_err() && db_name("..").is_err());
    }
}
