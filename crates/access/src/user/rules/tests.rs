//! The rules one by one, each with what it tells.

use super::*;
use crate::{Handler, Security, UserCtx};

const ADA: &str = r#""type":"user","name":"ada","roles":[]"#;

fn user(name: &str, roles: &[&str]) -> UserCtx {
    let roles = roles.iter().map(|role| role.parse().unwrap()).collect();
    UserCtx::user(name.parse().unwrap(), roles, Handler::Default)
}

/// What `author` is told who writes `members` over `old` as `org.couchdb.user:ada`; nothing if it may.
fn told(author: &UserCtx, old: Option<&str>, members: &str) -> String {
    let security = Security::parse(br#"{"admins":{"names":["keeper"],"roles":["keepers"]}}"#).unwrap();
    told_of(check_update(ada(old, members, Label::Needed), Author { user: author, security: &security }))
}

fn ada<'a>(old: Option<&'a str>, members: &'a str, label: Label) -> Update<'a> {
    Update { id: "org.couchdb.user:ada", members: members.as_bytes(), old: old.map(str::as_bytes), label }
}

fn told_of(result: Result<(), Error>) -> String {
    match result {
        Ok(()) => String::new(),
        Err(Error::Forbidden(reason)) => reason.into_owned(),
        Err(other) => panic!("{other:?}"),
    }
}

#[track_caller]
fn check_admin(members: &str, expected: &str) {
    assert_eq!(told(&user("root", &["_admin"]), None, members), expected, "{members}");
}

#[test]
fn a_document_is_a_users() {
    check_admin(ADA, "");
    check_admin("", "doc.type must be user");
    check_admin(r#""type":"User""#, "doc.type must be user");
    check_admin(r#""type":"user""#, "doc.name is required");
    check_admin(r#""type":"user","name":"""#, "doc.name is required");
    check_admin(r#""type":"user","name":0"#, "doc.name is required");
    check_admin(r#""type":"user","name":"ada""#, "doc.roles must exist");
    check_admin(r#""type":"user","name":"ada","roles":null"#, "doc.roles must exist");
    check_admin(r#""type":"user","name":"ada","roles":{}"#, "doc.roles must be an array");
    check_admin(r#""type":"user","name":"ada","roles":"a""#, "doc.roles must be an array");
    check_admin(r#""type":"user","name":"ada","roles":["a",1]"#, "doc.roles can only contain strings");
    let wrong_id = "Doc ID must be of the form org.couchdb.user:name";
    check_admin(r#""type":"user","name":"bob","roles":[]"#, wrong_id);
    check_admin(r#""type":"user","name":7,"roles":[]"#, wrong_id);
}

#[test]
fn a_label_may_be_optional_but_not_wrong() {
    let security = Security::admin_only();
    let check = |members: &str, expected: &str| {
        let author = Author { user: &UserCtx::nameless_admin(), security: &security };
        assert_eq!(told_of(check_update(ada(None, members, Label::Optional), author)), expected, "{members}");
    };
    check(ADA, "");
    check(r#""name":"ada","roles":[]"#, "");
    check(r#""name":"ada""#, "doc.roles must exist");
    check(r#""type":null,"name":"ada","roles":[]"#, "doc.type must be user");
    check(r#""type":"pet","name":"ada","roles":[]"#, "doc.type must be user");
}

#[test]
fn a_password_is_kept_in_a_known_way() {
    let check = |members: &str, expected: &str| check_admin(&format!("{ADA},{members}"), expected);
    check(r#""password_sha":"00","salt":"a""#, "");
    let no_salt = "Users with password_sha must have a salt.See /_utils/script/couch.js for example code.";
    check(r#""password_sha":"00""#, no_salt);
    check(r#""password_sha":"00","salt":"""#, no_salt);
    check(r#""password_scheme":"md5""#, "Password scheme `md5` not supported.");
    check(r#""password_scheme":7"#, "Password scheme `7` not supported.");
    check(r#""password_scheme":"simple""#, "");
    check(r#""password_scheme":"simple+pbkdf2""#, "");
    check(r#""password_scheme":"pbkdf2""#, "iterations must be a number.");
    check(r#""password_scheme":"pbkdf2","iterations":"1""#, "iterations must be a number.");
    check(r#""password_scheme":"pbkdf2","iterations":1"#, "derived_key must be a string.");
    check(r#""password_scheme":"pbkdf2","iterations":1,"derived_key":"00""#, "");
}

#[test]
fn names_and_roles_of_the_system_are_refused() {
    let roles = |roles: &str| format!(r#""type":"user","name":"ada","roles":{roles}"#);
    check_admin(&roles(r#"["a","_metrics"]"#), "");
    let system = "No system roles (starting with underscore) in users db.";
    check_admin(&roles(r#"["_admin"]"#), system);
    check_admin(&roles(r#"["a","_x"]"#), system);
    check_admin(&roles(r#"[""]"#), "A role is empty.");
    check_admin(&roles(r#"["a\nb"]"#), "A role holds a control character.");
    let check_name = |name: &str, expected: &str| {
        let (id, security) = (format!("org.couchdb.user:{name}"), Security::admin_only());
        let members = format!(r#""type":"user","name":"{name}","roles":[]"#);
        let update = Update { id: &id, members: members.as_bytes(), old: None, label: Label::Needed };
        let refused = check_update(update, Author { user: &UserCtx::nameless_admin(), security: &security });
        assert_eq!(refused, Err(Error::forbidden(expected.to_owned())), "{name}");
    };
    check_name("_ada", "Username may not start with underscore.");
    check_name("a:b", "Character `:` is not allowed in usernames.");
    check_name(&"a".repeat(257), "The username is longer than 256 bytes.");
}

#[test]
fn users_change_their_own_document_but_not_their_roles() {
    let with = |roles: &str| format!(r#""type":"user","name":"ada","roles":{roles}"#);
    let check = |author: &UserCtx, old: Option<&str>, members: &str, expected: &str| {
        assert_eq!(told(author, old, members), expected, "{author:?} {old:?} {members}");
    };
    let (ada, eve, nobody) = (user("ada", &["a", "b"]), user("eve", &[]), UserCtx::anonymous());
    check(&nobody, None, ADA, "");
    check(&nobody, None, &with(r#"["a"]"#), "Only _admin may set roles");
    check(&nobody, Some(ADA), ADA, "You may only update your own user document.");
    check(&eve, Some(ADA), ADA, "You may only update your own user document.");
    check(&ada, Some(ADA), ADA, "");
    check(&ada, Some(&with(r#"["a","b"]"#)), &with(r#"["b","a"]"#), "");
    check(&ada, Some(&with(r#"["b","a"]"#)), &with(r#"["a","b"]"#), "");
    check(&ada, Some(&with(r#"["a"]"#)), &with(r#"["a","b"]"#), "Only _admin may edit roles");
    check(&ada, Some(&with(r#"["a"]"#)), &with(r#"["b"]"#), "Only _admin may edit roles");
    check(&ada, Some(&with(r#"["a","a"]"#)), &with(r#"["a"]"#), "Only _admin may edit roles");
    check(&ada, Some(&with("[1]")), &with("[]"), "Only _admin may edit roles");
    for keeper in [user("keeper", &[]), user("x", &["keepers"]), user("root", &["_admin"])] {
        check(&keeper, Some(&with(r#"["a"]"#)), &with(r#"["b"]"#), "");
    }
    let other = r#""type":"user","name":"bob","roles":[]"#;
    check(&user("root", &["_admin"]), Some(other), ADA, "Usernames can not be changed.");
}

#[test]
fn users_delete_themselves() {
    let security = Security::parse(br#"{"admins":{"names":["keeper"]}}"#).unwrap();
    let may =
        |user: &UserCtx, old: Option<&str>| check_delete(old.map(str::as_bytes), Author { user, security: &security });
    let refused = Err(Error::forbidden("Only admins may delete other user docs."));
    assert_eq!(may(&user("ada", &[]), Some(ADA)), Ok(()));
    assert_eq!(may(&user("root", &["_admin"]), Some(ADA)), Ok(()));
    assert_eq!(may(&user("root", &["_admin"]), None), Ok(()));
    assert_eq!(may(&user("keeper", &[]), Some(ADA)), refused);
    assert_eq!(may(&user("eve", &[]), Some(ADA)), refused);
    assert_eq!(may(&UserCtx::anonymous(), Some("")), refused);
    assert_eq!(may(&UserCtx::anonymous(), None), refused);
}
