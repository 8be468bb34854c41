//! Who may do what: the real binary, asked by everybody from nobody to the server's administrator.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on may panic")]

mod admins;
mod cors;
mod filters;
mod functions;
mod logins;
mod paths;
mod rights;
mod routes;
mod site;
mod tools;
mod users;
mod ways;
mod wizard;
