//! `tidegate user --db DB`: users of a database whose documents are in channels, who log in to it alone.

use super::{
    client::{Client, db_path, segment},
    output::Output,
    role::{done, list},
};
use anyhow::{Result, bail};
use serde_json::{Value, json};
use tidegate_types::DbName;

/// The users of one database.
pub(super) struct Users<'a> {
    pub(super) client: &'a Client,
    pub(super) db: &'a DbName,
    pub(super) out: Output,
}

/// What a user is to have.
pub(super) struct Given {
    pub(super) password: String,
    pub(super) channels: Vec<String>,
    pub(super) roles: Vec<String>,
}

impl Users<'_> {
    fn path(&self, name: &str) -> String {
        format!("{}/_user/{}", db_path(self.db), segment(name))
    }

    pub(super) async fn list(&self) -> Result<()> {
        let names = self.client.get(&format!("{}/_user/", db_path(self.db))).await?;
        list(self.client, names, |name| self.path(name), self.out).await
    }

    pub(super) async fn add(&self, name: &str, given: Given) -> Result<()> {
        if self.client.find(&self.path(name)).await?.is_some() {
            bail!("{} has a user {name} already; use `tidegate user passwd` or `tidegate user channels`", self.db);
        }
        let Given { password, channels, roles } = given;
        self.put(name, &json!({ "password": password, "admin_channels": channels, "admin_roles": roles })).await?;
        done(self.out, name, "made")
    }

    /// Changes what is said here, and leaves the rest as it is.
    pub(super) async fn change(&self, name: &str, change: &Value, what: &str) -> Result<()> {
        self.check(name).await?;
        self.put(name, change).await?;
        done(self.out, name, what)
    }

    pub(super) async fn delete(&self, name: &str) -> Result<()> {
        self.check(name).await?;
        self.client.delete_only(&self.path(name)).await?;
        done(self.out, name, "deleted")
    }

    async fn check(&self, name: &str) -> Result<()> {
        if self.client.find(&self.path(name)).await?.is_some() {
            return Ok(());
        }
        bail!("{} has no user {name}; `tidegate user list --db {}` shows those there are", self.db, self.db)
    }

    async fn put(&self, name: &str, body: &Value) -> Result<()> {
        self.client.put_only(&self.path(name), body).await
    }
}
