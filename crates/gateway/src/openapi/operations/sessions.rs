//! Who somebody is, sessions, logins by identity providers.

use super::super::{
    Edition,
    operation::{Kind, Methods, Operation, at, json, object},
    schemas::{Login, OidcTokens, RequestedSession, Session, SessionMade, SessionOrOneTime},
    tag::Tag,
};
use crate::service::Port;

pub(in crate::openapi) fn session(edition: Edition) -> Methods {
    let get = Operation::new("getSession", "Who makes the request")
        .about("On the public port, nobody gets an answer, too.")
        .answers(200, "Who it is.", json::<Session>());
    let post = match edition.port {
        Port::Public => Operation::new("logIn", "Log in")
            .about("By the name and password of the body, or as whom the request comes anyway.")
            .query("one_time", &Kind::Flag, "With `true`, a session that can be used once, and no cookie.")
            .may_take(json::<Login>())
            .answers(200, "Who it is, with a cookie.", json::<SessionOrOneTime>())
            .refuses(&[400, 415]),
        Port::Admin => Operation::new("createSession", "Make a session for a user")
            .takes(json::<RequestedSession>())
            .answers(200, "The session.", json::<SessionMade>())
            .refuses(&[400, 415]),
    };
    let delete = Operation::new("logOut", "Log out")
        .answers(200, "The session is over, and the cookie with it.", object())
        .refuses_with(404, "There is no session.");
    at(Tag::Sessions).get(get).post(post).delete(delete)
}

pub(in crate::openapi) fn session_of(_: Edition) -> Methods {
    let get = Operation::new("getSessionOf", "Whose session it is").answers(200, "The user.", json::<Session>());
    let delete = Operation::new("deleteSession", "End a session").done(200, "It is over, if it was there.");
    at(Tag::Sessions).get(get).delete(delete)
}

pub(in crate::openapi) fn user_sessions(_: Edition) -> Methods {
    let delete = Operation::new("deleteSessionsOfUser", "End all sessions of a user").done(200, "They are over.");
    at(Tag::Sessions).delete(delete)
}

pub(in crate::openapi) fn user_session(_: Edition) -> Methods {
    let delete = Operation::new("deleteSessionOfUser", "End a session of a user").done(200, "It is over.");
    at(Tag::Sessions).delete(delete)
}

const PROVIDER: &str = "The provider's name. Without it, the default one.";

/// The beginning of a login.
fn entering(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(id, summary)
        .query("provider", &Kind::Text, PROVIDER)
        .query("offline", &Kind::Flag, "With `true`, the provider is asked for a refresh token as well.")
        .refuses_with(400, "There is no such provider, or it is misconfigured.")
        .refuses(&[502])
}

pub(in crate::openapi) fn oidc(_: Edition) -> Methods {
    let get = entering("enterOidc", "Send a browser to the provider");
    at(Tag::OpenIdConnect).get(get.done(302, "`Location` is the provider's page of logins."))
}

pub(in crate::openapi) fn oidc_challenge(_: Edition) -> Methods {
    let get = entering("challengeOidc", "Where an app sends its browser");
    at(Tag::OpenIdConnect).get(get.refuses_with(401, "`WWW-Authenticate: OIDC login=\"…\"` has the address."))
}

pub(in crate::openapi) fn oidc_callback(_: Edition) -> Methods {
    let get = Operation::new("callbackOidc", "A browser comes back from the provider")
        .query("code", &Kind::Text, "What the provider gives for a login.")
        .query("state", &Kind::Text, "What the journey began with.")
        .query("provider", &Kind::Text, PROVIDER)
        .query("error", &Kind::Text, "What the provider says instead of a code.")
        .query("error_description", &Kind::Text, "What that means.")
        .answers(200, "The tokens, and a session.", json::<OidcTokens>())
        .refuses(&[400, 502]);
    at(Tag::OpenIdConnect).get(get)
}

pub(in crate::openapi) fn oidc_refresh(_: Edition) -> Methods {
    let get = Operation::new("refreshOidc", "The next tokens")
        .required_query("refresh_token", "The refresh token.")
        .query("provider", &Kind::Text, PROVIDER)
        .answers(200, "The tokens, and a session.", json::<OidcTokens>())
        .refuses(&[400, 502]);
    at(Tag::OpenIdConnect).get(get)
}
