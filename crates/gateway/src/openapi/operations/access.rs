//! Users and roles of a database.

use super::super::{
    Edition,
    operation::{Kind, Methods, Operation, Payload, at, json, json_array, plain_json},
    schemas::{NameOrUser, Role, RoleSettings, UserOrChannels, UserSettings},
    tag::Tag,
};
use serde_json::json;

fn names() -> Payload {
    plain_json::<Vec<String>>().example(json!(["ada", "bob"]))
}

pub(in crate::openapi) fn users(_: Edition) -> Methods {
    let get = Operation::new("listUsers", "The users")
        .query("name_only", &Kind::Flag, "With `false`, `name`, `email` and `disabled` of each.")
        .query("limit", &Kind::Number, "So many at the most.")
        .answers(200, "Their names, or what is said of each.", json_array::<NameOrUser>().example(json!(["ada"])))
        .refuses(&[400]);
    let post = Operation::new("createUser", "Make a user")
        .takes(json::<UserSettings>())
        .done(201, "The user is made.")
        .refuses(&[400, 415])
        .refuses_with(409, "There is such a user already.");
    at(Tag::Users).get(get).post(post)
}

pub(in crate::openapi) fn user(_: Edition) -> Methods {
    let get = Operation::new("getUser", "A user")
        .query(
            "doc_id",
            &Kind::Text,
            "Ids with commas between: by which channels the user sees these documents, instead.",
        )
        .answers(200, "The user.", json::<UserOrChannels>())
        .refuses(&[400]);
    let put = Operation::new("putUser", "Make a user, or change one")
        .about("What isn't said of one who is there stays as it was.")
        .takes(json::<UserSettings>())
        .done(200, "The user is changed.")
        .done(201, "The user is made.")
        .refuses(&[400, 415]);
    let delete = Operation::new("deleteUser", "Delete a user").done(200, "The user is gone.");
    at(Tag::Users).get(get).put(put).delete(delete)
}

pub(in crate::openapi) fn roles(_: Edition) -> Methods {
    let get = Operation::new("listRoles", "The roles")
        .query("limit", &Kind::Number, "So many at the most.")
        .answers(200, "Their names.", names())
        .refuses(&[400]);
    let post = Operation::new("createRole", "Make a role")
        .takes(json::<RoleSettings>())
        .done(201, "The role is made.")
        .refuses(&[400, 415])
        .refuses_with(409, "There is such a role already.");
    at(Tag::Roles).get(get).post(post)
}

pub(in crate::openapi) fn role(_: Edition) -> Methods {
    let get = Operation::new("getRole", "A role").answers(200, "The role.", json::<Role>());
    let put = Operation::new("putRole", "Make a role, or change one")
        .takes(json::<RoleSettings>())
        .done(200, "The role is changed.")
        .done(201, "The role is made.")
        .refuses(&[400, 415]);
    let delete = Operation::new("deleteRole", "Delete a role")
        .about("Its users lose the channels that they have by it.")
        .done(200, "The role is gone.");
    at(Tag::Roles).get(get).put(put).delete(delete)
}
